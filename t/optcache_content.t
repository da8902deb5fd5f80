#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever makes the content: proxy, FastCGI, files, autoindex, stub_status,
# and nginx itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_fastcgi /)->plan(34);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache c;
    optcache_valid 200 301 1m;
    optcache_max_size 4m;

    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param REQUEST_URI $request_uri;

    server {
        listen 127.0.0.1:8080;

        location /fastcgi {
            fastcgi_pass 127.0.0.1:8082;
        }

        location /fastcgi/unbuffered {
            fastcgi_buffering off;
            fastcgi_pass 127.0.0.1:8082;
        }

        location /file/ {
        }

        location /sendfile/ {
            alias %%TESTDIR%%/file/;
            sendfile on;
            tcp_nopush on;
        }

        location /directio/ {
            alias %%TESTDIR%%/file/;
            directio 512;
        }

        location /index/ {
        }

        location /temp/ {
            proxy_buffers 2 4k;
            proxy_busy_buffers_size 4k;
            proxy_buffer_size 4k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /temp/sendfile/ {
            sendfile on;
            proxy_buffers 2 4k;
            proxy_busy_buffers_size 4k;
            proxy_buffer_size 4k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /kept {
            proxy_pass http://kept;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /unbuffered {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sub {
            sub_filter_types *;
            sub_filter_once off;
            sub_filter "x" "$arg_by";
            optcache_key sub;
            proxy_pass http://127.0.0.1:8081;
        }

        location /return {
            return 200 returned;
        }
    }

    upstream kept {
        server 127.0.0.1:8081;
        keepalive 1;
    }
}

EOF

# no two pieces of it are alike

my $large = join '', map { sprintf "%07d\n", $_ } 1 .. 100000;

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return $large if $req->{uri} =~ /temp|unbuffered|kept/;
    return "axb $req->{count}";
});

$t->run_fastcgi(8082, sub {
    my ($params) = @_;

    return "Status: 500 no\r\nCache-Control: max-age=60\r\n\r\nerror"
        if $params->{REQUEST_URI} =~ /error/;
    return "Set-Cookie: a=b\r\n\r\ncookie"
        if $params->{REQUEST_URI} =~ /cookie/;
    return "Content-Type: text/x-own\r\nX-Own: a\r\n\r\n$large";
});

mkdir $t->testdir() . "/$_" for qw/ file index /;
$t->write_file('file/large', $large);
$t->write_file('file/empty', '');
$t->write_file('index/index.html', 'index');

$t->run();

###############################################################################

for my $uri (qw{ /fastcgi /fastcgi/unbuffered /temp/ /temp/sendfile/ /kept
                 /unbuffered /file/large /sendfile/large })
{
    is(body(http_get($uri)), $large, "$uri whole");

    my $r = http_get($uri);
    is(header($r, 'X-Cache'), 'HIT', 'then a hit');
    is(body($r), $large, 'as whole');
}

is(header(http_get('/fastcgi'), 'X-Own'), 'a', 'FastCGI fields');

http_get('/fastcgi/error');
like(http_get('/fastcgi/error'), qr/ 500 .*X-Cache: HIT/s, 'FastCGI status');

http_get('/fastcgi/cookie');
is(header(http_get('/fastcgi/cookie'), 'X-Cache'), 'MISS', 'FastCGI cookie');

# a file that changed meanwhile

http_get('/file/empty');
$t->write_file('file/empty', 'changed');
is(body(http_get('/file/empty')), '', 'a hit does not look at the file');

http_get('/index/');
is(body(http_get('/index/')), 'index', 'an index');
like(http_get('/index'), qr/ 301 /, 'a redirect to a directory');
like(http_get('/index'), qr/^Location: \S+\/index\/\r$/m, 'and again');

is(body(http_get('/directio/large')), $large, 'directio');

# body filters run on a hit too, on what the upstream said

is(body(http_get('/sub?by=1')), 'a1b 1', 'sub_filter');
is(body(http_get('/sub?by=2')), 'a2b 1', 'on a hit');

###############################################################################
