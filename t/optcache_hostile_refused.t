#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who is refused and sent elsewhere keeps the URI he asked for, but has no
# claim to what is stored under it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_rewrite http_access http_auth_request
                  http_auth_basic http_ssi /)
        ->plan(30);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 1m;

    map $http_x_key $refused {
        good     "";
        default  1;
    }

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        # each lets in who has the key, and shows the others a page

        location /auth_request/ {
            auth_request /auth;
            error_page 403 = /page.html;
            proxy_pass http://127.0.0.1:8081;
        }

        location /named/ {
            auth_request /auth;
            error_page 403 = @page;
            proxy_pass http://127.0.0.1:8081;
        }

        location /recursive/ {
            auth_request /auth;
            recursive_error_pages on;
            error_page 403 = @page;
            proxy_pass http://127.0.0.1:8081;
        }

        location /status/ {
            auth_request /auth;
            error_page 403 =200 /page.html;
            proxy_pass http://127.0.0.1:8081;
        }

        location /rewrite/ {
            if ($refused) {
                rewrite ^ /page.html last;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location /break/ {
            if ($refused) {
                rewrite ^ /page.html break;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location /return/ {
            error_page 418 = @page;
            if ($refused) {
                return 418;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://127.0.0.1:8081;
        }

        location @page {
            rewrite ^ /page.html break;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [($req->{headers}{'x-key'} // '') eq 'good' ? 200 : 403, {}, '']
        if $req->{uri} eq '/auth';

    return 'a page for all' if $req->{uri} eq '/page.html';
    return 'a secret';
});

$t->run();

###############################################################################

my %good = (headers => { 'X-Key' => 'good' });

for my $way (qw/ auth_request named recursive status rewrite break return /) {

    is(body(http_get("/$way/a", %good)), 'a secret', "$way: let in");
    is(body(http_get("/$way/a")), 'a page for all', 'another is not');

    is(body(http_get("/$way/b")), 'a page for all', 'nor before');
    is(body(http_get("/$way/b", %good)), 'a secret', 'nor for who is let in');
}

# what an auth_request was told of one is not said of another, who has shown
# nothing that tells the two apart

is(status(http_get('/auth_request/c', %good)), 200, 'let in by a field');
is(body(http_get('/auth_request/c')), 'a page for all', 'not without');

###############################################################################
