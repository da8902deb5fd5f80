#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis has forgotten the limits, and the answer that says so does not arrive.

###############################################################################

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::FakeRedis;
use Test::Nginx::Redis;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6380 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=limit:1m rate=5r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=limit;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->expect_log(qr/redis has forgotten the limits/);

my $redis = $t->run_redis();
my $fake = Test::Nginx::FakeRedis->run(dir => $t->testdir(), port => 6380,
                                       behind => $redis);

$t->run();

###############################################################################

my $fleet = 'rl:{fleet}';
my $limit = 'rl:limit:{1}';

http_get('/x?a=1') for 1 .. 3;

ok(wait_for(sub { $redis->cmd('EXISTS', $fleet) }), 'the host is known');
is(used(), 3, 'three are counted');

$fake->set(only => 'EVAL', half => 'close');
$redis->cmd('FLUSHALL');
ok(wait_for(sub { $redis->cmd('EXISTS', $fleet) }), 'and known again');

$fake->set(half => undef);
ok(wait_for(sub { used() == 3 }), 'redis is told again');

###############################################################################

sub used {
    my $value = $redis->cmd('GET', $limit) // return 0;
    return hex unpack 'x11 H12', $value;
}

###############################################################################
