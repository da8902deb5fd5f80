#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The application is told who it is by fields that a client cannot set, and
# need not see the token.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has('http_proxy')->plan(7);

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
            proxy_set_header X-User  $token_sub;
            proxy_set_header X-Plan  $token_claim_plan;
            proxy_set_header Authorization "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /whole {
            proxy_set_header X-User  $token_sub;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('ES256', kid => 'a');

$t->write_file('keys.json', jwks($key));

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return join ' ', map { "$_=" . ($req->{headers}{$_} // '-') }
                     qw/ x-user x-plan authorization /;
});

$t->run();

###############################################################################

my $token = $key->token({ sub => 'alice', plan => 'gold' });

is(body(get('/', $token)), 'x-user=alice x-plan=gold authorization=-',
    'who it is, and no token');
is(body(get('/', $token, 'X-User' => 'bob', 'X-Plan' => 'none')),
    'x-user=alice x-plan=gold authorization=-', 'and nothing of the client');
is(body(http_get('/', headers => { 'X-User' => 'bob' })),
    'x-user=- x-plan=- authorization=-', 'nobody without a token');
is(body(get('/', $key->token({ sub => 'carol' }))),
    'x-user=carol x-plan=- authorization=-', 'no claim, no field');

my $r = get('/', substr($token, 0, -6) . 'AAAAAA', 'X-User' => 'bob');
is(status($r), 401, 'a forged one');
unlike($r, qr/x-user/, 'comes to nobody');

is(body(get('/whole', $token)),
    "x-user=alice x-plan=- authorization=Bearer $token", 'forwarded');

###############################################################################

sub get {
    my ($uri, $token, %headers) = @_;
    return http_get($uri, headers => { %headers,
                                       Authorization => "Bearer $token" });
}

###############################################################################
