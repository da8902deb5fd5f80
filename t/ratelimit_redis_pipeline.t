#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Commands of one turn of the event loop leave in one write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 1;

events {
    multi_accept on;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

# as the first of them EVALSHA is answered with NOSCRIPT

http_get('/x?a=0');

my $commands = commands();
my $reads = $redis->info('total_reads_processed');

# a worker that was busy finds all of them ready

my ($worker) = $t->worker_pids();

kill 'STOP', $worker;
my @s = map { http_get("/x?a=$_", start => 1) } 1 .. 200;
kill 'CONT', $worker;
my @r = map { http_end($_) } @s;

is(scalar(grep { (header($_, 'X-Limit') // '') eq 'PASSED' } @r), 200,
    'all are answered');

$commands = commands() - $commands;
$reads = $redis->info('total_reads_processed') - $reads;

is($commands, 200, 'a command each');
cmp_ok($reads, '<', 50, 'in few writes');

# key N is asked for N times, and was once: 2 .. N + 1 are its counts

@s = map { http_get("/x?a=$_", start => 1) } map { ($_) x $_ } 1 .. 20;
@r = map { 1000 - (header(http_end($_), 'X-RateLimit-Remaining') // 0) } @s;

is(join(' ', map { sort { $a <=> $b } splice @r, 0, $_ } 1 .. 20),
    join(' ', map { 2 .. $_ + 1 } 1 .. 20), 'replies are not mixed up');

is($redis->info('connected_clients'), 2, 'on one connection');

###############################################################################

sub commands { $redis->calls('evalsha') + $redis->calls('eval') }

###############################################################################
