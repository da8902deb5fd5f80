#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who revokes a token revokes no other: a key that has nothing of this token in
# it, as of a claim that is not there, is left alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->plan(37);

$t->write_file_expand('nginx.conf', <<'EOT');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379;

    map $http_x_key $mapped {
        default       "";
        "~^k(\d+)$"   $1;
    }

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;
        token_blacklist_key digest:$token_digest;
        token_blacklist_key jti:$token_claim_jti;

        location / {
            token_blacklist on;
        }

        location = /logout {
            token_revoke;
        }

        location = /jti {
            token_blacklist_key jti:$token_claim_jti;
            token_revoke;
        }

        location = /issuer {
            token_blacklist_key jti:$token_claim_iss:${token_claim_JTI};
            token_revoke;
        }

        location = /tenant {
            token_blacklist_key user:$token_claim_tenant:$token_sub;
            token_revoke;
        }

        location = /either {
            token_blacklist_key either:$token_claim_uid$token_claim_sub;
            token_revoke;
        }

        location = /session {
            token_blacklist_key sess:$token_claim_sid$token_claim_session_state;
            token_revoke;
        }

        location = /mapped {
            token_blacklist_key mapped:$mapped;
            token_revoke;
        }

        location = /tenant_jti {
            token_blacklist_key tj:$token_claim_tenant:$token_claim_jti;
            token_revoke;
        }

        location = /host {
            token_blacklist_key host:$host:$server_name:$token_claim_jti;
            token_blacklist_key host:$token_exp:$token_claim_jti;
            token_blacklist_key host:$token_status:$token_claim_jti;
            token_blacklist_key host:$http_x_key:$token_claim_jti;
            token_blacklist_key host:$host:$mapped;
            token_revoke;
        }

        location = /cookie {
            token_source $cookie_a$cookie_b;
            token_jwt_keys off;
            token_blacklist_key cookie:$cookie_a$cookie_b;
            token_revoke;
        }

        location ~ ^/(c)apture$ {
            token_blacklist_key capture:$1:$token_claim_jti;
            token_revoke;
        }

        location = /opaque {
            token_jwt_keys off;
            token_blacklist_key jti:$token_claim_jti;
            token_revoke;
        }

        location = /all {
            token_blacklist_key all;
            token_revoke;
        }
    }
}

EOT

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));
$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my ($alice, $bob, $carol) = map { $key->token({ iss => 'i', sub => $_ }) }
                                qw/ alice bob carol /;
my $jti = $key->token({ iss => 'i', sub => 'dave', jti => '7' });

is(logout('/logout', $alice), 204, 'logged out');
is(get($alice), 401, 'refused');
is(get($bob), 200, 'another one without a jti is not');
is(keys_of('jti:'), '', 'no key of all these');

is(logout('/jti', $bob), 500, 'cannot be revoked');
is(get($carol), 200, 'and no other one is');
is(keys_of('jti:'), '', 'nothing was written');
like($t->read_file('error.log'), qr/token cannot be revoked/, 'it is told');

is(logout('/jti', $jti), 204, 'with a jti');
is(get($jti), 401, 'refused');
is(get($carol), 200, 'the others are not');

is(logout('/issuer', $bob), 500, 'of an issuer alone');
is(logout('/issuer', $jti), 204, 'of an issuer and a jti');
is(keys_of('jti:'), 'jti:7 jti:i:7', 'as it is written');

is(logout('/tenant', $bob), 204, 'of a user');
is(keys_of('user:'), 'user::bob', 'without what only adds to it');

is(logout('/either', $bob), 204, 'of a user, by either claim');
is(keys_of('either:'), 'either:bob', 'that which is there');
is(logout('/session', $bob), 500, 'of no session');

my $session = $key->token({ iss => 'i', sub => 'erin', session_state => 's' });
is(logout('/session', $session), 204, 'of a session');
is(keys_of('sess:'), 'sess:s', 'by either claim');

is(logout('/mapped', $bob), 500, 'a map that has no value');
is(logout('/mapped', $bob, 'k5'), 204, 'a map that has one');
is(keys_of('mapped:'), 'mapped:5', 'its value');

is(logout('/capture', $bob), 500, 'a part of the URI is of no token');
is(logout('/capture', $jti), 204, 'a part of the URI and a jti');
is(keys_of('capture:'), 'capture:c:7', 'as it is written');

my $tenant = $key->token({ iss => 'i', sub => 'fred', tenant => 't',
                           exp => time() + 1000 });

is(logout('/tenant_jti', $tenant), 500, 'of a tenant alone');
is(logout('/tenant_jti', $jti), 204, 'of a jti alone');
is(keys_of('tj:'), 'tj::7', 'which is enough');

is(logout('/host', $tenant), 500, 'what the host or the time says');
is(logout('/host', $tenant, 'x'), 500, 'or a field of the request');

is(status(http_post('/cookie', headers => { Cookie => 'b=opaque' })), 204,
    'the token itself');
is(keys_of('cookie:'), 'cookie:opaque', 'from where it was');

is(logout('/opaque', $jti), 500, 'not verified: nothing is known of it');

is(logout('/all', $bob), 204, 'a key without variables');
is(keys_of('all'), 'all', 'was meant so');

###############################################################################

sub get {
    my ($token) = @_;
    return status(http_get('/x', headers => bearer($token)));
}


sub logout {
    my ($uri, $token, $key) = @_;

    my $headers = bearer($token);
    $headers->{'X-Key'} = $key if defined $key;

    return status(http_post($uri, headers => $headers));
}


sub keys_of {
    my ($prefix) = @_;
    return join ' ', sort @{ $redis->cmd('KEYS', "$prefix*") };
}

###############################################################################
