#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server that is restored as it was long ago has lower numbers of
# transactions, by hundreds of millions: that is found out at once, and costs
# the server nothing.  What another server's numbers were is not believed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(12);
my $pg = $t->run_postgres();
my $line = line($t, $pg, 5433);

install($t, $pg);

$pg->save();
$pg->forward(150_000_000);

my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");
$t->run();

###############################################################################

ok(listens($t), 'listens');

$pg->query(tags('a'));
is(rows($t, 1), '1', 'at first');
cmp_ok($pg->query('SELECT xact FROM optcache.outbox'), '>', 149_000_000,
    'a high number');

# rows were deleted, as another server says whose numbers are higher

$line->set('cut');
$pg->query("INSERT INTO optcache.outbox_cleaned (snapshot)"
    . " VALUES ('900000000:900000000:')");
ok($t->wait_for_log(qr/is not there/), 'cut');
$line->set('open');
ok(listens($t, 2), 'reads on');
$pg->query(tags('b'));
is(rows($t, 2), '1 2', 'from there');
is($t->log_count(qr/all is invalidated/), 0, 'nothing was missed');

# as it was long ago

my $n = $t->log_count(qr/optcache postgres reads from/);

$pg->restore();
ok($t->wait_for_log(qr/rows that were read are not there: all is/, 30),
    'found out');
ok(listens($t, $n + 1), 'reads on');
$pg->query(tags('c'));
is(rows($t, 3), '1 2 1', 'from there');
is($t->log_count(qr/a query timed out/), 0, 'without delay');
is($pg->query("SELECT temp_files FROM pg_stat_database"
    . " WHERE datname = 'postgres'"), 0, 'and without room');

###############################################################################
