#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A zone counts a request once, however often it is redirected; a zone that is
# only met after the redirect is checked there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=first:1m rate=3r/m;
    ratelimit_redis_zone $arg_a zone=second:1m rate=2r/m;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis zone=first;

        location /start {
            try_files /none /end?$args;
        }

        location /named {
            try_files /none @named;
        }

        location @named {
            ratelimit_redis zone=first;
            ratelimit_redis zone=second;
            return 204;
        }

        location /accel {
            proxy_pass http://127.0.0.1:8081;
        }

        location /backend {
            proxy_pass http://127.0.0.1:8081;
        }

        location /missing {
            ratelimit_redis off;
            error_page 404 =200 /end?a=missing;
        }

        location = /end {
            ratelimit_redis zone=first;
            ratelimit_redis zone=second;
            root html;
            error_page 404 = @done;
        }

        location @done {
            empty_gif;
        }
    }
}

EOF

$t->run_redis();
$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, $req->{uri} =~ /accel/
                 ? ['X-Accel-Redirect: /end?a=accel']
                 : ['X-RateLimit-Limit: 9', 'x-ratelimit-remaining: 9'], ''];
});

$t->run();

###############################################################################

my $r = http_get('/start?a=1');
is(status($r), 200, 'redirected');
is(header($r, 'X-RateLimit-Limit'), 2, 'to where another limit is');
is(header($r, 'X-RateLimit-Remaining'), 1, 'that counted it');

is(status(http_get('/start?a=1')), 200, 'redirected again');

$r = http_get('/start?a=1');
is(status($r), 429, 'until the second zone refuses');
is(header($r, 'X-RateLimit-Limit'), 2, 'which it tells');

is(header(http_get('/end?a=2'), 'X-RateLimit-Remaining'), 1, 'not redirected');

# a redirect of the backend

is(header(http_get('/accel?a=accel'), 'X-RateLimit-Limit'), 2, 'X-Accel');

# a refusal in the place of an error page is what it is

is(join(' ', map { status(http_get('/missing')) } 1 .. 3), '404 404 429',
    'refused where an error page is');

# a backend's own idea of limits is not passed on

$r = http_get('/backend?a=3');
is(join(' ', header($r, 'X-RateLimit-Limit')), '3', 'one answer only');
is(join(' ', header($r, 'X-RateLimit-Remaining')), '2', 'that is ours');

###############################################################################
