#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A pooler keeps the connection when the server behind it is another one, whose
# numbers of transactions are lower: what is revoked there is not missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Pooler;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(6);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);
$pg->save();

my $next = $pg->copy(5434)->launch();
my $pooler = Test::Nginx::Pooler->run($t, 5433, $pg);
my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "\"$conninfo sslmode=disable\"");
$t->run();

###############################################################################

is(enters('good'), 'refused', 'believed');

$pg->query(revoke("t$_")) for 1 .. 40;
ok(wait_for(sub { $redis->cmd('EXISTS', key('t40')) }), 'told of rows');

$next->query(revoke('a'));
$pooler->lead($next);
ok($t->wait_for_log(qr/is not there: it is another server than before/),
    'another server');
ok(wait_for(sub { $redis->cmd('EXISTS', key('a')) }), 'told of its rows');

$next->query(revoke('b'));
ok(wait_for(sub { $redis->cmd('EXISTS', key('b')) }), 'and of new ones');
is($t->log_count(qr/it is another server than before/), 1, 'once');

###############################################################################
