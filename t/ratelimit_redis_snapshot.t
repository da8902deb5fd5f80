#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that comes back with an old snapshot is told what is later than that,
# without a request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=5r/h;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h burst=4 algorithm=gcra;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ratelimit_redis zone=fixed;
            ratelimit_redis zone=gcra nodelay;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->expect_log(qr/redis has forgotten the limits/);

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(limits(1), '200', 'one of five');
ok(wait_for(sub { $redis->cmd('EXISTS', 'rl:{fleet}') }), 'the host is known');

$redis->cmd('SAVE');

my $beats = $redis->calls('zadd');

is(limits(2), '200 200', 'two more');

wait_for(sub { $redis->calls('zadd') > $beats + 1 });

$redis->restart();
ok(wait_for(sub { used() eq '3 3' }), 'told of what came behind the snapshot');

is(limits(3), '200 200 429', 'two were left');

###############################################################################

sub limits {
    return join ' ', map { status(http_get('/x?a=1')) } 1 .. $_[0];
}


# Units of the window, and of the level, of which each is an hour.

sub used {
    my @used = map { hex unpack 'x11 H12', $redis->cmd('GET', "rl:$_:{1}") }
                   qw/ fixed gcra /;

    return sprintf '%d %.0f', $used[0], $used[1] / 3_600_000;
}

###############################################################################
