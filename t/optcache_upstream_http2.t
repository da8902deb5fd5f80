#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An upstream that is asked by HTTP/2: a response ends where its stream does,
# without a length, and is not whole if that does not end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
    ->has_version('1.29.4')->plan(18);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_user "";

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8083;
        http2 on;

        optcache c;
        proxy_http_version 2;

        location / {
            proxy_pass http://127.0.0.1:8082;
        }

        location /unbuffered/ {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8082;
        }
    }

    server {
        listen 127.0.0.1:8082;
        http2 on;

        # what comes in chunks has no length here

        location / {
            proxy_http_version 1.1;
            proxy_set_header Connection close;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my @fields = ('Cache-Control: max-age=60');

    if ($uri =~ /etag/) {
        push @fields, 'ETag: "e"';
        $fields[0] = 'Cache-Control: max-age=0';

        return [304, \@fields, ''] if $req->{headers}{'if-none-match'};
    }

    my $body = "$uri $req->{count}";

    return [200, [@fields, 'Transfer-Encoding: chunked'],
            sprintf("%x\r\n%s\r\n%s", length $body, $body,
                    $uri =~ /broken/ ? '' : "0\r\n\r\n")];
});

$t->run();

###############################################################################

for my $uri ('/a', '/unbuffered/a') {
    my $r = http_get($uri);
    is(body($r), "$uri 1", 'a body without a length');
    is(header($r, 'Content-Length'), undef, 'as it comes');

    $r = http_get($uri);
    is(header($r, 'X-Cache') . ' ' . body($r), "HIT $uri 1", 'is stored');
    is(header($r, 'Content-Length'), length "$uri 1", 'and has one');
}

is(body(http_get('/etag')), '/etag 1', 'one to be validated');
is(get('/etag'), 'REVALIDATED /etag 1', 'is');
is($backend->count(qr{/etag}), 2, 'by HTTP/2');

for my $uri ('/broken', '/unbuffered/broken') {
    http_get($uri);
    unlike(get($uri), qr/HIT/, 'what was broken off is not stored');
    is($backend->count(qr{ \Q$uri\E$}), 2, 'but asked for again');
}

my $r = http_head('/head');
is(header($r, 'X-Cache'), 'MISS', 'HEAD');
is(get('/a', 'Range: bytes=0-1'), 'HIT /a', 'a range');
is(body(http2_get('/a', port => 8083)), '/a 1', 'to a client of HTTP/2');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return (header($r, 'X-Cache') // '') . ' ' . (body($r) // '');
}

###############################################################################
