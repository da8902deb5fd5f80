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

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(14);
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

# while a transaction is open for long, what was read since is let alone

say_to($slow, 'BEGIN; ' . tags('open')
    . " SELECT optcache.invalidate('tag', 'open' || i)"
    . ' FROM generate_series(1, 600) AS i;');
ok(wait_for(sub { $pg->query("SELECT count(*) FROM pg_stat_activity"
    . " WHERE state = 'idle in transaction'") }), 'one is open');

$pg->query("SELECT optcache.invalidate('tag', 'since' || i)"
    . ' FROM generate_series(1, 5000) AS i');
rows($t, 6006);

my $looked_at = looked_at();

for my $n (1 .. 10) {
    $pg->query(tags("new$n"));
    rows($t, 6006 + $n);
}

cmp_ok(looked_at() - $looked_at, '<', 5000, 'only new rows are looked at');

say_to($slow, 'COMMIT;');

my %times;

$times{$_}++ for split / /, rows($t, 6617);

is(join(' ', grep { ($times{$_} || 0) != 1 } 1009 .. 1609), '',
    'which is told in the end, once');
is(scalar(keys %times), 6617, 'as is all');

###############################################################################

# Counted for good when a session ends.

sub looked_at {
    my $nginx = "FROM pg_stat_activity WHERE application_name = 'nginx'";
    my ($pid) = split /\n/, $pg->query("SELECT pid $nginx");

    $pg->query("SELECT pg_terminate_backend($pid)");
    wait_for(sub { !$pg->query("SELECT count(*) $nginx AND pid = $pid") });

    return $pg->query('SELECT seq_tup_read + idx_tup_fetch'
        . ' FROM pg_stat_user_tables'
        . " WHERE relid = 'optcache.outbox'::regclass");
}

###############################################################################
