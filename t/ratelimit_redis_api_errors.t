#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is not there, or not allowed, is told by a problem document.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(51);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /read/ {
            ratelimit_redis_api;
        }

        location /write/ {
            ratelimit_redis_api write=on;

            location /write/within/ {
                limit_except GET {
                    allow all;
                }
            }
        }

        location /guarded/ {
            ratelimit_redis_api write=on;

            limit_except GET {
                deny all;
            }
        }

        location /except/ {
            ratelimit_redis_api write=on;

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }

            if ($arg_x) {
                add_header X-If yes always;
            }
        }

        location /last/ {
            return 418;
            ratelimit_redis_api;
        }

        location /page/ {
            error_page 404 =200 @page;
            ratelimit_redis_api;
        }

        location @page {
            return 200 page;
        }

        location /mirror/ {
            mirror /write/subjects/a/k;
            error_page 405 =200 @page;
            empty_gif;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

$t->run();

###############################################################################

my $r = http_get('/read/zones');

is(status($r), 200, 'read');
is(header($r, 'Content-Type'), 'application/json', 'its type');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is(header($r, 'X-Content-Type-Options'), 'nosniff', 'nor to be guessed at');

my $length = header($r, 'Content-Length');
$r = http_head('/read/zones');
is(status($r), 200, 'HEAD');
is(header($r, 'Content-Length'), $length, 'its length');
is(body($r), '', 'and no more');

# nothing there

for my $uri ('/read/', '/read/nosuch', '/read/zone', '/read/zonesx',
             '/read/zones/', '/read/zones/nosuch', '/read/zones/a/',
             '/read/subjects', '/read/subjects/', '/read/subjects/a',
             '/read/subjects//k', '/read/subjects/nosuch/k',
             '/read/Zones', '/read/subjects/%3Cb%3E/k')
{
    problem(http_get($uri), 404, $uri);
}

problem(http_get('/read/subjects/a/'), 400, 'an empty key');
unlike(http_get('/read/subjects/%3Cb%3E/k'), qr/<b>/, 'nothing is repeated');

# methods

problem($r = http_post('/read/zones'), 405, 'POST');
is(header($r, 'Allow'), 'GET, HEAD', 'others are allowed');
problem(http_request('OPTIONS', '/read/status'), 405, 'OPTIONS');
problem(http_request('DELETE', '/write/zones/a'), 405, 'DELETE of a zone');
problem($r = http_request('PUT', '/write/subjects/a/k'), 405, 'PUT');
is(header($r, 'Allow'), 'GET, HEAD, DELETE', 'DELETE is allowed');
problem($r = http_request('DELETE', '/read/subjects/a/k'), 405,
    'DELETE without write=on');
is(header($r, 'Allow'), 'GET, HEAD', 'is not');
problem(http_request('DELETE', '/write/subjects/nosuch/k'), 404,
    'DELETE in an unknown zone');
problem(http_request('DELETE', '/write/subjects/a/'), 400,
    'DELETE of an empty key');
problem(http_post('/write/nosuch'), 404, 'POST to nothing');

# without Redis there is this host

http_get('/x?a=k') for 1 .. 2;
is(status(http_get('/x?a=k')), 429, 'refused');

my $s = decode_json(body(http_get('/read/subjects/a/k')));
is("$s->{source} $s->{rates}[0]{used} $s->{host}{untold}", 'local 2 0',
    'as this host says');
is(decode_json(body(http_get('/read/status')))->{redis}, undef,
    'which has no Redis');

is(status(http_request('DELETE', '/mirror/')), 200, 'a subrequest');
is(status(http_request('DELETE', '/guarded/subjects/a/k')), 403,
    'guarded by limit_except');
is(status(http_get('/guarded/subjects/a/k')), 200, 'except for GET');
is(status(http_get('/x?a=k')), 429, 'still refused');

$r = http_request('DELETE', '/except/subjects/a/k');
is(status($r), 204, 'let through by limit_except');
is(body($r), '', 'no content');
is(status(http_get('/x?a=k')), 200, 'begins anew');

$r = http_get('/except/subjects/a/k?x=1');
is(status($r) . ' ' . header($r, 'X-If'), '200 yes', 'within an if');

is(status(http_get('/write/within/zones')), 404, 'not in locations within');
unlike(http_get('/write/within/zones'), qr/problem/, 'nor its problems');
unlike(http_request('DELETE', '/write/within/subjects/nosuch/k'), qr/problem/,
    'nor in their limit_except');
is(status(http_get('/last/zones')), 418, 'return comes first');
is(body(http_get('/page/nosuch')), 'page', 'an error page');

# bodies nobody asked for, on a connection that goes on

my $c = http_connect();
is(join(' ', map { status(http_request($_->[0], $_->[1], body => 'x' x 100000,
                                       socket => $c, keepalive => 1)) }
             ['GET', '/read/zones'], ['DELETE', '/write/subjects/a/k'],
             ['POST', '/read/zones'], ['GET', '/read/nosuch'],
             ['GET', '/read/subjects/a/k']), '200 204 405 404 200',
    'bodies are read past');

###############################################################################

sub problem {
    my ($r, $status, $name) = @_;

    my $type = header($r, 'Content-Type') // '';
    my $json = $type eq 'application/problem+json' ? decode_json(body($r)) : {};

    is_deeply([status($r), header($r, 'Cache-Control'), $json->{status},
               !!$json->{title}, !!$json->{detail}],
              [$status, 'no-store', $status, !!1, !!1], "$status: $name")
        or diag($r);
}

###############################################################################
