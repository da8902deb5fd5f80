#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The same over HTTP/2, where header fields and bodies travel otherwise.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;

    server {
        listen 127.0.0.1:8080 http2;
        listen 127.0.0.1:8081;

        location / {
            optcache c;
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF

my $text = join '', map { "line $_\n" } 1 .. 60000;

my $backend = $t->run_http_backend(8082, sub {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'max-age=60', 'Content-Type' =>
                   'text/plain', ETag => '"a"', 'X-Own' => 'a' },
            $req->{uri} =~ /long/ ? $text
                                  : $req->{headers}{authorization} // 'nobody'];
});

$t->run();

###############################################################################

is(header(http2_get('/a'), 'X-Cache'), 'MISS', 'miss');

my $r = http2_get('/a');

is(header($r, 'X-Cache'), 'HIT', 'hit');
is(body($r), 'nobody', 'body');
is(header($r, 'X-Own'), 'a', 'field');
like(header($r, 'Age'), qr/^\d+$/, 'age');

is(header(http_get('/a', port => 8081), 'X-Cache'), 'HIT',
    'the same for HTTP/1.1');

# longer than the window of a stream

is(body(http2_get('/long')), $text, 'a long miss');
is(body(http2_get('/long')), $text, 'a long hit');

$r = http2_get('/long', headers => ['accept-encoding: gzip']);
is(gunzip(body($r)), $text, 'in gzip');

$r = http2_get('/long', headers => ['range: bytes=400000-400009']);
is(body($r), substr($text, 400000, 10), 'in parts');

is(status(http2_get('/long', headers => ['if-none-match: "a"'])), 304,
    'not modified');

$r = http2_get('/long', method => 'HEAD');
is(header($r, 'Content-Length'), length $text, 'HEAD');
is(header($r, 'X-Cache'), 'HIT', 'is a hit');

# users

http2_get('/user', headers => ['authorization: a']);
$r = http2_get('/user', headers => ['authorization: b']);
is(body($r), 'b', 'another user');
is(header($r, 'X-Cache'), 'MISS', 'has a miss');
is(header(http_get('/user', port => 8081, headers => { Authorization => 'a' }),
    'X-Cache'), 'HIT', 'the same user over HTTP/1.1');

$r = http2_get('/post', method => 'POST', body => 'x' x 200000);
is(header($r, 'X-Cache'), 'BYPASS', 'POST with a body');

# many streams, and some that are left

my $h2 = Test::Nginx::HTTP2->connect(port => 8080);
my @ids = map { $h2->send($_ % 2 ? '/long' : "/new/$_") } 1 .. 20;

$h2->reset($_) for @ids[0 .. 4];

my @r = map { $h2->response($_) } @ids[5 .. 19];

is(scalar(grep { status($_) eq '200' } @r), 15, 'streams side by side');
is(scalar(grep { body($_) eq $text } @r), 7, 'hits as whole as ever');

$h2->close();
is(body(http2_get('/long')), $text, 'after some were left');

###############################################################################
