#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Tokens of every kind of key are verified; one that is not good is answered as
# RFC 6750, section 3 says, always in the same words, and none at all is no
# error unless a token is required.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw/ decode_base64url encode_base64url /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my @algorithms = qw/ HS256 RS256 PS256 ES256 ES384 ES512 EdDSA /;

my $t = Test::Nginx->new()->plan(4 * @algorithms + 34);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;

        location / {
        }

        location /status {
            add_header X-Status $token_status always;
            add_header X-Sub $token_sub always;
        }

        location /required {
            token_required on;
        }

        location /rs {
            token_jwt_algorithms RS256 RS384;
        }
    }
}

EOF

my %key = map { $_ => Test::Nginx::Token->new($_, kid => $_) } @algorithms;
my %other = map { $_ => Test::Nginx::Token->new($_, kid => $_) } @algorithms;

$t->write_file('keys.json', jwks(@key{@algorithms}));
$t->write_file($_, 'SEE-THIS') for qw/ x status required rs /;
$t->run();

###############################################################################

my $claims = { sub => 'alice' };
my $r;

for my $alg (@algorithms) {
    my $token = $key{$alg}->token($claims);

    $r = get('/status', $token);
    is(status($r) . ' ' . header($r, 'X-Sub'), '200 alice', $alg);
    is(header($r, 'WWW-Authenticate'), undef, "$alg: no challenge");

    is(refused($other{$alg}->token($claims)), 'signature',
        "$alg: another key");

    # what somebody else says under the same signature

    my ($head, undef, $signature) = split /\./, $token;
    my $mallory = encode_base64url('{"sub":"mallory"}');

    is(refused("$head.$mallory.$signature"), 'signature',
        "$alg: other claims");
}

my $alg_of_key = $key{RS256}->token($claims, alg => 'PS512', kid => undef);
is(status(get('/x', $alg_of_key)), 200, 'another algorithm of a key');

# OpenSSL takes one that lacks its leading zero, which is another text

my ($text, $mac) = ('', 'x');

for (my $n = 0; ord $mac; $n++) {
    ($text, $mac) = $key{PS256}->token({ n => $n }) =~ /^(.*)\.(.*)/;
    $mac = decode_base64url($mac);
}

is(refused(join '.', $text, encode_base64url(substr $mac, 1)), 'signature',
    'a signature without its zero');
is(status(get('/x', join '.', $text, encode_base64url($mac))), 200, 'with it');

# whatever is wrong, the client is told the same

my $good = $key{HS256}->token($claims);
my $first = get('/x', $other{HS256}->token($claims));

is(status($first), 401, 'refused');
is(join('; ', header($first, 'WWW-Authenticate')),
    'Bearer error="invalid_token"', 'one challenge');
is(header($first, 'Content-Type'), 'application/problem+json', 'a problem');
unlike($first, qr/SEE-THIS/, 'nothing of the content');

my ($head, $payload, $signature) = split /\./, $good;
my $none = encode_base64url('{"alg":"none"}');

# an HMAC by who has only what everybody may have
my $confused = Test::Nginx::Token->new('HS256', secret => $key{RS256}->pem());

my @bad = (
    [expired     => $key{ES256}->token({ exp => 1000 })],
    [not_yet     => $key{ES256}->token({ nbf => 4102444800 })],
    [algorithm   => "$none.$payload.$signature"],
    [algorithm   => $confused->token($claims, kid => 'RS256')],
    [key         => $key{ES256}->token($claims, kid => 'nobody')],
    [signature   => "$head.$payload." . encode_base64url('x' x 32)],
    [malformed   => "$head.$payload"],
    [malformed   => "$head.$payload.$signature="],
    [unsupported => $key{ES256}->token($claims, crit => ['exp'])],
);

for (@bad) {
    my ($class, $token) = @$_;

    is(refused($token), $class, $class);
    is(without_date(get('/x', $token)), without_date($first),
        "$class: not told");
}

is(status(get('/x', "$none.$payload.")), 401, 'unsigned');

# token_jwt_algorithms

is(status(get('/rs', $key{RS256}->token($claims))), 200, 'RS256 of RS256');
is(status(get('/rs', $key{RS256}->token($claims, alg => 'PS256'))), 401,
    'PS256 is not allowed');
is(status(get('/rs', $key{HS256}->token($claims))), 401, 'HS256 neither');

# no token

$r = http_get('/status');
is(status($r) . ' ' . header($r, 'X-Status'), '200 none', 'no token');

$r = http_get('/required');
is(status($r), 401, 'no token where one is required');
is(header($r, 'WWW-Authenticate'), 'Bearer', 'is told no error');

$r = http_get('/required', headers => { Authorization => 'Basic YTpi' });
is(status($r) . ' ' . header($r, 'WWW-Authenticate'), '401 Bearer',
    'another scheme is no token');

is(status(get('/required', $good)), 200, 'required and there');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => bearer($token));
}


# $token_status of a token that is refused, and nothing that it says

sub refused {
    my ($token) = @_;

    my $r = get('/status', $token);
    my $sub = header($r, 'X-Sub');

    return "not refused: " . status($r) if status($r) != 401;
    return "says $sub" if defined $sub;
    return header($r, 'X-Status');
}


sub without_date { return $_[0] =~ s/^Date: [^\r]*\r\n//mir }

###############################################################################
