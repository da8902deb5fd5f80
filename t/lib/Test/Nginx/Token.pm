package Test::Nginx::Token;

# Copyright (C) The Optcache authors

# Keys, and tokens signed with them, by Crypt::JWT: its cryptography is that of
# libtomcrypt, so that nothing of OpenSSL's is checked by OpenSSL.  A test that
# uses this is skipped if Crypt::JWT is not there.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/ jwks bearer /;

use JSON::PP;
use MIME::Base64 qw/ encode_base64url /;
use Test::More ();


my %curves = (ES256 => 'secp256r1', ES384 => 'secp384r1',
              ES512 => 'secp521r1');

my $json = JSON::PP->new()->canonical()->utf8();


sub import {
    eval {
        require Crypt::JWT;
        require Crypt::PK::ECC;
        require Crypt::PK::Ed25519;
        require Crypt::PK::RSA;
        1;
    } or Test::More::plan(skip_all => 'no Crypt::JWT available');

    __PACKAGE__->export_to_level(1, @_);
}


# new('RS256', kid => 'a', ...): a key of its own for this algorithm.  What
# else is given are members of its JWK ("use", "alg"); a "secret" is taken.

sub new {
    my ($class, $alg, %o) = @_;

    my $secret = delete $o{secret};
    my $self = bless { alg => $alg, members => \%o }, $class;

    if ($alg =~ /^HS(\d+)/) {
        $self->{key} = $secret // join '', map { chr(33 + int rand 94) }
                                               1 .. $1 / 8;

    } elsif ($alg =~ /^[RP]S/) {
        my $pem = qx{openssl genpkey -algorithm RSA 2>/dev/null};

        $self->{key} = Crypt::PK::RSA->new(\$pem);

    } elsif ($curves{$alg}) {
        $self->{key} = Crypt::PK::ECC->new();
        $self->{key}->generate_key($curves{$alg});

    } else {
        $self->{key} = Crypt::PK::Ed25519->new();
        $self->{key}->generate_key();
    }

    return $self;
}


# The public key as a hash; of a secret there is no other.

sub jwk {
    my ($self) = @_;

    my $jwk = ref $self->{key}
              ? $self->{key}->export_key_jwk('public', 1)
              : { kty => 'oct', k => encode_base64url($self->{key}) };

    return { %$jwk, %{ $self->{members} } };
}


sub pem {
    my ($self) = @_;

    my %form = ('Crypt::PK::RSA' => 'public_x509',
                'Crypt::PK::ECC' => 'public_short');

    return $self->{key}->export_key_pem($form{ ref $self->{key} } || 'public');
}


# token({ sub => 'a', exp => 1 }, typ => 'JWT'): claims, or the payload as it
# is to be, and members of the header; "alg" stands for another algorithm.

sub token {
    my ($self, $claims, %header) = @_;

    my $alg = delete $header{alg} || $self->{alg};

    $header{kid} = $self->{members}{kid}
        if defined $self->{members}{kid} && !exists $header{kid};
    delete $header{kid} unless defined $header{kid};

    return Crypt::JWT::encode_jwt(
        payload => ref $claims ? $json->encode($claims) : $claims,
        alg => $alg, key => $self->{key}, extra_headers => \%header);
}


# The text of a JWKS.

sub jwks { return $json->encode({ keys => [map { $_->jwk() } @_] }) }


# Fields of a request with this token.

sub bearer {
    my ($token) = @_;
    return defined $token ? { Authorization => "Bearer $token" } : {};
}


1;
