#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Directives of tokens say what is wrong with a value; a file of keys is an
# error by its name and the reason, and of what is left out a warning tells.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new();
my $dir = $t->testdir();

my $keys = "token_jwt_keys $dir/good.json;";

# the directive, what is said of it

my @bad = (
    ['token_jwt_keys;', 'invalid number of arguments in "token_jwt_keys"'],
    ["$keys $keys", '"token_jwt_keys" directive is duplicate'],
    ['token_jwt_keys "";', '"token_jwt_keys" must be a file or "off"'],
    ["token_jwt_keys $dir/nosuch.json;",
     "\"$dir/nosuch.json\" of \"token_jwt_keys\" failed (2: No such file"],
    ["token_jwt_keys $dir;", "\"$dir\" must be a file of at most"],

    ['token_jwt_algorithms;', 'invalid number of arguments'],
    ['token_jwt_algorithms ES256; token_jwt_algorithms RS256;',
     '"token_jwt_algorithms" directive is duplicate'],
    (map { ["token_jwt_algorithms RS256 $_;",
            "invalid value \"$_\" of \"token_jwt_algorithms\""] }
     'none', 'None', 'rs256', 'HS128', 'RS256,ES256', 'ES256K', 'A128KW'),
    ["token_jwt_algorithms HS512; $keys",
     "\"$dir/good.json\": no key of it can be used; key 1: it is for no"],

    ['token_jwt_require;', 'invalid number of arguments'],
    (map { ["token_jwt_require iss=a $_;",
            "invalid value \"$_\" of \"token_jwt_require\""] }
     'iss', 'iss=', '=a'),

    (map { ["token_jwt_leeway $_;", 'invalid value "' . s/"//gr
            . '" of "token_jwt_leeway", it must be a time of at most 1d'] }
     '-1', '1x', 'on', '""', '86401', '25h', '99999999999999999999',
     '9223372036854775807'),
    ['token_jwt_leeway 1 2;', 'invalid number of arguments'],
    ['token_jwt_leeway 1; token_jwt_leeway 2;', 'is duplicate'],

    ['token_required yes;', 'invalid value "yes" in "token_required"'],
    ['token_blacklist 1;', 'invalid value "1" in "token_blacklist"'],
    ['token_blacklist_on_error ask;', 'invalid value "ask"'],
    ['token_blacklist_since_key;', 'invalid number of arguments'],
    ['token_blacklist_since_key $nosuch;', 'unknown "nosuch" variable'],
    ['token_blacklist_key $nosuch;', 'unknown "nosuch" variable'],
    ['token_blacklist on; ' . join(' ', map { "token_blacklist_key k$_;" }
                                        1 .. 9), 'too many'],
    ['token_source $nosuch;', 'unknown "nosuch" variable'],
    ['token_source $arg_a; token_source $arg_b;', 'is duplicate'],
);

# a file, and what is said of it

my $ec = Test::Nginx::Token->new('ES256', kid => 'e');
my $rsa = Test::Nginx::Token->new('RS256', kid => 'r');
my $jwk = $ec->jwk();
my $n = $rsa->jwk()->{n};

my $pem = $rsa->pem();
my $broken = $pem =~ s/(\n.{10})/$1-/r;
my $short = $pem =~ s/\n[^\n]+\n-----END/\n-----END/r;
my $oct = encode_base64url('s' x 31);

my @files = (
    ['', 'it is empty'],
    ["\n", 'no key in it'],
    ['ES256', 'no key in it, a JWKS or PEM was expected'],
    ['{', 'not valid JSON'],
    ['{"keys":[' . text($ec) . ']', 'not valid JSON'],
    ['{"keys":[' . text($ec) . ']} x', 'not valid JSON'],
    ['{"keys":[],"keys":[' . text($ec) . ']}', 'two members have one name'],
    ['{"keys":[' . text($ec, x => "\0") . ']}', undef],
    ['{}', 'there is no array "keys"'],
    ['{"keys":{}}', 'there is no array "keys"'],
    ['{"keys":[]}', 'no key in it'],
    ['{"keys":[' . join(',', (text($ec)) x 65) . ']}', 'more than 64 keys'],
    ['[' . text($ec) . ']', undef],
    [jwks($ec) . ' ' x 1048576, 'at most 1048576 bytes'],
    [one($ec, use => 'enc'), 'key 1: its "use" is not "sig"'],
    [one($ec, key_ops => ['sign']), 'its "key_ops" have no "verify"'],
    [one($ec, alg => 'ES384'), 'its "alg" is not for such a key'],
    [one($ec, alg => 'none'), 'an unknown "alg"'],
    [one($ec, kty => 'XYZ'), 'an unknown "kty"'],
    [one($ec, crv => 'secp256k1'), 'an unknown "crv"'],
    [one($ec, x => substr($jwk->{x}, 0, 40)), 'coordinate of the wrong length'],
    [one($ec, x => $jwk->{y}), 'not a point of its curve'],
    [one($ec, x => undef), 'no "x"'],
    [one($ec, kid => 1), '"kid" is not a string'],
    [one($ec, kid => 'k' x 257), '"kid" is not a string of up to 256 bytes'],
    [one($rsa, n => substr($n, 0, 172)), 'RSA key of less than 2048 bits'],
    [one($rsa, e => 'AQ'), 'exponent'],
    ['{"kty":"oct","k":"' . $oct . '"}', 'a secret of less than 32 bytes'],
    ['{"kty":"oct","k":"' . encode_base64url($pem) . '"}',
     'a public key in the place of a secret'],
    [$broken, 'a block of PEM is broken'],
    [$short, undef],
    [$pem =~ s/-----END.*//sr, 'a block of PEM is broken'],
);

# which are used, if one is not: it is the first of two

my @warn = (
    [one($ec, use => 'enc'), '1 of the keys in "token_jwt_keys" "FILE" are not '
     . 'used, the first is key 1: its "use" is not "sig"'],
    [one($rsa, d => 'AQAB'), '1 of the keys in "token_jwt_keys" "FILE" are '
     . 'private'],
    [one($ec), undef],
    [one($rsa, alg => 'PS256', use => 'sig', key_ops => ['verify']), undef],
);

$t->plan(@bad + 3 * @files + 3 * @warn + 4);
$t->write_file('good.json', jwks($ec));

###############################################################################

for (@bad) {
    my ($directive, $why) = @$_;
    my ($code, $said) = $t->conf_check(location => $directive);

    like("$code $said", qr/^(?!0 ).*\[emerg\] [^\n]*\Q$why\E/s,
        substr($directive, 0, 60) =~ s/\Q$dir\E/./r);
}

for (@files) {
    my ($bytes, $why) = @$_;
    my ($code, $said) = check($bytes);
    my $name = $why // 'of ' . substr $bytes, 0, 30;

    isnt($code, 0, "error: $name");
    like($said, qr!\[emerg\] [^\n]*"$dir/keys"!, "file: $name");
    like($said, qr/\[emerg\] [^\n]*keys"[^\n]*\Q${\ ($why \/\/ '') }\E/,
        "reason: $name");
}

for (@warn) {
    my ($first, $why) = @$_;
    my ($code, $said) = check('{"keys":[' . "$first," . text($ec) . ']}');
    my $name = $why // 'nothing';

    is($code, 0, "used: $name");
    unlike($said, qr/\[emerg\]/, "no error: $name");

    if (defined $why) {
        $why =~ s!FILE!$dir/keys!;
        like($said, qr/\[warn\] [^\n]*\Q$why\E/, "warning: $name");

    } else {
        unlike($said, qr/\[warn\]/, 'no warning');
    }
}

# no secret is told

my ($code, $said) = check('{"kty":"oct","k":"' . $oct . '"}');
unlike($said, qr/\Q$oct\E|sssssssss/, 'a bad secret is not told');
($code, $said) = check('{"kty":"oct","k":"' . encode_base64url('S' x 32)
                       . '",}');
unlike($said, qr/SSSSSSSS|U1NTU1NT/, 'a good one neither');

($code, $said) = check("$pem\nsome words\n" . $ec->pem());
is($code . ($said =~ /\[warn\]/ ? $said : ''), 0, 'PEM of two keys');

($code, $said) = $t->conf_check(http => $keys, server => $keys,
                                location => 'token_jwt_keys off; '
                                            . 'token_jwt_leeway 1d;');
is($code, 0, 'on every level');

###############################################################################

sub check {
    my ($bytes) = @_;

    $t->write_file('keys', $bytes);
    return $t->conf_check(server => "token_jwt_keys $dir/keys;");
}


# a JWK with these members, undef takes one away

sub one {
    my ($key, %members) = @_;
    return text($key, %members);
}


sub text {
    my ($key, %members) = @_;

    my %jwk = (%{ $key->jwk() }, %members);
    delete $jwk{$_} for grep { !defined $jwk{$_} } keys %jwk;

    return JSON::PP->new()->canonical()->encode(\%jwk);
}

###############################################################################
