#!/usr/bin/perl

# Copyright (C) The Optcache authors

# http2_push_preload, which nginx had up to 1.25.0: what a response links to is
# pushed with a hit as with a miss.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
    ->has_no_version('1.25.1')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    server {
        listen 127.0.0.1:8080 http2;

        location / {
            http2_push_preload on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $age = $req->{uri} =~ /stale/ ? 'no-cache' : 'max-age=60';

    return [304, {}, ''] if $req->{headers}{'if-none-match'};

    return [200, { 'Cache-Control' => $age, ETag => '"a"',
                   link => ['</a.css>; rel=preload; as=style',
                            '</a.js>; rel=preload; as=script'] }, 'page'];
});

$t->run();

###############################################################################

is(get('/page'), 'MISS 2', 'a miss');
is(get('/page'), 'HIT 2', 'a hit');
is(get('/page'), 'HIT 2', 'again');

is(get('/stale'), 'MISS 2', 'what is to be validated');
is(get('/stale'), 'REVALIDATED 2', 'each time');

is(get('/off/page'), 'MISS 0', 'not asked for');
is(get('/off/page'), 'HIT 0', 'is not done');

like(http2_get('/page'), qr/^link: .*a\.css.*^link: .*a\.js/msi, 'fields');

###############################################################################

sub get {
    my ($uri) = @_;

    my $h2 = Test::Nginx::HTTP2->connect(port => 8080);
    my $r = $h2->response($h2->send($uri));
    my $pushed = $h2->pushed();

    $h2->close();

    return header($r, 'X-Cache') . " $pushed";
}

###############################################################################
