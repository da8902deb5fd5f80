#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A stored response keeps every field it had, but those that were about one
# connection or one request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @dropped = (
    'Keep-Alive: timeout=5', 'Proxy-Connection: close', 'TE: trailers',
    'Trailer: X-Trail', 'Upgrade: h2c', 'Proxy-Authenticate: Basic',
    'Proxy-Authorization: x', 'X-Hop: by hop', 'X-Hop2: by hop',
    'Accept-Ranges: none', 'X-Cache: theirs',
    'RateLimit: "a";r=1;t=2', 'RateLimit-Policy: "a";q=1;w=2',
    'RateLimit-Limit: 1', 'RateLimit-Remaining: 1', 'RateLimit-Reset: 1',
    'X-RateLimit-Limit: 1', 'X-RateLimit-Remaining: 1',
    'X-RateLimit-Reset: 1', 'x-ratelimit-used: 1', 'X-Rate-Limit-Limit: 1',
);

my @kept = (
    'Cache-Control: max-age=60, public', 'ETag: "a"', 'X-Own: a',
    'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT', 'Content-Language: de',
    'Link: <a>; rel=x', 'Link: <b>; rel=y', 'X-Own: b',
    'Content-Disposition: attachment', 'X-Hopper: c', 'WWW-Authenticate: Basic',
    'Vary: Accept-Encoding', 'Content-Type: text/x-own; charset=koi8-r',
    'X-Empty:', 'Retry-After: 3', 'Refresh: 5',
    'Content-Location: /else', 'Location: /other', 'X-Utf8: ' . "\xc3\xa4",
    'X-Long: ' . 'x' x 3000, 'X-RateLimited: no', 'Limit: x', 'X-Ratelimit: x',
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(@dropped + 11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    proxy_buffer_size 16k;
    proxy_buffers 8 16k;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /add/ {
            optcache c;
            add_header X-Request $arg_a;
            expires 1h;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hide/ {
            optcache c;
            proxy_hide_header X-Own;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cookie/ {
            optcache c;
            proxy_hide_header Set-Cookie;
            proxy_ignore_headers Set-Cookie;
            proxy_pass http://127.0.0.1:8081;
        }

        location /control/ {
            optcache c;
            optcache_valid 1m;
            proxy_hide_header Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Set-Cookie' => 'a=b', 'Cache-Control' => 'max-age=60' },
            'for one'] if $req->{uri} =~ /cookie/;

    return [200, ['Cache-Control: no-store'], 'for one']
        if $req->{uri} =~ /control/;

    return [200, [@kept, 'Connection: a,X-Hop2 , X-HOP', @dropped, 'Age: 3'],
            'body'];
});

$t->run();

###############################################################################

my $miss = http_get('/');
my $hit = http_get('/');

is(header($hit, 'X-Cache'), 'HIT', 'a hit');
is_deeply([fields($hit)], [fields($miss)], 'has the fields of the miss');

for my $field (@dropped) {
    my ($name, $value) = split /: /, $field, 2;
    is(scalar(grep { $_ eq $value } header($hit, $name)), 0, "not $name");
}

my %seen = map { lc "$_->[0]: $_->[1]" => 1 } headers($hit);
my @missing = grep { !$seen{lc $_} } map { s/:$/: /r } @kept;
is_deeply(\@missing, [], 'all that was to be kept');
is(scalar(() = header($hit, 'Age')), 1, 'one Age');

# the filters of the location work on what was stored

http_get('/add/?a=1');
my $r = http_get('/add/?a=1');
is(header($r, 'X-Request'), 1, 'add_header on a hit');
like(join(',', header($r, 'Cache-Control')), qr/max-age=3600/,
    'expires on a hit');
is(scalar(() = header($r, 'X-Request')), 1, 'once');

http_get('/hide/');
$r = http_get('/hide/');
is(header($r, 'X-Cache') . (header($r, 'X-Own') // ''), 'HIT',
    'what was hidden stays hidden');

# what is hidden from the client was said all the same

http_get('/cookie/');
$r = http_get('/cookie/');
is(header($r, 'Set-Cookie'), undef, 'a hidden cookie is hidden');
is(header($r, 'X-Cache'), 'MISS', 'and was for somebody');

http_get('/control/');
is(header(http_get('/control/'), 'X-Cache'), 'MISS', 'a hidden no-store');

###############################################################################

sub fields {
    return sort grep { !/^(age|x-cache|accept-ranges|date|server)/ }
           grep { my $f = $_; !grep { lc $_ eq $f } @dropped }
           map { lc "$_->[0]: $_->[1]" } headers($_[0]);
}

###############################################################################
