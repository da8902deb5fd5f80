#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A decision of auth_request that is kept for a user: he is not nobody where the
# page knows nothing of him.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_auth_request http_proxy /)->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone decisions:1m;
    optcache c;
    optcache_valid 200 1m;

    auth_request /auth;

    server {
        listen 127.0.0.1:8080;

        location /default/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /upstream/ {
            # of a decision that is stored there is no upstream
            auth_request_set $user $upstream_http_x_user;
            optcache_user $user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sent/ {
            auth_request_set $name $sent_http_x_user;
            optcache_user $name;
            proxy_pass http://127.0.0.1:8081;
        }

        location /all/ {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            internal;
            auth_request off;
            optcache decisions;
            optcache_user $http_x_api_key;
            optcache_key auth;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $control = $req->{uri} =~ /public/ ? 'public, max-age=60' : 'max-age=60';

    return [200, { 'Cache-Control' => $control },
            $req->{headers}{'x-api-key'} // 'nobody'];
});

$t->run_http_backend(8082, sub {
    my ($req) = @_;

    my $key = $req->{headers}{'x-api-key'};

    return [200, defined $key ? { 'X-User' => $key } : {}, ''];
});

$t->run();

###############################################################################

my ($alice, $bob) = map { "X-Api-Key: $_" } qw/ alice bob /;

get("/all/$_", $_ ? $alice : $bob) for 0 .. 1;

is(get('/default/a', $alice), 'MISS alice', 'a page of the default user');
is(get('/default/a', $bob), 'MISS bob', 'is not that of another one');
is(get('/default/a'), 'MISS nobody', 'nor of nobody');
is(get('/default/a'), 'HIT nobody', 'who is told what is for all');
is(get('/default/a', $alice), 'HIT nobody', 'as is anybody');

is(get('/upstream/a', $alice), 'MISS alice', 'a user that got lost');
is(get('/upstream/a', $bob), 'MISS bob', 'is none of all');
is(get('/upstream/a'), 'MISS nobody', 'for nobody');
is(get('/upstream/a'), 'HIT nobody', 'there is one');

get('/sent/a', $alice);
is(get('/sent/a', $alice), 'HIT alice', 'a user that is known');
is(get('/sent/a', $bob), 'MISS bob', 'and another one');

get('/default/public', $alice);
is(get('/default/public', $bob), 'HIT alice', 'what is for all');

get('/all/a', $alice);
is(get('/all/a', $bob), 'HIT alice', 'where there are no users');

get('/default/b');
is(get('/default/b'), 'HIT nobody', 'a decision about nobody');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
