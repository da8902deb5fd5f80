#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An unsafe request invalidates what is found by its URI, also where that was
# stored for another one, between which a response says there is no difference.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_user $http_x_user;
    optcache_no_vary_search on;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /shared/ {
            optcache_share_public on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: public, max-age=100',
                  'No-Vary-Search: params=("u")'], $req->{uri}];
});

$t->run();

###############################################################################

is(get('/a?u=1'), 'MISS /a?u=1', 'stored');
is(get('/a?u=2'), 'HIT /a?u=1', 'found by another URI');
http_request('DELETE', '/a?u=2');
is(get('/a?u=2'), 'MISS /a?u=2', 'not after that was written to');
is(get('/a?u=3'), 'HIT /a?u=2', 'and the new one is');
http_request('DELETE', '/a?u=4');
is(get('/a?u=3'), 'MISS /a?u=3', 'nor by another URI of the same path');
is(get('/b?u=1'), 'MISS /b?u=1', 'another path');
http_request('DELETE', '/a?u=1');
is(get('/b?u=2'), 'HIT /b?u=1', 'is as it was');

my %a = ('X-User' => 'A');

is(get('/shared/a?u=1', %a), 'MISS /shared/a?u=1', 'stored for all');
is(get('/shared/a?u=2', %a), 'HIT /shared/a?u=1', 'found');
http_request('DELETE', '/shared/a?u=2', headers => \%a);
is(get('/shared/a?u=2', %a), 'MISS /shared/a?u=2', 'not after a write');
is(get('/shared/a?u=3', 'X-User' => 'B'), 'HIT /shared/a?u=2', 'all get it');

$t->finish();

###############################################################################

sub get {
    my ($uri, %headers) = @_;

    my $r = http_get($uri, headers => \%headers);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
