#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client can ask that the answer to its request be stored nowhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_bypass $http_x_bypass;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [304, ['ETag: "a"'], ''] if $req->{headers}{'if-none-match'};
    return [200, ['Cache-Control: max-age=0', 'ETag: "a"'], 'SEE-THIS']
        if $req->{uri} =~ /stale/;
    return [200, ['Cache-Control: max-age=60'], 'SEE-THIS'];
});

$t->run();

###############################################################################

for my $value ('no-store', 'max-age=60, No-Store', 'x="a, b", no-store') {
    my $uri = '/' . length $value;

    http_get($uri, headers => { 'Cache-Control' => $value });
    is(header(http_get($uri), 'X-Cache'), 'MISS', "$value: not stored");
}

http_get('/a', headers => ['Cache-Control: max-age=60',
                           'Cache-Control: no-store']);
is(header(http_get('/a'), 'X-Cache'), 'MISS', 'in a second line');

# where what is stored is not looked at, either

http_get('/c', headers => ['X-Bypass: 1', 'Cache-Control: no-store']);
is(header(http_get('/c'), 'X-Cache'), 'MISS', 'with optcache_bypass');
http_get('/d', headers => ['X-Bypass: 1']);
is(header(http_get('/d'), 'X-Cache'), 'HIT', 'which alone lets it be stored');

http_get('/b', headers => { 'Cache-Control' => 'x="no-store"' });
is(header(http_get('/b'), 'X-Cache'), 'HIT', 'not within quotes');

# nor is anything removed that others have stored

http_get('/stale');
is(header(http_get('/stale', headers => { 'Cache-Control' => 'no-store' }),
          'X-Cache'), 'REVALIDATED', 'what is stored is used');
is(header(http_get('/stale'), 'X-Cache'), 'REVALIDATED', 'and stays');

###############################################################################
