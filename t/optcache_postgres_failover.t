#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A pooler keeps the connection when the server behind it is another one, whose
# numbers of transactions are lower: what is committed there is not missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;
use Test::Nginx::Pooler;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(10);
my $pg = $t->run_postgres();

install($t, $pg);
$pg->query(tags('a'));
$pg->save();

# as it was then: one that has taken over, and one that has not

my $next = $pg->copy(5434);
$t->write_file("$next->{data}/standby.signal", '');
$next->launch();
$next->query('SELECT pg_promote()');

my $old = $pg->copy(5435)->launch();

my $pooler = Test::Nginx::Pooler->run($t, 5433, $pg);
my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");
$t->run();

###############################################################################

ok(listens($t), 'reads');
ok($t->wait_for_log(qr/is behind a pooler/), 'by a pooler');

$pg->query(tags($_)) for 1 .. 40;
is(scalar(split / /, rows($t, 40)), 40, 'many rows');

# another timeline

my $other = qr/"optcache_postgres" is not there: it is another server than/;

$next->query(tags('b'));
$pooler->lead($next);
ok($t->wait_for_log($other), 'another server');
ok($t->wait_for_log(qr/rows that were read are not there: all is/),
    'whose numbers are lower');

my $rows = split / /, rows($t);

$next->query(tags('c'));
is(scalar(split / /, rows($t, $rows + 1)), $rows + 1, 'read from then on');

# as the first was at an earlier time

$next->query(tags($_)) for 1 .. 40;
rows($t, $rows + 41);

$pooler->lead($old);
ok(wait_for(sub { $t->log_count($other) == 2 }, 20), 'one more');
ok(wait_for(sub { $t->log_count(qr/all is invalidated/) == 2 }, 20),
    'all is invalidated');

$old->query(tags('d'));
is(scalar(split / /, rows($t, $rows + 42)), $rows + 42,
    'read from then on');

# and the connection is kept where it is the same

is($t->log_count($other), 2, 'no more than that');

###############################################################################
