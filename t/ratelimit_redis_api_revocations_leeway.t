#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token that is revoked until it expires is not accepted after that, where
# clocks are allowed to differ: the longest leeway of any location is added,
# though that of the API has none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use JSON::PP qw/ encode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(15);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    token_revoke_ttl 1m;
    token_blacklist_key digest:$token_digest;
    token_blacklist_key jti:$token_claim_jti;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_jwt_keys %%TESTDIR%%/keys.json;
            token_jwt_leeway 1h;
            token_blacklist on;

            location /less {
                token_jwt_leeway 1m;
            }
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));
$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $now = time();
my $late = $key->token({ jti => 'late', exp => $now - 60 });

is(get($late), 200, 'expired within the leeway');
is(post({ jti => 'late', exp => $now - 60 }), 204, 'can be revoked');
is(get($late), 401, 'and is refused');
within('jti:late', 3540, 'as long as it would be accepted');

is(post({ jti => 'soon', exp => $now + 60 }), 204, 'before it expires');
within('jti:soon', 3660, 'longer than until then');

is(post({ jti => 'until', until => $now + 60 }), 204, 'until a time');
within('jti:until', 60, 'until then');

my $years = 10 * 365 * 24 * 60 * 60;

is(post({ jti => 'far', exp => $now + $years - 60 }), 204, 'in ten years');
within('jti:far', $years, 'for no longer than that');
is(post({ jti => 'far', exp => $now + $years + 60 }), 422, 'nor may it be');

is(post({ jti => 'gone', exp => $now - 3600 }), 422, 'not accepted any more');

my $token = $key->token({ exp => $now + 600 });

is(post({ token => $token }), 204, 'a token');
within('digest:' . sha256_hex($token), 4200, 'its own time');

is(get($token), 401, 'is refused');

###############################################################################

sub get {
    my ($token) = @_;
    return status(http_get('/x', headers => bearer($token)));
}


sub post {
    my ($document) = @_;

    return status(http_post('/api/revocations', body => encode_json($document),
        headers => { 'Content-Type' => 'application/json' }));
}


# less than it may be the time that the test takes

sub within {
    my ($name, $most, $what) = @_;

    my $ttl = $redis->cmd('TTL', $name);

    ok($ttl > $most - 50 && $ttl <= $most + 1, $what) or diag($ttl);
}

###############################################################################
