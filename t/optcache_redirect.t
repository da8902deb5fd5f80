#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Requests that travel inside nginx: rewritten, tried, sent elsewhere by the
# upstream, or ended on an error page.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)->plan(40);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone d:1m;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /rewrite/ {
            rewrite ^/rewrite/(.*) /$1 last;
        }

        # the URI it is now is told apart, whatever the key is made of

        location /joined/ {
            rewrite ^/joined/(.*)$ /parts/$1 last;
        }

        location /parts/ {
            optcache c;
            optcache_key parts;
            proxy_pass http://127.0.0.1:8081;
        }

        location /break/ {
            optcache c;
            rewrite ^/break/(.*) /$1 break;
            proxy_pass http://127.0.0.1:8081;
        }

        # arguments may be set without a rewrite

        location /args/ {
            optcache c;
            optcache_methods GET HEAD POST;
            optcache_key "$request_uri $optcache_body";

            if ($http_x_beta) {
                set $args beta=1;
            }

            proxy_pass http://127.0.0.1:8081;
        }

        location /stripped/ {
            optcache c;
            optcache_key stripped;
            optcache_no_vary_search on;
            set $args "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /try/ {
            optcache c;
            try_files $uri @named;
        }

        location @named {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /named_off/ {
            optcache c;
            try_files $uri @off;
        }

        location @off {
            proxy_pass http://127.0.0.1:8081;
        }

        location /named_other/ {
            optcache c;
            try_files $uri @other;
        }

        location @other {
            optcache d;
            proxy_pass http://127.0.0.1:8081;
        }

        location /accel/ {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /internal/ {
            internal;
            alias %%TESTDIR%%/;
        }

        location /internal_cached/ {
            internal;
            optcache c;
            alias %%TESTDIR%%/;
        }

        location /error/ {
            optcache c;
            error_page 404 /page;
            error_page 500 =200 /page;
            error_page 502 = @fallback;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /down {
            optcache c;
            error_page 502 = @fallback;
            proxy_pass http://127.0.0.1:8082;
        }

        location @fallback {
            optcache c;
            rewrite ^ /fallback break;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [$1, {}, "error $req->{count}"]
        if $req->{uri} =~ m{^/error/(\d+)};

    return [200, { 'X-Accel-Redirect' => "/$1/file",
                   'Cache-Control' => $req->{uri} =~ /private/ ? 'private'
                                                                : 'public' },
            'never seen'] if $req->{uri} =~ m{^/accel/(\w+)};

    return "$req->{uri} $req->{count}";
});

$t->write_file('file', 'a file');
$t->run();

###############################################################################

is(twice('/rewrite/a'), 'HIT 200 /a 1', 'rewrite');
is(twice('/a'), 'HIT 200 /a 2', 'what was rewritten has a URI of its own');
is(twice('/break/a'), 'HIT 200 /a 3', 'rewrite, break');
is(twice('/try/a'), 'HIT 200 /try/a 1', 'try_files');

# arguments that were set are part of the URI

my %beta = (headers => { 'X-Beta' => 1 });

is(twice('/args/a'), 'HIT 200 /args/a 1', 'arguments as they came');
is(twice('/args/a', %beta), 'HIT 200 /args/a?beta=1 1', 'arguments set');
is(twice('/args/a'), 'HIT 200 /args/a 1', 'not what others get');

is(twice('/args/p', method => 'POST'), 'HIT 200 /args/p 1', 'of a POST');
is(twice('/args/p', method => 'POST', %beta), 'HIT 200 /args/p?beta=1 1', 'as well');

is(twice('/stripped/a?b=1'), 'HIT 200 /stripped/a 1', 'arguments taken off');
is(twice('/stripped/a?b=2'), 'HIT 200 /stripped/a 1', 'are none');

is(twice('/named_off/a'), ' 200 /named_off/a 2', 'where the cache is off')
    or diag(http_get('/named_off/a'));
is(twice('/named_other/a'), 'HIT 200 /named_other/a 1', 'where it is another');

# X-Accel-Redirect: only who asked the upstream knows who may have the file

for my $way (qw/ internal internal_cached /) {
    my $r = http_get("/accel/$way");
    is(body($r), 'a file', "X-Accel-Redirect, $way");

    $r = http_get("/accel/$way/private");
    is(body($r), 'a file', 'private');
    $r = http_get("/accel/$way/private");
    isnt(header($r, 'X-Cache'), 'HIT', 'is asked for each time');
    is($backend->count(qr{ /accel/$way/private}), 2, 'of the upstream');
}

# a URI may have a "?", as arguments have

is(twice('/joined/a%3Fb=1?c'), 'HIT 200 /parts/a%3Fb=1?c 1', 'in the URI');
is(twice('/joined/a?b=1?c'), 'HIT 200 /parts/a?b=1?c 1', 'before the arguments');
is(twice('/joined/a?b=1%3Fc'), 'HIT 200 /parts/a?b=1%3Fc 1', 'and in these');

# error pages

is(status(http_get('/error/404')), 404, 'an error page that keeps the status');
is(body(http_get('/error/404')), '/page 2', 'is not cached there');
is($backend->count(qr{/error/404}), 2, 'nor is what led to it');
is(twice('/page'), 'HIT 200 /page 3', 'nor found by its own URI');

my $r = http_get('/error/500');
is(status($r), 200, 'an error page with a status of its own');
like(body($r), qr{^/page}, 'is answered');
unlike(body(http_get('/error/500')), qr/error/, 'each time');

is(status(http_get('/error/403')), 403, 'no error page');
is(twice('/error/403'), 'HIT 403 error 1', 'an error is cached');

is(status(http_get('/down')), 200, 'a fallback');
like(body(http_get('/down')), qr{^/fallback}, 'each time');
is(status(http_get('/down', headers => { Authorization => 'a' })), 200,
    'and for a user');

is(twice('/error/502'), twice('/error/502'), 'a fallback of a status');

# and nothing that was said on the way is kept by a later request

is(status(http_get('/a')), 200, 'the first one is still there');
is(twice('/a'), 'HIT 200 /a 2', 'and a hit');
like(http_get('/error/404'), qr/^HTTP\/1.1 404/, 'as is the error');

###############################################################################

sub twice {
    my ($uri, %extra) = @_;

    my $method = delete $extra{method} // 'GET';
    my @request = ($method, $uri, body => $method eq 'POST' ? 'q' : undef,
                   %extra);

    http_request(@request);
    my $r = http_request(@request);
    return join ' ', header($r, 'X-Cache') // '', status($r), body($r) // '';
}

###############################################################################
