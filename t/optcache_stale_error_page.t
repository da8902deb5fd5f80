#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An error page does not hide what is stale from a client that may have it,
# and what is stale does not hide that a client may not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite http_limit_req
        http_access http_auth_request /)->plan(43);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format told '$request_uri $status $optcache_status';
    limit_req_zone $arg_limited zone=l:1m rate=1r/m;

    optcache_zone c:8m;
    optcache_zone d:8m;
    optcache c;
    optcache_user $http_authorization;
    optcache_use_stale error timeout http_500 http_503 http_403 http_404
                       http_429;

    server {
        listen 127.0.0.1:8080;
        access_log %%TESTDIR%%/told.log told;
        proxy_intercept_errors on;

        error_page 403 404 429 500 502 503 504 /error;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location = /error {
            proxy_pass http://127.0.0.1:8082;
        }

        location /uri/off/ {
            optcache_use_stale off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /named/ {
            error_page 500 502 503 404 @named;
            proxy_pass http://127.0.0.1:8081;
        }

        location @named {
            optcache off;
            proxy_pass http://127.0.0.1:8082;
        }

        location /other-zone/ {
            error_page 500 502 503 404 = @other;
            proxy_pass http://127.0.0.1:8081;
        }

        location @other {
            optcache d;
            proxy_pass http://127.0.0.1:8082;
        }

        location /ok/ {
            error_page 500 502 503 404 =200 /error;
            proxy_pass http://127.0.0.1:8081;
        }

        location /external/ {
            error_page 500 502 503 404 http://example.com/error;
            proxy_pass http://127.0.0.1:8081;
        }

        location /passed/ {
            proxy_intercept_errors off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /recursive/ {
            recursive_error_pages on;
            error_page 500 502 503 404 = @again;
            proxy_pass http://127.0.0.1:8081;
        }

        location @again {
            recursive_error_pages on;
            error_page 502 = @named;
            optcache off;
            proxy_pass http://127.0.0.1:8083;
        }

        location /guarded/ {
            recursive_error_pages on;
            error_page 500 502 503 404 = @guard;
            proxy_pass http://127.0.0.1:8081;
        }

        location @guard {
            deny all;
            proxy_pass http://127.0.0.1:8082;
        }

        # what nginx refuses

        location /denied/ {
            auth_request /auth;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            internal;
            optcache off;
            if ($http_x_first) {
                return 204;
            }
            return 403;
        }

        location /limited/ {
            limit_req zone=l;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limited-named/ {
            limit_req zone=l;
            limit_req_status 429;
            error_page 429 503 = @named;
            proxy_pass http://127.0.0.1:8081;
        }

        location /returned/ {
            if ($http_x_first = "") {
                return 503;
            }
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# The first answer is stale.  All but those to what is refused fail then, with
# the status that the query says, or none.

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $user = $req->{headers}{authorization} // 'all';

    return [200, ['Cache-Control: max-age=60', 'Age: 100', 'ETag: "a"'],
            "stored $user"] if $req->{headers}{'x-first'};

    return undef unless $req->{uri} =~ /\?(\d+)/;
    return [$1, [], 'down'];
});

$t->run_http_backend(8082, sub { return 'a page' });

$t->run();

###############################################################################

for my $where ('', 'named/', 'other-zone/', 'ok/', 'external/', 'passed/',
               'recursive/')
{
    is(twice("/${where}a"), 'STALE 200 stored all', "/$where nobody answers");
    is(twice("/${where}a?503"), 'STALE 200 stored all', "/$where 503");
    is(twice("/${where}a?404"), 'STALE 200 stored all', "/$where 404");
}

like(twice('/uri/off/a'), qr/ 502 a page$/, 'off');
like(told(get('/none')), qr/ 502 a page$/, 'nothing is stored');
like(told(get('/named/none')), qr/ 502 a page$/, 'nothing, named');

is(twice('/a', Range => 'bytes=0-1'), 'STALE 206 st', 'a range');
is(twice('/a', 'If-None-Match' => '"a"'), 'STALE 304 ', 'a condition');
is(status(http_head('/a')), 200, 'HEAD');

# nobody's but one's own

first('/user', Authorization => 'u');
is(told(get('/user', Authorization => 'u')), 'STALE 200 stored u', 'a user');
like(told(get('/user', Authorization => 'v')), qr/ 502 a page$/,
    'has what no other has');
like(told(get('/user')), qr/ 502 a page$/, 'nor those without a user');

# what nginx says itself is no error of the upstream

unlike(twice('/guarded/a'), qr/a page/, 'a page that is refused');

for (['/denied/a', 403], ['/returned/a', 503],
     ['/limited/a?limited=1', 503], ['/limited-named/a?limited=2', 200])
{
    my ($uri, $status) = @$_;

    # stored by one who was let in, with the same key

    first($uri);
    get($uri) if $uri =~ /limited/;

    my $r = told(get($uri));
    unlike($r, qr/stored/, "$uri: refused");
    like($r, qr/ $status a page$/, "$uri: as ever");
}

# the connection goes on

first('/keep');
my $s = http_connect();

for (1 .. 3) {
    is(told(http_get('/keep', socket => $s, keepalive => 1)),
        'STALE 200 stored all', 'on a connection');
}

like($t->read_file('told.log'), qr{^/keep 200 STALE$}m, 'log');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub first {
    my ($uri, %headers) = @_;
    return get($uri, 'X-First' => 1, %headers);
}


sub twice {
    my ($uri, %headers) = @_;

    first($uri);
    return told(get($uri, %headers));
}


sub told {
    my ($r) = @_;
    return join ' ', header($r, 'X-Cache') // '', status($r), body($r) // '';
}

###############################################################################
