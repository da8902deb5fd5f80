#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A good token that does not say whose it is: who has it is not nobody, and what
# he is answered is not for all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has('http_proxy')->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 200 1m;

    token_jwt_keys %%TESTDIR%%/keys.json;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_source $cookie_token;
            optcache_user $token_user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /arg/ {
            token_source $arg_token;
            optcache_user $token_sub;
            optcache_key $uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /field/ {
            token_source $http_x_token;
            proxy_pass http://127.0.0.1:8081;
        }

        location /id/ {
            token_source $cookie_token;
            optcache_user $token_claim_id;
            proxy_pass http://127.0.0.1:8081;
        }

        location /all/ {
            token_source $cookie_token;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [$req->{uri} =~ /public/ ? 'Cache-Control: public, max-age=60'
                                          : ()], "$req->{count}"];
});

$t->run();

###############################################################################

my ($alice, $bob) = map { $key->token({ id => $_ }) } 1, 2;

# in a cookie

is(get('/a', "Cookie: token=$alice"), 'MISS 1', 'who is not named');
is(get('/a', "Cookie: token=$bob"), 'MISS 2', 'is not everybody');
is(get('/a', "Cookie: token=$alice"), 'MISS 3', 'nor known again');
is(get('/a'), 'MISS 4', 'nor nobody');
is(get('/a'), 'HIT 4', 'who has one for all');
is(get('/a', 'Cookie: other=1'), 'HIT 4', 'whatever else there is');

is(get('/public', "Cookie: token=$alice"), 'MISS 1', 'what is for all');
is(get('/public', "Cookie: token=$bob"), 'HIT 1', 'is so');

# elsewhere

is(get("/arg/?token=$alice"), 'MISS 1', 'in an argument');
is(get("/arg/?token=$bob"), 'MISS 1', 'the same');
is(get('/field/', "X-Token: $alice"), 'MISS 1', 'in a field, and no user');
is(get('/field/', "X-Token: $bob"), 'MISS 2', 'the same');

# who is named, and where nobody is to be

is(get('/id/', "Cookie: token=$alice"), 'MISS 1', 'by the claim there is');
is(get('/id/', "Cookie: token=$alice"), 'HIT 1', 'he has his own');
is(get('/id/', "Cookie: token=$bob"), 'MISS 2', 'and another has another');

is(get('/all/', "Cookie: token=$alice"), 'MISS 1', 'where there are no users');
is(get('/all/', "Cookie: token=$bob"), 'HIT 1', 'it is for all');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
