#!/usr/bin/perl

# Copyright (C) The Optcache authors

# HTTP/2 says with pseudo fields what HTTP/1 says with a line and Host: they
# are one key, and what contradicts itself poisons nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP2;

# what is sent beside :authority localhost, and how

my @requests = (
    ['another host', headers => ['host: evil']],
    ['two other hosts', headers => ['host: localhost', 'host: evil']],
    ['another :authority', headers => [':authority: evil']],
    ['another :path', headers => [':path: /evil']],
    ['another :scheme', headers => [':scheme: evil']],
    ['another :method', headers => [':method: POST']],
    ['a pseudo field of its own', headers => [':evil: evil']],
    ['an :authority with a user', host => 'evil@localhost'],
    ['an :authority with a port', host => 'localhost:1337'],
    ['an :authority with a path', host => 'localhost/evil'],
    ['an :authority with a query', host => 'localhost?evil'],
    ['an :authority with a line', host => "localhost\r\nx-echo: evil"],
    ['no :authority but evil', host => '', headers => ['host: evil']],
    ['two credentials', headers => ['authorization: a',
                                    'authorization: evil']],
    ['no credential and one', headers => ['authorization: ',
                                          'authorization: evil']],
    ['a credential', headers => ['authorization: evil']],
    ['crumbs of a cookie', headers => ['cookie: session=evil', 'cookie: b=c']],
    ['a line in a value', headers => ["x-a: b\r\nx-echo: evil"]],
    ['a line in a name', headers => ["x-a: b", "x\r\nx-echo: evil"]],
    ['a NUL in a value', headers => ["x-echo: \0evil"]],
    ['a connection field', headers => ['connection: x-echo', 'te: evil']],
    ['chunks', headers => ['transfer-encoding: chunked'], body => 'evil'],
    ['a body', body => 'evil'],
    ['a body with too small a length', headers => ['content-length: 2'],
        body => 'evil'],
    ['a HEAD with a body', method => 'HEAD', body => 'evil'],
    ['a method of its own', method => 'EVIL'],
    ['CONNECT', method => 'CONNECT'],
    ['a POST', method => 'POST', body => 'evil'],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
        ->plan(2 * @requests + 7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8090 http2;
        server_name localhost;

        location / {
            proxy_set_header Host $host;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    return join '|', $req->{method}, $req->{uri},
                     (map { $_ // '' } @$h{qw/ host authorization cookie
                                               x-echo te /}), $req->{body};
});

$t->run();

###############################################################################

my $n = 0;

for my $request (@requests) {
    my ($name, %o) = @$request;
    my $uri = '/' . ++$n;

    http2_get($uri, port => 8090, %o) for 1 .. 2;

    is(body(http_get($uri)), "GET|$uri|localhost|||||", "$name, by HTTP/1");
    is(body(http2_get($uri, port => 8090)), "GET|$uri|localhost|||||",
        'and by HTTP/2');
}

# a body whose length nobody says, after the fields and before them

my $h2 = Test::Nginx::HTTP2->connect(port => 8090);
my $id = $h2->send('/late', open => 1, body => 'evil');
$h2->end($id);
is(body($h2->response($id)), 'GET|/late|localhost|||||evil',
    'a GET with a body of unknown length');
is(body(http_get('/late')), 'GET|/late|localhost|||||', 'is nobody else\'s');

# a fault in the data, a stream that is given up

$id = $h2->send('/reset', open => 1);
$h2->reset($id);
is(body(http_get('/reset')), 'GET|/reset|localhost|||||', 'a stream given up');

# both are one cache

http2_get('/both', port => 8090);
is(header(http_get('/both'), 'X-Cache'), 'HIT', 'HTTP/1 finds that of HTTP/2');

my $user = { Authorization => 'Bearer a', Cookie => 'x=y' };

http_get('/user', headers => $user);
my $r = http2_get('/user', port => 8090, headers => $user);
is(header($r, 'X-Cache'), 'HIT', 'a user has one partition');
is(body($r), 'GET|/user|localhost|Bearer a|x=y|||', 'the own one');
is(body(http2_get('/user', port => 8090)), 'GET|/user|localhost|||||',
    'and nobody else');

###############################################################################
