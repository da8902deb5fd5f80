#!/usr/bin/perl

# Copyright (C) The Optcache authors

# limit_req and limit_conn of the same location still work, and so do the
# access modules that come after the limiter.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_auth_request http_proxy /)
    ->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100r/m;
    limit_req_zone $arg_a zone=r:1m rate=1r/m;
    limit_conn_zone $arg_a zone=n:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            limit_req zone=r;
        }

        location /conn {
            ratelimit_redis zone=a;
            limit_conn n 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /auth {
            ratelimit_redis zone=a;
            auth_request /check;
        }

        location /check {
            internal;
            ratelimit_redis zone=a;
            return 403;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x auth /;

$t->run_http_backend(8081, sub { 'SEE-THIS' });
$t->run_redis();
$t->run();

###############################################################################

is(join(' ', map { status(http_get('/x?a=1')) } 1 .. 3), '200 503 503',
    'limit_req beside it');

# a request waits for its body, and its connection counts

my $s = http("POST /conn?a=3 HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Length: 1\r\nConnection: close\r\n\r\n", start => 1);

ok(wait_for(sub { status(http_get('/conn?a=3')) == 503 }),
    'limit_conn beside it');
is(status(http_get('/conn?a=4')), 200, 'by its own key');

syswrite $s, 'x';
is(status(http_end($s)), 200, 'the first one is let in');

my $r = http_get('/auth?a=2');
is(status($r), 403, 'auth_request beside it');
is(header($r, 'X-RateLimit-Remaining'), 99, 'its subrequest is not counted');

$r = http_get('/auth?a=2');
is(header($r, 'X-RateLimit-Remaining'), 98, 'nor the second time');

###############################################################################
