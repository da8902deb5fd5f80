#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of a user of several variables: who has none of them is nobody, and what is
# private to somebody by other means is not his.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(18);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 200 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_user "$http_authorization\n$cookie_session";
            proxy_pass http://127.0.0.1:8081;
        }

        location /tenant/ {
            optcache_user "tenant:${http_x_tenant}:$cookie_session.";
            proxy_pass http://127.0.0.1:8081;
        }

        location /many/ {
            optcache_user "$arg_a,$arg_b,$arg_c,$arg_d,$arg_e,$arg_f";
            optcache_key many;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/capture/(.*)$ {
            optcache_user "x$1y$arg_user";
            optcache_key capture;
            proxy_pass http://127.0.0.1:8081;
        }

        location /word/ {
            optcache_user everybody;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [$req->{uri} =~ /private/
                  ? 'Cache-Control: private, max-age=60'
                  : ()], 'x'];
});

$t->run();

###############################################################################

get('/private', 'X-Api-Key: alice');
is(get('/private', 'X-Api-Key: bob'), 'MISS', 'a key, and a private answer');

get('/a');
is(get('/a'), 'HIT', 'who has none');
is(get('/a', 'Cookie: session=a'), 'MISS', 'a session');
is(get('/a', 'Cookie: session=a'), 'HIT', 'has its own');
is(get('/a', 'Authorization: a'), 'MISS', 'and so has a password');
is(get('/a', 'Authorization: a'), 'HIT', 'of its own');

get('/private/own', 'Cookie: session=a');
is(get('/private/own', 'Cookie: session=a'), 'HIT',
    'what is private to one who is somebody');

get('/b', 'Cookie: session=; session=a');
is(get('/b'), 'MISS', 'a session that nginx does not find');

get('/tenant/a', 'Authorization: Basic alice');
is(get('/tenant/a', 'Authorization: Basic bob'), 'MISS', 'a password');
get('/tenant/a');
is(get('/tenant/a'), 'HIT', 'nobody');
is(get('/tenant/a', 'X-Tenant: a'), 'MISS', 'one of two variables');
is(get('/tenant/a', 'X-Tenant: a'), 'HIT', 'is somebody');

get('/many/private');
is(get('/many/private'), 'MISS', 'many variables');
get('/many/private?f=a');
is(get('/many/private?f=a'), 'HIT', 'the last of them');

get('/capture/');
is(get('/capture/private'), 'MISS', 'a capture');
is(get('/capture/private'), 'HIT', 'has its own');
is(get('/capture/'), 'HIT', 'and an empty one is nobody');

get('/word/private');
is(get('/word/private'), 'HIT', 'a word is one user');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    return header(http_get($uri, headers => \@headers), 'X-Cache');
}

###############################################################################
