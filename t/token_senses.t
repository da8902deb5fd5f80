#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One key may hold a time for one location, and for another one be there or
# not: what is kept of the answer to either is no answer to the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;
        token_blacklist on;

        location /there {
            token_blacklist_key user:$token_sub;
        }

        location /time {
            token_blacklist_key jti:$token_claim_jti;
            token_blacklist_since_key user:$token_sub;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');
my ($old, $new) = map { $key->token({ sub => 'a', iat => $_ }) }
                  time() - 1000, time();

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ there time /;

my $redis = $t->run_redis();
$redis->cmd('SET', 'user:a', time() - 500);

$t->run();

###############################################################################

# until what Redis says is kept

ok(wait_for(sub {
    get('/there', $new);
    my $n = $redis->calls('exists');
    get('/there', $new) for 1 .. 5;
    return $redis->calls('exists') == $n;
}, 15), 'kept');

my @got = map { get('/there', $new) . get('/time', $old) . get('/time', $new) }
          1 .. 5;

is("@got", join(' ', ('401401200') x 5), 'in either sense');

###############################################################################

sub get {
    my ($uri, $token) = @_;

    return status(http_get($uri, headers => {
        Authorization => "Bearer $token"
    }));
}

###############################################################################
