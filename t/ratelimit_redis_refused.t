#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis refuses the script for some subjects and runs it for others, by turns:
# the log tells once, not with each request, and /health as long as it is so.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a on_error=deny;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

$redis->cmd('LPUSH', 'rl:a:{bad}', 1);

is(join(' ', map { status(http_get("/x?a=$_")) } (qw/ bad good /) x 10),
    join(' ', (503, 200) x 10), 'by turns');

is($t->log_count(qr/refused the script of limits: "WRONGTYPE"/), 1,
    'told once');
is($t->log_count(qr/runs the script of limits again/), 0, 'it is not over');
is($t->log_count(qr/limiting requests, redis has not decided/), 10, 'each');
is($t->log_count(qr/does not answer|is down/), 0, 'it is not silent');

like(body(http_get('/api/health')),
    qr/"degraded".*"limits: redis refuses to count"/, 'health');
like(body(http_get('/api/metrics')),
    qr/^ratelimit_redis_degraded\{reason="limits"\} 1$/m, 'metrics');

$redis->cmd('DEL', 'rl:a:{bad}');

ok(wait_for(sub {
    http_get('/x?a=bad');
    return $t->log_count(qr/runs the script of limits again after \d+ms/);
}), 'over');
is($t->log_count(qr/script of limits/), 2, 'two lines in all');
ok(wait_for(sub { body(http_get('/api/health')) =~ /"healthy"/ }, 15),
    'healthy');

###############################################################################
