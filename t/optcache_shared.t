#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The shared partition obeys RFC 9111, 3.5, and does not take what a cookie
# may have made personal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @cases = (
    # Cache-Control, stored for Authorization, for Cookie
    ['max-age=60', 0, 0],
    ['max-age=60, public', 1, 1],
    ['s-maxage=60', 1, 1],
    ['max-age=60, must-revalidate', 1, 0],
    ['max-age=60, proxy-revalidate', 0, 0],
    ['max-age=60, private', 0, 0],
    ['max-age=60, public, private', 0, 0],
    ['s-maxage=60, no-store', 0, 0],
    ['max-age=60, x="public"', 0, 0],
    ['max-age=60, publicly', 0, 0],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @cases + 6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /anonymous/ {
            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /default/ {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($n) = $req->{uri} =~ m{/(\d+)$};

    return [200, { 'Cache-Control' => $n ? $cases[$n - 1][0] : 'max-age=60' },
            $req->{headers}{authorization} // $req->{headers}{cookie} // '-'];
});

$t->run();

###############################################################################

my $authorization = { Authorization => 'Bearer A' };
my $cookie = { Cookie => 'session=A' };

for my $n (1 .. @cases) {
    my ($control, $for_authorization, $for_cookie) = @{ $cases[$n - 1] };

    http_get("/anonymous/$n", headers => $authorization);
    is(cache(http_get("/anonymous/$n")), $for_authorization ? 'HIT' : 'MISS',
        "with Authorization: $control");

    http_get("/default/$n", headers => $cookie);
    is(cache(http_get("/default/$n")), $for_cookie ? 'HIT' : 'MISS',
        "with a Cookie: $control");
}

# RFC 9111, 3.5 is about the response to a request with credentials, not about
# who may be given the response to one without

http_get('/default/0');
is(cache(http_get('/default/0')), 'HIT', 'without both it is stored');

http_get('/anonymous/0', headers => $cookie);
is(cache(http_get('/anonymous/0')), 'HIT',
    'a cookie does not matter to a key that was chosen');

# a field that says nothing is a field

http_get('/default/0/0', headers => { Authorization => '' });
is(cache(http_get('/default/0/0')), 'MISS', 'with an empty Authorization');

# s-maxage is for shared caches only

http_get('/default/3');
is(cache(http_get('/default/3')), 'HIT', 's-maxage in the shared partition');
http_get('/default/3', headers => $authorization);
is(cache(http_get('/default/3', headers => $authorization)), 'MISS',
    's-maxage is no lifetime in the partition of a user');

is(body(http_get('/default/3')), 'session=A', 'what was stored is sent');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }

###############################################################################
