#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What limits cost Redis, counted: one command for each request that is let in,
# whatever the algorithm, the rates and the zones; many of them in one packet
# under load; none for those that are refused, and fewer with leases.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Load;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 1;

events {
    multi_accept on;
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    add_header X-Status $ratelimit_redis_status always;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_log_level info;

    ratelimit_redis_zone $arg_k zone=fixed:1m rate=200r/m rate=500r/h
                         rate=2000r/d;
    ratelimit_redis_zone $arg_k zone=sliding:1m rate=200r/m rate=500r/h
                         rate=2000r/d algorithm=sliding_window;
    ratelimit_redis_zone $arg_k zone=gcra:1m rate=1r/m rate=2r/h
                         rate=2r/d algorithm=gcra burst=199;
    ratelimit_redis_zone $arg_k zone=other:1m rate=500r/h;
    ratelimit_redis_zone $arg_k zone=lease:1m rate=20000r/h lease=100;

    server {
        listen 127.0.0.1:8080;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }

        location /both {
            ratelimit_redis zone=fixed;
            ratelimit_redis zone=other;
            alias %%TESTDIR%%/x;
        }

        location /lease {
            ratelimit_redis zone=lease;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

my ($worker) = $t->worker_pids();

###############################################################################

for my $name (qw/ fixed sliding gcra both /) {

    # the first of them sends the script

    http_get("/$name?k=$name-first");

    # a worker that was busy finds a request on each of 100 connections

    my %before = counts();
    my @r = map { together("/$name?k=$name", 100) } 1 .. 2;
    my %spent = spent(%before);

    is(scalar(grep { header($_, 'X-Status') eq 'PASSED' } @r), 200,
        "$name: let in");
    is($spent{evalsha}, 200, "$name: a command for each");
    cmp_ok($spent{reads}, '<=', 200 / 5, "$name: several in a packet");

    # these find nothing left, and are not asked for

    %before = counts();
    my $load = Test::Nginx::Load->run(
        ports => [8080], uris => ["/$name?k=$name"], n => 1000,
    );
    %spent = spent(%before);

    is($load->text("/$name?k=$name") . " $spent{evalsha}", '429:1000 0',
        "$name: no command for those that are refused");
}

# no other commands than these, those that the script gives, and the signs of
# life of the host; and one connection

is_deeply([grep { !/^(evalsha|eval|time|get|set|setrange|pttl|zscore|zadd
                     |zremrangebyscore|pexpire|zrangebyscore|info|ping
                     |client|hello|config|select)$/x } commands()], [],
    'and nothing else');
is($redis->info('connected_clients'), 2, 'on one connection');

# a lease pays for a hundred

http_get('/lease?k=first');

my %before = counts();
my $load = Test::Nginx::Load->run(
    ports => [8080], uris => ['/lease?k=a'], n => 10000, connections => 10,
);
my %spent = spent(%before);

is($load->text('/lease?k=a'), '200:10000', 'with leases of a hundred');
cmp_ok($spent{evalsha}, '<=', 10000 / 20, 'a command for many');

note("leases: $spent{evalsha} commands for 10000 requests");

###############################################################################

sub together {
    my ($uri, $n) = @_;

    kill 'STOP', $worker;
    my @s = map { http_get($uri, start => 1) } 1 .. $n;
    kill 'CONT', $worker;

    return map { http_end($_) } @s;
}


# Of the module's own, EVAL is a sign of life or the first of a script.

sub counts {
    return (
        evalsha => $redis->calls('evalsha') + $redis->calls('eval'),
        reads => $redis->info('total_reads_processed'),
    );
}


sub spent {
    my (%before) = @_;

    my %now = counts();
    return map { $_ => $now{$_} - $before{$_} } keys %now;
}


sub commands { return map { /^cmdstat_(.*)/ } keys %{ $redis->info() } }

###############################################################################
