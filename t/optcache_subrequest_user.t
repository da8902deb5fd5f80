#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A part of a page skips the access phase, and shares variables with the page: if
# optcache_user comes out empty there although the client has a cookie, that
# need not mean that it is nobody, and only what is said to be public is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_ssi http_auth_request http_rewrite /)
        ->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 200 1m;

    ssi_types *;

    map $uri $who {
        ~^/page  "";
        default  $cookie_session;
    }

    server {
        listen 127.0.0.1:8080;

        location /page/ {
            ssi on;
            optcache c;
            optcache_user $who;
            optcache_no_store $cookie_session;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mapped {
            optcache c;
            optcache_user $who;
            proxy_pass http://127.0.0.1:8081;
        }

        location /asked {
            auth_request /auth;
            auth_request_set $name $sent_http_x_name;
            optcache c;
            optcache_user $name;
            proxy_pass http://127.0.0.1:8081;
        }

        location /everybody {
            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($user) = ($req->{headers}{cookie} // '') =~ /session=(\w+)/;
    $user //= 'nobody';

    return [200, ["X-Name: $user"], ''] if $req->{uri} eq '/auth';

    return "<!--#include virtual=\"/$1\" -->" if $req->{uri} =~ m{^/page/(.*)};

    return [200, [$req->{uri} =~ /public/ ? 'Cache-Control: public' : ()],
            "$req->{uri} $req->{count} $user"];
});

$t->run();

###############################################################################

for my $way (qw/ mapped asked /) {
    is(get("/page/$way", 'alice'), "/$way 1 alice", "a part, $way");
    is(get("/page/$way", 'bob'), "/$way 2 bob", 'is not for another');
    is(get("/page/$way?public", 'alice'), "/$way?public 1 alice",
        'unless it is public');
    is(get("/page/$way?public", 'bob'), "/$way?public 1 alice", 'as it says');
}

is(get('/page/everybody', 'alice'), '/everybody 1 alice',
    'a part that is everybody\'s');
is(get('/page/everybody', 'bob'), '/everybody 1 alice',
    'by the configuration, is');

is(get('/page/mapped?x', ''), '/mapped?x 1 nobody', 'without a cookie');
is(get('/page/mapped?x', ''), '/mapped?x 1 nobody', 'it is as ever');

###############################################################################

sub get {
    my ($uri, $user) = @_;

    return body(http_get($uri,
        headers => { $user ? (Cookie => "session=$user") : () }));
}

###############################################################################
