#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server whose processes were killed gives away numbers of transactions again
# that it had not written down: what is revoked by them is not missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox qw/ line /;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(3);

my $redis = $t->run_redis();
my $pg = $t->run_postgres(args => ['-c', 'wal_writer_delay=10s']);

install($t, $pg);

my $line = line($t, $pg, port(5433));
my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "\"$conninfo sslmode=disable\"");
$t->run();

###############################################################################

is(enters('good', ()), 'refused', 'believed');

$pg->query(revoke('a'));
ok(wait_for(sub { $redis->cmd('EXISTS', key('a')) }), 'told of a row');

# numbers that are lost in the crash, and known to who has looked

$pg->lose_numbers(200, 'optcache_token_blacklist');
sleep 2;
$line->set('cut');
$pg->crash();

$pg->query(revoke('b'));
$line->set('open');
ok(wait_for(sub { $redis->cmd('EXISTS', key('b')) }), 'told of another');
