#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis does what it is asked for requests, but does not let the host tell that
# it is there: the log says so, once, and when that is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=9r/h;

    add_header X-Limit $ratelimit_redis_status always;

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
my $begin = qr/\[error\].*redis does not take signs of life.*: "WRONGTYPE"/;
my $end = qr/\[notice\].*redis takes signs of life of this host again/;

$redis->cmd('LPUSH', 'rl:{fleet}', 'x');

$t->run();

###############################################################################

ok(wait_for(sub { $t->log_count($begin) }), 'another type is told of');
like(http_get('/x?a=1'), qr/X-Limit: PASSED/, 'requests are limited');

my $calls = $redis->calls('eval');

wait_for(sub { $redis->calls('eval') > $calls + 3 });
is($t->log_count($begin), 1, 'once');
is($t->log_count($end), 0, 'as long as it lasts');

$redis->cmd('DEL', 'rl:{fleet}');
ok(wait_for(sub { $t->log_count($end) }), 'and its end');
is($redis->cmd('TYPE', 'rl:{fleet}'), 'zset', 'the host is known');

###############################################################################
