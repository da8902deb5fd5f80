#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A refusal leaves the connection as it should be: HEAD has no body, a request
# body is read past, HTTP/1.0 closes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/m;
    ratelimit_redis zone=a;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location /post {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

$t->run_redis();
$t->run_http_backend(8081, sub { return [200, [], length $_[0]->{body}] });
$t->run();

###############################################################################

http_get('/x?a=1');

my $r = http_head('/x?a=1');
is(status($r), 429, 'HEAD');
is(body($r), '', 'without a body');
like(header($r, 'Content-Length'), qr/^\d\d\d$/, 'with its length');

# one connection for all of them

my $s = http_connect();

$r = http_request('POST', '/x?a=1', socket => $s, keepalive => 1,
    body => 'x' x 100000);
is(status($r), 429, 'POST');
is(status(http_get('/x?a=1', socket => $s, keepalive => 1)), 429, 'GET after');
is(status(http_head('/x?a=1', socket => $s, keepalive => 1)), 429,
    'HEAD after');

$r = http_request('POST', '/post?a=2', socket => $s, keepalive => 1,
    body => 'x' x 100000);
is(status($r), 200, 'a POST that passes');
is(body($r), 100000, 'whole');

# a body that comes late is not asked for

$r = http("POST /x?a=1 HTTP/1.1\r\nHost: localhost\r\n"
    . "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
    socket => $s, keepalive => 1);
is(status($r), 429, 'no 100 Continue for a refused one');

# requests in one packet

$r = http(join('', map { "GET /x?a=3 HTTP/1.1\r\nHost: localhost\r\n"
                         . ($_ == 3 ? "Connection: close\r\n" : '')
                         . "\r\n" } 1 .. 3));
is(join(' ', $r =~ m{HTTP/1.1 (\d+)}g), '200 429 429', 'pipelined');

$r = http("GET /x?a=1 HTTP/1.0\r\n\r\n");
is(status($r), 429, 'HTTP/1.0');
is(header($r, 'Connection'), 'close', 'closes');

###############################################################################
