#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever has a revoked token does not shorten its revocation by a logout.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location = /logout {
            token_revoke;
            token_revoke_ttl 1h;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

$redis->cmd('SET', key('ever'), 'by the application');
is(logout('ever'), 204, 'revoked for ever');
is($redis->cmd('TTL', key('ever')), -1, 'stays so');

$redis->cmd('SETEX', key('long'), 7200, 1);
is(logout('long'), 204, 'revoked for longer');
ok($redis->cmd('TTL', key('long')) > 7100, 'stays so');

$redis->cmd('SETEX', key('short'), 60, 1);
is(logout('short'), 204, 'revoked for less');
ok($redis->cmd('TTL', key('short')) > 3500, 'is so for longer');

$redis->cmd('RPUSH', key('list'), 1);
$redis->cmd('EXPIRE', key('list'), 60);
is(logout('list'), 204, 'another type');
ok($redis->cmd('TTL', key('list')) > 3500, 'does not matter');

###############################################################################

sub key { return 'blacklist:' . sha256_hex($_[0]) }


sub logout {
    my ($token) = @_;
    return status(http_post('/logout',
        headers => { Authorization => "Bearer $token" }));
}

###############################################################################
