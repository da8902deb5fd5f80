#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a token says of itself: its times, give or take the leeway, and what is
# required of its issuer, audience, type and other claims.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new();

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;
        add_header X-Status $token_status always;
        add_header X-Exp "<$token_exp>" always;

        location / {
        }

        location /leeway {
            token_jwt_leeway 10m;
        }

        location /iss {
            token_jwt_require iss=https://id.example.com;
        }

        location /aud {
            token_jwt_require aud=api aud=https://api.example.com;
        }

        location /typ {
            token_jwt_require typ=at+jwt;
        }

        location /claim {
            token_jwt_require realm.plan=gold realm.plan=silver;
            token_jwt_require level=3;
        }

        location /all {
            token_jwt_require iss=i aud=a typ=JWT;
            token_jwt_require jti=1;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ x leeway iss aud typ claim all /;

my $now = time();
my $i = 'https://id.example.com';

# where, the payload, "ok" or the class of why not, [typ]

my @cases = (
    ['/x', {}, 'ok'],

    # exp, nbf and iat

    ['/x', { exp => $now + 600 }, 'ok'],
    ['/x', { exp => $now - 1 }, 'expired'],
    ['/x', { exp => $now }, 'expired'],
    ['/x', { exp => 0 }, 'expired'],
    ['/x', { exp => -1 }, 'expired'],
    ['/x', '{"exp":' . ($now + 600) . '.5}', 'ok'],
    ['/x', '{"exp":' . ($now - 1) . '.999}', 'expired'],
    ['/x', '{"exp":4.1024448e9}', 'ok'],
    ['/x', '{"exp":9007199254740991}', 'ok'],
    ['/x', '{"exp":9007199254740992}', 'malformed'],
    ['/x', '{"exp":1e400}', 'malformed'],
    ['/x', '{"exp":"' . ($now + 600) . '"}', 'malformed'],
    ['/x', '{"exp":null}', 'malformed'],
    ['/x', '{"exp":[' . ($now + 600) . ']}', 'malformed'],
    ['/x', '{"exp":true}', 'malformed'],
    ['/x', '{"exp":1,"exp":' . ($now + 600) . '}', 'malformed'],
    ['/x', '{"exp":1,"\u0065xp":' . ($now + 600) . '}', 'malformed'],
    ['/x', '{"EXP":1}', 'ok'],

    ['/x', { nbf => $now - 1 }, 'ok'],
    ['/x', { nbf => $now + 600 }, 'not_yet'],
    ['/x', '{"nbf":"1"}', 'malformed'],
    ['/x', { nbf => $now + 600, exp => $now + 300 }, 'not_yet'],
    ['/x', { nbf => $now - 600, exp => $now - 300 }, 'expired'],

    ['/x', { iat => $now - 600 }, 'ok'],
    ['/x', { iat => $now + 600 }, 'ok'],
    ['/x', '{"iat":"now"}', 'malformed'],

    ['/leeway', { exp => $now - 300 }, 'ok'],
    ['/leeway', { exp => $now - 601 }, 'expired'],
    ['/leeway', { nbf => $now + 300 }, 'ok'],
    ['/leeway', { nbf => $now + 1200 }, 'not_yet'],

    # what is required

    ['/iss', { iss => $i }, 'ok'],
    ['/iss', { iss => "$i/" }, 'issuer'],
    ['/iss', { iss => uc $i }, 'issuer'],
    ['/iss', { iss => "$i\0" }, 'malformed'],
    ['/iss', { iss => [$i] }, 'malformed'],
    ['/iss', { iss => '' }, 'issuer'],
    ['/iss', {}, 'issuer'],
    ['/iss', '{"iss":"https:\/\/id.example.\u0063om"}', 'ok'],

    ['/aud', { aud => 'api' }, 'ok'],
    ['/aud', { aud => 'https://api.example.com' }, 'ok'],
    ['/aud', { aud => ['other', 'api'] }, 'ok'],
    ['/aud', { aud => 'api2' }, 'audience'],
    ['/aud', { aud => 'other,api' }, 'audience'],
    ['/aud', { aud => ['other'] }, 'audience'],
    ['/aud', { aud => [] }, 'audience'],
    ['/aud', { aud => ['api', 1] }, 'malformed'],
    ['/aud', { aud => [['api']] }, 'malformed'],
    ['/aud', { aud => { api => 1 } }, 'malformed'],
    ['/aud', {}, 'audience'],

    ['/typ', {}, 'ok', 'at+jwt'],
    ['/typ', {}, 'ok', 'AT+JWT'],
    ['/typ', {}, 'ok', 'application/at+jwt'],
    ['/typ', {}, 'type', 'JWT'],
    ['/typ', {}, 'type', 'at+jwt2'],
    ['/typ', {}, 'type', ''],
    ['/typ', { typ => 'at+jwt' }, 'type'],
    ['/x', {}, 'ok', 'whatever'],

    ['/claim', { realm => { plan => 'gold' }, level => 3 }, 'ok'],
    ['/claim', { realm => { plan => 'silver' }, level => '3' }, 'ok'],
    ['/claim', { 'realm.plan' => 'gold', level => 3 }, 'ok'],
    ['/claim', { realm => { plan => 'free' }, level => 3 }, 'claim'],
    ['/claim', { realm => { plan => 'gold' }, level => 4 }, 'claim'],
    ['/claim', { realm => { plan => 'gold' } }, 'claim'],
    ['/claim', { plan => 'gold', level => 3 }, 'claim'],

    ['/all', { iss => 'i', aud => 'a', jti => 1 }, 'ok', 'JWT'],
    ['/all', { iss => 'i', aud => 'a', jti => '1' }, 'ok', 'JWT'],
    ['/all', { iss => 'j', aud => 'a', jti => 1 }, 'issuer', 'JWT'],
    ['/all', { iss => 'i', aud => 'b', jti => 1 }, 'audience', 'JWT'],
    ['/all', { iss => 'i', aud => 'a', jti => 2 }, 'claim', 'JWT'],
    ['/all', { iss => 'i', aud => 'a', jti => 1 }, 'type'],

    # payloads that say nothing, or too much

    ['/x', '[]', 'malformed'],
    ['/x', '"a"', 'malformed'],
    ['/x', '', 'malformed'],
    ['/x', '{"sub":{}}', 'malformed'],
    ['/x', '{"sub":"a\nb"}', 'malformed'],
    ['/x', '{"jti":1.5}', 'malformed'],
    ['/x', '{"a":' . '[' x 9 . ']' x 9 . '}', 'malformed'],
);

$t->plan(@cases + 3)->run();

###############################################################################

for (@cases) {
    my ($uri, $claims, $expected, $typ) = @$_;

    my $token = $key->token($claims, defined $typ ? (typ => $typ) : ());
    my $r = get($uri, $token);
    my $name = ref $claims ? JSON::PP->new()->canonical()->encode($claims)
                           : $claims;

    is(status($r) . ' ' . header($r, 'X-Status'),
        ($expected eq 'ok' ? 200 : 401) . " $expected",
        "$uri $name" . (defined $typ ? " $typ" : ''));
}

is(header(get('/x', $key->token({ exp => 4102444800 })), 'X-Exp'),
    '<4102444800>', '$token_exp');
is(header(get('/x', $key->token({})), 'X-Exp'), '<>', 'empty without exp');
is(header(get('/x', $key->token({ exp => 1 })), 'X-Exp'), '<>',
    'and of a token that is refused');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => bearer($token));
}

###############################################################################
