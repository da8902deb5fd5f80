#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rules are inherited like those of limit_req: a level that has its own has
# only its own, and off ends them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/m;
    ratelimit_redis_zone $arg_a zone=b:1m rate=2r/m;
    ratelimit_redis zone=a;

    server {
        listen 127.0.0.1:8080;

        location /inherited {
        }

        location /own {
            ratelimit_redis zone=b;
            ratelimit_redis_headers off;
        }

        location /off {
            ratelimit_redis off;
        }

        location /status {
            ratelimit_redis_status 403;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ inherited own off status /;

$t->run_redis();
$t->run();

###############################################################################

is(join(' ', map { status(http_get('/inherited?a=1')) } 1 .. 2), '200 429',
    'inherited');
is(join(' ', map { status(http_get('/own?a=1')) } 1 .. 3), '200 200 429',
    'its own only');

my $r = http_get('/own?a=1');
is(header($r, 'X-RateLimit-Limit'), undef, 'headers off');
ok(header($r, 'Retry-After'), 'Retry-After all the same');

$r = http_get('/off?a=1');
is(status($r), 200, 'off');
is(header($r, 'X-RateLimit-Limit'), undef, 'means off');

$r = http_get('/status?a=1');
is(status($r), 403, 'a status of its own');
like(body($r), qr/"status":403,"violated-policies":\["a"\]/, 'in the body');

###############################################################################
