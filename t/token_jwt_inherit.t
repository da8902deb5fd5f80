#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What tokens are verified by is inherited, each directive by itself, and can be
# changed or switched off on each level; of several keys in a file the token's
# "kid" says which.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->plan(37);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_jwt_keys http.json;
    token_jwt_require iss=a;
    token_jwt_leeway 1h;
    token_required on;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location /off {
            token_jwt_keys off;

            location /off/on {
                token_jwt_keys %%TESTDIR%%/server.json;
            }

            location /off/still {
            }
        }

        location /free {
            token_jwt_keys off;
            token_required off;
        }

        location /require {
            token_jwt_require aud=x;
        }

        location /leeway {
            token_jwt_leeway 0;
        }

        location /algorithms {
            token_jwt_algorithms ES256;

            location /algorithms/inner {
            }
        }
    }

    server {
        listen 127.0.0.1:8081;

        token_jwt_keys server.json;

        location / {
        }

        location /pem {
            token_jwt_keys keys.pem;
        }
    }
}

EOF

my @http = (Test::Nginx::Token->new('ES256', kid => 'one'),
            Test::Nginx::Token->new('ES256', kid => 'two'),
            Test::Nginx::Token->new('HS256', kid => 'three'));
my @server = (Test::Nginx::Token->new('ES256', kid => 'one'));
my @pem = map { Test::Nginx::Token->new($_) } qw/ ES256 EdDSA RS256 ES256 /;

$t->write_file('http.json', jwks(@http));
$t->write_file('server.json', jwks(@server));
$t->write_file('keys.pem', join "\n", map { $_->pem() } @pem);

mkdir $t->testdir() . "/$_" for qw/ off algorithms /;
$t->write_file($_, 'SEE-THIS')
    for qw! x off/x off/on off/still free require leeway algorithms/x
            algorithms/inner pem !;
$t->run();

###############################################################################

my $a = { iss => 'a' };
my ($one, $two, $three) = @http;

# by "kid"

is(get('/x', $one->token($a)), 200, 'a key');
is(get('/x', $two->token($a)), 200, 'another');
is(get('/x', $three->token($a)), 200, 'one of another type');
is(get('/x', $one->token($a, kid => 'two')), 401, 'a kid of another key');
is(get('/x', $one->token($a, kid => 'four')), 401, 'a kid of none');
is(get('/x', $two->token($a, kid => undef)), 200, 'without a kid');
is(get('/x', $server[0]->token($a)), 401, 'keys of another level');

# http, server, location

is(get('/x', $server[0]->token($a), 8081), 200, 'keys of a server');
is(get('/x', $one->token($a), 8081), 401, 'not those of http');
is(get('/x', $server[0]->token({ iss => 'b' }), 8081), 401,
    'a requirement of http');
is(get('/off/on', $server[0]->token($a)), 200, 'keys of a location');
is(get('/off/on', $one->token($a)), 401, 'not those of its server');
is(get('/off/on', $server[0]->token({ iss => 'b' })), 401,
    'a requirement of http, beyond off');

# off

is(get('/off/x', $server[0]->token({ iss => 'b' })), 200, 'off');
is(get('/off/x', 'opaque'), 200, 'whatever it is');
is(get('/off/x'), 401, 'but there');
is(get('/off/still', 'opaque'), 200, 'off is inherited');
is(get('/free', 'opaque'), 200, 'not required');
is(get('/free'), 200, 'nor there');

# requirements replace those of the level above

my $old = time() - 600;

is(get('/x', $one->token({})), 401, 'a requirement');
is(get('/require', $one->token({ aud => 'x' })), 200, 'another instead');
is(get('/require', $one->token($a)), 401, 'and not the first');
is(get('/require', $one->token({ aud => 'x', exp => $old })), 200,
    'the leeway of http');
is(get('/leeway', $one->token({ iss => 'a', exp => $old })), 401,
    'another leeway');
is(get('/x', $one->token({ iss => 'a', exp => $old })), 200,
    'the same token elsewhere');
is(get('/leeway', $one->token($a)), 200, 'requirements are inherited');

is(get('/algorithms/x', $one->token($a)), 200, 'an algorithm');
is(get('/algorithms/x', $three->token($a)), 401, 'not the other');
is(get('/algorithms/inner', $one->token($a)), 200, 'inherited');
is(get('/algorithms/inner', $three->token($a)), 401, 'as well');

# PEM

is(get('/pem', $pem[$_]->token($a), 8081), 200, "PEM, key $_") for 0 .. 3;
is(get('/pem', $pem[3]->token($a, kid => 'any'), 8081), 200, 'PEM has no kid');
is(get('/pem', $server[0]->token($a), 8081), 401, 'another key');
is(get('/pem', $three->token($a), 8081), 401, 'a secret');

###############################################################################

sub get {
    my ($uri, $token, $port) = @_;
    return status(http_get($uri, port => $port // 8080,
                           headers => bearer($token)));
}

###############################################################################
