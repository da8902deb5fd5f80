#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis tells nobody of a SWAPDB; who has done one ends the promise by hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(3);

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
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

# kept is what nobody asks Redis for

ok(wait_for(sub { my $n = $redis->calls('exists');
                  used('good') == 200 && $redis->calls('exists') == $n }),
    'a good token is kept');

my $key = 'blacklist:' . sha256_hex('good');

$redis->cmd('SELECT', 1);
$redis->cmd('SET', $key, 1);
$redis->cmd('SELECT', 0);
$redis->cmd('SWAPDB', 0, 1);

is($redis->cmd('EXISTS', $key), 1, 'revoked in another database');
$redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');

ok(wait_for(sub { used('good') == 401 }), 'which takes the place of the first');

###############################################################################

sub used {
    my ($token) = @_;
    return status(http_get('/', headers => { Authorization => "Bearer $token" }));
}
