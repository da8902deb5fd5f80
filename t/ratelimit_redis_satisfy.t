#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The limiter is no opinion on access: it never grants it under satisfy any,
# and what it refuses is refused whatever others say.

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

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/m;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis zone=a;

        location /deny {
            satisfy any;
            deny all;
        }

        location /allow {
            satisfy any;
            allow all;
            ratelimit_redis_status 403;
        }

        location /unauthorized {
            satisfy any;
            allow all;
            ratelimit_redis_status 401;
            error_page 401 /x;
        }

        location /all {
            deny all;
        }

        location /token {
            satisfy any;
            allow all;
            ratelimit_redis off;
            token_required on;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ allow unauthorized x token /;

$t->run_redis();
$t->run();

###############################################################################

my $r = http_get('/deny?a=1');
is(status($r), 403, 'satisfy any is not satisfied by the limiter');
is(header($r, 'X-RateLimit-Remaining'), 1, 'which was asked, though');

is(status(http_get('/all?a=2')), 403, 'nor is satisfy all');

is(join(' ', map { status(http_get('/allow?a=3')) } 1 .. 3), '200 200 403',
    'a refusal counts if another allows');
is(header(http_get('/allow?a=3'), 'X-RateLimit-Limit'), 2, 'and tells why');

is(join(' ', map { status(http_get('/unauthorized?a=4')) } 1 .. 3),
    '200 200 401', 'so does a 401');
is(body(http_get('/unauthorized?a=4')), 'SEE-THIS', 'with its error page');

$r = http_get('/token');
is(status($r), 401, 'a missing token is refused if another allows');
is(header($r, 'WWW-Authenticate'), 'Bearer', 'with a challenge');

is(status(http_get('/token', headers => { Authorization => 'Bearer x' })), 200,
    'a token passes');

###############################################################################
