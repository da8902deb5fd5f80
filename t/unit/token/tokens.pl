#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Tokens by Crypt::JWT, whose cryptography is libtomcrypt's, for
# ngx_token_interop.c: lines of "good", algorithm, keys, token, by tabs.  Keys
# are a JWKS, or PEM with "|" for the ends of its lines.

use strict;
use warnings;

use Crypt::JWT qw/ encode_jwt /;
use Crypt::Misc qw/ encode_b64u /;
use Crypt::PK::ECC;
use Crypt::PK::Ed25519;
use Crypt::PK::RSA;
use JSON::PP;

my $payload = { iss => 'https://issuer.example', sub => "u-\x{e9}",
                exp => 4102444800, roles => ['a', 'b'], n => 1.5 };


sub line {
    my ($alg, $keys, $key, %header) = @_;

    my $token = encode_jwt(payload => $payload, alg => $alg, key => $key,
                           extra_headers => { typ => 'JWT', %header });

    $keys =~ s/\r?\n/|/g;

    print join("\t", 'good', $alg, $keys, $token), "\n";
}


sub set {
    my ($jwk) = @_;

    return JSON::PP->new()->canonical()->encode({ keys => [$jwk] });
}


my $secret = join('', map { chr(33 + $_) } 0 .. 63);
my %oct = (kty => 'oct', k => encode_b64u($secret), kid => 's 1');

line($_, set(\%oct), $secret, kid => 's 1') for qw/ HS256 HS384 HS512 /;

my $rsa = Crypt::PK::RSA->new();
$rsa->generate_key(256);

my $jwk = $rsa->export_key_jwk('public', 1);

for my $alg (qw/ RS256 RS384 RS512 PS256 PS384 PS512 /) {
    line($alg, set({ %$jwk, kid => 'r', alg => $alg, use => 'sig' }), $rsa,
         kid => 'r');
    line($alg, $rsa->export_key_pem('public_x509'), $rsa);
}

for (['ES256', 'secp256r1'], ['ES384', 'secp384r1'], ['ES512', 'secp521r1']) {
    my ($alg, $curve) = @$_;

    my $ec = Crypt::PK::ECC->new();
    $ec->generate_key($curve);

    line($alg, set($ec->export_key_jwk('public', 1)), $ec);
    line($alg, $ec->export_key_pem('public_short'), $ec, kid => 'none');
}

my $ed = Crypt::PK::Ed25519->new();
$ed->generate_key();

line('EdDSA', set($ed->export_key_jwk('public', 1)), $ed);
line('EdDSA', $ed->export_key_pem('public'), $ed);
