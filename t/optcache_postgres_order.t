#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rows of the outbox are found by the transaction that wrote them: one that
# began early and is committed late is not missed, whatever its number is, and
# nobody waits for it; each is told once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(10);
my $pg = $t->run_postgres();

install($t, $pg);
$pg->query(tags('before'));

gateway($t, postgres => $pg->conninfo());
$t->run();

###############################################################################

ok(listens($t), 'listens');

open my $slow, '|-', 'psql', '-XAtq', $pg->conninfo() or die "psql: $!\n";

say_to($slow, 'BEGIN; ' . tags('slow'));
ok(wait_for(sub { $pg->query("SELECT count(*) FROM pg_stat_activity"
    . " WHERE state = 'idle in transaction'") }), 'a transaction begins');

$pg->query(tags('fast'));
is(rows($t, 1), '3', 'another is done');

$pg->query(tags('faster'));
is(rows($t, 2), '3 4', 'and one more');

# a look in between, and another worker

$t->reload(wait_old => 1);
ok(listens($t, 2), 'reloaded');

$pg->query(tags('fastest'));
is(rows($t, 3), '3 4 5', 'and one more');

say_to($slow, 'COMMIT;');
is(rows($t, 4), '3 4 5 2', 'committed');

say_to($slow, 'BEGIN; ' . tags('never') . ' ROLLBACK; ' . tags('end'));
is(rows($t, 5), '3 4 5 2 7', 'rolled back');

# more than are read at once, of one transaction

$pg->query(tags(1 .. 1000));
rows($t, 1005);
is(scalar(split / /, rows($t)), 1005, 'many');

# without a word, it is looked for again

$pg->query('INSERT INTO optcache.outbox (digest, kind, value, soft)'
    . " VALUES ('x', 'tag', 'x', false)");
like(rows($t, 1006), qr/ 1008$/, 'without a word');

###############################################################################
