#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token is verified wherever it may be and wherever a request may go: cookie,
# argument, HTTP/2, internal redirects, error pages and the blocks within a
# location.  A subrequest is not refused, but sees no claim of a bad token.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()
    ->has('http_v2', 'http_auth_request', 'http_rewrite', 'http_proxy')
    ->plan(58);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_jwt_keys %%TESTDIR%%/keys.json;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location /cookie {
            token_source $cookie_session;
            token_required on;
        }

        location /arg {
            token_source $arg_token;
            token_required on;
        }

        # subrequests

        location /auth {
            auth_request /check;
        }

        location /auth/none {
            token_jwt_keys off;
            auth_request /check;
        }

        location = /check {
            internal;
            token_required on;
            proxy_pass http://127.0.0.1:8081;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Sub $token_sub;
        }

        location /auth/claim {
            token_jwt_keys off;
            auth_request /check/claim;
        }

        location = /check/claim {
            internal;

            if ($token_sub = "") {
                return 401;
            }

            return 204;
        }

        # redirects

        location /rewrite {
            token_jwt_keys off;
            rewrite ^ /strict last;
        }

        location /try {
            token_jwt_keys off;
            try_files /nosuch /strict;
        }

        location /try/named {
            token_jwt_keys off;
            try_files /nosuch @named;
        }

        location /index/ {
            token_jwt_keys off;
            index strict.txt;
        }

        location = /index/strict.txt {
            token_required on;
        }

        location /accel {
            token_jwt_keys off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /strict {
            internal;
            token_required on;
            add_header X-Sub $token_sub;
        }

        location @named {
            token_required on;
            root %%TESTDIR%%/named;
        }

        # off, after it was verified

        location /open {
            rewrite ^ /free last;
        }

        location /free {
            token_jwt_keys off;
            add_header X-Sub "<$token_sub>" always;
        }

        # error pages

        location /error {
            error_page 401 /login;
        }

        location /login {
            token_jwt_keys off;
            token_required off;
            add_header X-Sub "<$token_sub>" always;
        }

        location /error/named {
            error_page 401 = @login;
        }

        location @login {
            token_jwt_keys off;
            return 302 http://id.example.com/;
        }

        location /error/strict {
            error_page 401 /strict;
        }

        location /error/404 {
            token_jwt_keys off;
            error_page 404 /strict;
        }

        # blocks within a location

        location /if {
            token_required on;

            if ($arg_if) {
                add_header X-Sub $token_sub always;
            }
        }

        location /claim {
            if ($token_sub != alice) {
                return 403;
            }
        }

        location /except {
            token_required on;
            error_page 405 =200 /free;

            limit_except GET {
                deny 127.0.0.2;
            }
        }

        location /satisfy {
            satisfy any;
            allow all;
            token_required on;
        }
    }

    server {
        listen 127.0.0.1:8081;

        token_jwt_keys off;

        location / {
            return 200 "sub=$http_x_sub";
        }

        location /accel {
            add_header X-Accel-Redirect /strict;
            return 200 "";
        }
    }

    server {
        listen 127.0.0.1:8082 http2;

        token_required on;

        location / {
            add_header X-Sub $token_sub;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('ES256');
my $good = $key->token({ sub => 'alice' });
my $bad = Test::Nginx::Token->new('ES256')->token({ sub => 'mallory' });
my $expired = $key->token({ sub => 'alice', exp => 1000 });

mkdir $t->testdir() . "/$_" for qw! auth named named/try index error !;
$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS')
    for qw! x cookie arg auth/x auth/none auth/claim strict index/strict.txt
            named/try/named free login if claim except satisfy open error/x !;
$t->run();

###############################################################################

my $r;

# where it is

for (['a cookie', sub { http_get('/cookie',
                            headers => { Cookie => "a=b; session=$_[0]" }) }],
     ['an argument', sub { http_get("/arg?a=b&token=$_[0]") }],
     ['HTTP/2', sub { http2_get('/x', port => 8082,
                          headers => { authorization => "Bearer $_[0]" }) }])
{
    my ($what, $get) = @$_;

    is(status($get->($good)), 200, "$what, good");
    is(status($get->($bad)), 401, "$what, bad");
    is(status($get->('')), 401, "$what, none");
}

is(status(http_get('/cookie', headers => bearer($good))), 401,
    'a field where it should be a cookie');
is(status(http_get("/arg?token=$good&token=$bad")), 401, 'two arguments');

$r = http2_get('/x', port => 8082, headers => bearer_lower($good));
is(header($r, 'X-Sub'), 'alice', 'claims by HTTP/2');
$r = http2_get('/x', port => 8082);
is(header($r, 'WWW-Authenticate'), 'Bearer', 'challenge by HTTP/2');

# subrequests

is(status(get('/auth/x', $good)), 200, 'auth_request, good');
is(status(get('/auth/x', $bad)), 401, 'auth_request, bad');
is(status(get('/auth/x', $expired)), 401, 'auth_request, expired');
is(status(get('/auth/none', $bad)), 200, 'refused by the location only');
is(status(get('/auth/claim', $good)), 200, 'a claim for auth_request, good');
is(status(get('/auth/claim', $bad)), 401, 'a claim for auth_request, bad');
is(status(get('/auth/claim')), 401, 'a claim for auth_request, none');

# redirects

for my $uri (qw! /rewrite /try /try/named /index/ /accel !) {
    is(status(get($uri, $good)), 200, "$uri, good");
    is(status(get($uri, $bad)), 401, "$uri, bad");
    is(status(get($uri)), 401, "$uri, none");
}

is(header(get('/rewrite', $good), 'X-Sub'), 'alice', 'claims after that');

$r = get('/open', $good);
is(header($r, 'X-Sub'), '<>', 'off: nothing was verified');
is(status(get('/open', $bad)), 200, 'before it was looked at');

# error pages

$r = get('/error/x', $bad);
is(status($r) . body($r), '401SEE-THIS', 'an error page');
is(header($r, 'X-Sub'), '<>', 'without claims');
is(join('; ', header($r, 'WWW-Authenticate')), 'Bearer error="invalid_token"',
    'one challenge');
is(status(get('/error/x', $good)), 200, 'nothing of it with a good token');
is(status(get('/error/named', $bad)), 302, 'a login elsewhere');
is(status(get('/error/strict', $bad)), 401, 'an error page that refuses');
is(status(get('/error/404', $good)), 404, 'an error page, good');
unlike(get('/error/404', $bad), qr/SEE-THIS/, 'an error page, bad');

# blocks

is(status(get('/if?if=1', $bad)), 401, 'if, bad');
is(status(get('/if?if=1')), 401, 'if, none');
is(header(get('/if?if=1', $good), 'X-Sub'), 'alice', 'if, good');
is(status(get('/claim', $good)), 200, 'if of a claim, good');
is(status(get('/claim', $bad)), 403, 'if of a claim, bad');
is(status(http_post('/except', headers => bearer($bad))), 401,
    'limit_except, bad');
is(status(http_post('/except')), 401, 'limit_except, none');
is(status(http_post('/except', headers => bearer($good))), 200,
    'limit_except, good');
is(status(get('/except', $bad)), 401, 'not limited, bad');

for my $block ('if ($arg_a) {', 'limit_except GET {') {
    my ($code, $said) = $t->conf_check(
        location => "$block token_required on; }");

    like($said, qr/"token_required" directive is not allowed here/, $block);
}

is(status(get('/satisfy', $bad)), 401, 'satisfy any lets no bad token in');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => bearer($token));
}


sub bearer_lower { return { authorization => "Bearer $_[0]" } }

###############################################################################
