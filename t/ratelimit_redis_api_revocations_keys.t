#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Which keys a revocation is written to: those of its location, else those of
# the whole configuration; if there is none that would be asked for, or one that
# is more than what is to be revoked, that is said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 sha256_hex /;
use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(35);
my $none = Test::Nginx->new();

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_blacklist on;
        }

        location /one {
            token_blacklist on;
            token_blacklist_key one:$token_digest;
            token_blacklist_key one:jti:$token_claim_jti;
            token_blacklist_key one:blocked:$token_sub;
            token_blacklist_key one:closed;
            token_blacklist_since_key one:since:$token_sub;
        }

        location /two {
            token_blacklist on;
            token_blacklist_key two:$token_digest;
            token_blacklist_since_key two:since:$token_sub;
        }
    }

    server {
        listen 127.0.0.1:8081;

        token_jwt_keys %%TESTDIR%%/keys.json;

        location /all/ {
            ratelimit_redis_api write=on;
        }

        location /unverified/ {
            ratelimit_redis_api write=on;
            token_jwt_keys off;
            token_blacklist_key own:$token_claim_jti;

            limit_except GET {
                allow all;
            }
        }

        location /own/ {
            ratelimit_redis_api write=on;
            token_blacklist_key own:$token_digest:$TOKEN_sub;
            token_blacklist_key own:$token_claim_iss:${token_claim_jti};
            token_blacklist_key own:$arg_x:$token_claim_jti;
            token_blacklist_since_key own:$token_user:$token_user;
        }

        location /cannot/ {
            ratelimit_redis_api write=on;
            token_blacklist_key own:$token_sub;
            token_blacklist_key own:constant;
            token_blacklist_key own:$http_x;
            token_blacklist_since_key own:constant;
        }

        location /two/ {
            ratelimit_redis_api write=on;
            token_blacklist_since_key own:$token_sub:$token_claim_iss;
        }
    }
}

EOF

$none->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_blacklist_key x:$token_digest;

    server {
        listen 127.0.0.1:8082;

        location /all/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

my $secret = 'a secret that is long enough for HS256';

$t->write_file('keys.json', '{"keys":[{"kty":"oct","alg":"HS256",'
               . '"k":"' . encode_base64url($secret) . '"}]}');

my $redis = $t->run_redis();

$t->run();
$none->run();

###############################################################################

my $token = token('{"sub":"alice","iss":"i","jti":"j"}');
my $hex = sha256_hex($token);

# of all locations, but no key that is of other tokens, too

is(status(post('all', 'token', $token)), 204, 'a token, in all');
is(written(), "blacklist:$hex one:$hex one:jti:j two:$hex", 'its own keys');
is(status(post('all', 'token', 'opaque')), 204, 'an opaque token, in all');
is(written(), join(' ', map { "$_:" . sha256_hex('opaque') }
                            qw/ blacklist one two /), 'its digest');
is(status(post('all', 'jti', 'j')), 204, 'a jti, in all');
is(written(), 'one:jti:j', 'where it is asked for');
is(status(post('all', 'user', 'alice')), 204, 'a user, in all');
is(written(), 'one:since:alice two:since:alice', 'each time');
is(status(post('all', 'sub', 'alice')), 204, 'a subject, in all');
is(written(), 'one:since:alice two:since:alice', 'is that user');

# of one location

is(status(post('own', 'token', $token)), 204, 'a token');
is(written(), "own:$hex:alice own:i:j", 'by what it says');
is(status(post('own', 'user', 'u')), 204, 'a user');
is(written(), 'own:u:u', 'of one variable, twice');
is(status(post('own', 'token', token('{"sub":"s"}'))), 204,
    'a token without some claims');
like(written(), qr/^own:\w{64}:s$/, 'by the others');

for (['own', 'token', 'opaque'], ['own', 'jti', 'j'],
     ['unverified', 'token', $token], ['cannot', 'token', $token],
     ['cannot', 'jti', 'j'], ['cannot', 'user', 'u'], ['two', 'user', 'u'],
     ['own', 'sub', 's'], ['cannot', 'sub', 's'], ['two', 'sub', 's'])
{
    my $r = post(@$_);

    is(status($r) . ' ' . written(), '422 ', "$_->[0]: no key of a $_->[1]");
}

is(status(post('unverified', 'jti', 'j')), 204, 'a jti needs no keys');
is(written(), 'own:j', 'is one by itself');

# where nobody checks

for (qw/ token jti user sub /) {
    is(status(post('all', $_, 'x', port => 8082)), 422,
        "no token is checked: $_");
}

# in a location of those that were revoked

post('all', 'token', 'checked');
is(get('/x', 'checked'), 401, 'refused by the default key');
is(get('/one', 'checked'), 401, 'refused by one of several');
is(get('/two', 'checked'), 401, 'refused by another');

###############################################################################

sub post {
    my ($at, $kind, $value, %o) = @_;

    return http_post("/$at/revocations", body => qq/{"$kind":"$value"}/,
                     headers => { 'Content-Type' => 'application/json' },
                     port => 8081, %o);
}

sub written {
    my @keys = sort grep { !/^rl:/ } @{ $redis->cmd('KEYS', '*') };

    $redis->cmd('FLUSHALL');
    return "@keys";
}

sub get {
    my ($uri, $text) = @_;
    return status(http_get($uri, headers => { Authorization =>
                                              "Bearer $text" }));
}

sub token {
    my ($payload) = @_;

    my $input = encode_base64url('{"alg":"HS256"}') . '.'
                . encode_base64url($payload);

    return $input . '.' . encode_base64url(hmac_sha256($input, $secret));
}

###############################################################################
