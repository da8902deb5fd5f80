#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token that was revoked cannot be used by writing it in another way, which
# a decoder at the backend may take for the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(46);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_blacklist on;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location = /logout {
            token_revoke;
        }

        location = /arg {
            token_source $arg_token;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x arg /;

$t->run();

###############################################################################

# the signature is 32 bytes: the last of its 43 characters has 2 bits to spare

my $token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.' . 'A' x 43;

is(status(get($token)), 200, 'a token');
is(status(http_post('/logout',
    headers => { Authorization => "Bearer $token" })), 204, 'is revoked');
is(status(get($token)), 401, 'and refused');

is(status(get("$token=")), 401, 'with padding');
is(status(get($token =~ s/A$/B/r)), 401, 'with bits that mean nothing');
is(status(http_get("/arg?token=$token=")), 401, 'from elsewhere, too');


is(status(get($token . $_)), 401, "with $_ behind it, which readers drop")
    for qw/ . .. .x .AA.AA /;

is(status(get($token =~ s/A$/E/r)), 200, 'another token is another');

# {"alg":"dir","enc":"A256GCM"}

is(status(get('eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..QUFB.QUFB.QUFB')),
    200, 'an encrypted one has five parts');

# the same word elsewhere makes none of what is signed

for my $header ('{"alg":"HS256","kid":"enc"}', '{"alg":"HS256","x":["enc"]}',
                '{"alg":"HS256","jwk":{"enc":"A"}}')
{
    my $jws = join '.', (map { encode_base64url($_) } $header, '{"sub":"a"}'),
                        'A' x 43;

    is(status(get($jws)), 200, $header);
    is(status(get($jws . '..')), 401, 'with two empty parts behind it');
    is(status(get($jws . '.AA.AA')), 401, 'with two parts behind it');
}

# of ECDSA there is another signature of the same token: s is n - s.  Whether
# the token would be accepted here does not matter, the backend decides

my %order = (
    ES256 => 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550',
    ES384 => 'f' x 48
             . 'c7634d81f4372ddf581a0db248b0a77aecec196accc52972',
    ES512 => '01' . 'f' x 64
             . 'fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e913864'
             . '08',
    ES256K =>
        'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140',
);

for my $header ('{"alg":"ES256"}', '{"alg":"ES256","zip":"DEF"}',
                '{"alg":"ES256K"}', '{"alg":"ES384"}', '{"alg":"ES512"}')
{
    my ($alg) = $header =~ /(ES\w+)/;
    my $r = '00' x (length($order{$alg}) / 2 - 1) . '01';

    my ($one, $two) = map {
        join '.', map { encode_base64url($_) } $header, '{"sub":"a"}',
                                               pack 'H*', $r . $_
    } $r, $order{$alg};

    http_post('/logout', headers => { Authorization => "Bearer $one" });

    is(status(get($one)), 401, "$header: revoked");
    is(status(get($two)), 401, "$header: the other signature, too");
}

# of RSA some take a signature without its leading zeros: what one text is
# revoked by refuses the others

for my $alg (qw/ PS256 PS384 PS512 RS256 RS384 RS512 /) {
    my ($whole, $short) = map { rsa($alg, $_) } "\0" . 'x' x 255, 'x' x 255;

    http_post('/logout', headers => { Authorization => "Bearer $whole" });

    is(join(' ', map { status(get($_)) } $whole, $short), '401 401',
        "$alg: the whole one is revoked");

    ($whole, $short) = map { rsa($alg, $_) } "\0" . 'y' x 255, 'y' x 255;

    http_post('/logout', headers => { Authorization => "Bearer $short" });

    is(join(' ', map { status(get($_)) } $whole, $short), '401 401',
        "$alg: the shorter one is revoked");
}

my @texts = map { rsa('PS256', "\0" x $_ . 'z' x 253) } 0 .. 3;

http_post('/logout', headers => { Authorization => "Bearer $texts[1]" });

is(join(' ', map { status(get($_)) } @texts), '401 401 401 401',
    'several zeros');

# and the key of what is encrypted by RSA

for my $n (0, 1) {
    my @jwe = map {
        join '.', map { encode_base64url($_) }
                  '{"alg":"RSA-OAEP","enc":"A256GCM"}', $_, "iv$n", 'x', 'tag'
    } "\0" . 'x' x 255, 'x' x 255;

    http_post('/logout', headers => { Authorization => "Bearer $jwe[$n]" });

    is(join(' ', map { status(get($_)) } @jwe), '401 401',
        'RSA-OAEP: ' . ($n ? 'the shorter' : 'the whole') . ' one is revoked');
}

###############################################################################

sub rsa {
    my ($alg, $signature) = @_;

    return join '.', map { encode_base64url($_) } qq({"alg":"$alg"}),
                                                  '{"sub":"a"}', $signature;
}


sub get {
    my ($token) = @_;

    return http_get('/x', headers => { Authorization => "Bearer $token" });
}

###############################################################################
