#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A hit is for who may have it: access control comes first, whoever does it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_access http_auth_basic http_auth_request
                  http_limit_req /)
        ->plan(22);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;
    optcache_user "";

    limit_req_zone $http_x_one zone=one:128k rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_key $arg_key;

        location /open {
            proxy_pass http://127.0.0.1:8081;
        }

        location /deny {
            deny all;
            proxy_pass http://127.0.0.1:8081;
        }

        location /basic {
            auth_basic realm;
            auth_basic_user_file %%TESTDIR%%/users;
            proxy_pass http://127.0.0.1:8081;
        }

        location /any {
            satisfy any;
            deny all;
            auth_basic realm;
            auth_basic_user_file %%TESTDIR%%/users;
            proxy_pass http://127.0.0.1:8081;
        }

        location /all {
            satisfy all;
            deny all;
            auth_basic realm;
            auth_basic_user_file %%TESTDIR%%/users;
            proxy_pass http://127.0.0.1:8081;
        }

        location /auth_request {
            auth_request /auth;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limited {
            limit_req zone=one;
            proxy_pass http://127.0.0.1:8081;
        }

        location /methods {
            limit_except HEAD {
                deny all;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location /internal {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }

        location /referer {
            if ($http_x_bad) {
                return 403;
            }
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [$req->{headers}{'x-good'} ? 200 : 403, {}, '']
        if $req->{uri} =~ m{^/auth\b};
    return [200, { 'Cache-Control' => 'public' }, 'the answer'];
});

$t->write_file('users', "user:{PLAIN}password\n");
$t->run();

###############################################################################

# one entry, that all of these locations would answer with

http_get('/open?key=x');
is(get('/open?key=x'), '200 HIT', 'the answer is stored');

is(get('/deny?key=x'), '403 ', 'deny');
is(get('/basic?key=x'), '401 ', 'no password');
is(get('/basic?key=x', basic('wrong')), '401 ', 'a wrong one');
is(get('/basic?key=x', basic('password')), '200 HIT', 'the right one');
is(get('/any?key=x'), '401 ', 'satisfy any, nothing');
is(get('/any?key=x', basic('password')), '200 HIT', 'satisfy any, one');
is(get('/all?key=x', basic('password')), '403 ', 'satisfy all, one');

is(get('/auth_request?key=x'), '403 ', 'auth_request, refused');
is(get('/auth_request?key=x', 'X-Good: 1'), '200 HIT', 'and let in');
is(get('/auth_request?key=x'), '403 ', 'each for himself');

is(get('/limited?key=x', 'X-One: 1'), '200 HIT', 'a hit counts');
is(get('/limited?key=x', 'X-One: 1'), '503 ', 'for limit_req');

is(status(http_post('/methods?key=x')), 403, 'limit_except');
is(get('/internal?key=x'), '404 ', 'internal');
is(get('/referer?key=x', 'X-Bad: 1'), '403 ', 'return');

# what was refused is no answer to who is let in

is(get('/basic?key=y'), '401 ', 'refused');
is(get('/basic?key=y', basic('password')), '200 MISS', 'then let in');
is(get('/basic?key=y'), '401 ', 'then refused');
is(get('/auth_request?key=z'), '403 ', 'refused by auth_request');
is(get('/auth_request?key=z', 'X-Good: 1'), '200 MISS', 'then let in');

is($backend->count(qr{key=x}), 1, 'one answer was fetched');

###############################################################################

sub get {
    my ($uri, @fields) = @_;

    my $r = http_get($uri, headers => \@fields);
    unlike($r, qr/the answer/, "a body for $uri") if status($r) ne '200'
                                                     && $r =~ /the answer/;
    return status($r) . ' ' . (header($r, 'X-Cache') // '');
}


sub basic {
    return 'Authorization: Basic ' . encode_base64("user:$_[0]", '');
}

###############################################################################
