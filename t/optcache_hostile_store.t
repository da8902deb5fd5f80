#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What must not be stored: what nginx said in place of an answer, and what
# depends on a body that is in no key.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_ssi http_auth_request http_rewrite /)
        ->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    proxy_read_timeout 500ms;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /any/ {
            optcache_valid any 1m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /down/ {
            optcache_valid any 1m;
            proxy_pass http://127.0.0.1:8082;
        }

        location /page {
            optcache off;
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /part {
            optcache_valid 1m;
            optcache_user "";
            proxy_set_header Content-Length $http_content_length;
            proxy_pass http://127.0.0.1:8081;
        }

        location /secret {
            auth_request /part/auth;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /part/auth {
            optcache_valid 1m;
            optcache_user $http_x_user;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my $head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";

    if ($req->{uri} =~ /header/ && $req->{count} == 1) {
        print $s "${head}no header field\0\r\n\r\n";
        return undef;
    }

    if ($req->{uri} =~ /large/ && $req->{count} == 1) {
        print $s $head, 'X: ' . 'x' x 100000 . "\r\n\r\n";
        return undef;
    }

    if ($req->{uri} =~ /close/ && $req->{count} == 1) {
        print $s $head;
        return undef;
    }

    if ($req->{uri} =~ /stall/ && $req->{count} == 1) {
        print $s $head;
        sleep 2;
        return undef;
    }

    return '<!--#include virtual="/part" -->' if $req->{uri} eq '/page';
    return "part for '$req->{body}'" if $req->{uri} eq '/part';
    return [200, { 'Cache-Control' => 'max-age=60' }, 'good'];
});

$t->run();

###############################################################################

# an upstream that fails after it has said how long its answer lives

for my $uri (map { ("/$_", "/any/$_") } qw/ header large close stall /) {
    http_get($uri);
    is(status(http_get($uri)), 200, "an error in place of $uri");
}

http_get('/down/');
isnt(header(http_get('/down/'), 'X-Cache'), 'HIT', 'no upstream');

# a part of a page is sent the body of the page's request

like(http_post('/page', body => 'evil'), qr/part for 'evil'/, 'a part of a POST');
like(http_get('/page'), qr/part for ''/, 'is not that of a GET');
like(http_post('/page', body => 'evil'), qr/part for 'evil'/, 'nor is that its');

# while auth_request sends none

my @user = (headers => { 'X-User' => 'a' });
http_post('/secret', body => 'a', @user);
http_post('/secret', body => 'b', @user);
is($backend->count(qr{ /part/auth}), 1, 'a POST is asked about once');
is(status(http_get('/secret', @user)), 200, 'and let in');

###############################################################################
