#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that cannot save its data refuses writes, and PING with them, but goes
# on to answer: a worker that connects to it then asks it all the same, so that
# what is revoked stays refused and the rest is let in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }

        location /allow {
            token_blacklist_on_error allow;
        }

        location /api/ {
            token_blacklist off;
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x allow /;

my $redis = $t->run_redis(args => ['--dbfilename', 'folder.rdb']);

# what it would save to is a folder

mkdir $t->testdir() . '/folder.rdb' or die "mkdir: $!\n";
$t->write_file('folder.rdb/x', '');

$redis->cmd('SET', 'blacklist:' . sha256_hex('revoked'), 1);
$redis->cmd('CONFIG', 'SET', 'save', '1 1');
$redis->cmd('BGSAVE');

ok(wait_for(sub {
    !eval { $redis->cmd('SET', 'x', 1) } && $@ =~ /MISCONF/
}), 'it refuses writes');
ok(!eval { $redis->cmd('PING') }, 'and PING');

$t->run();

###############################################################################

is(get('/x', 'good'), 200, 'a token is asked for');
is(get('/x', 'revoked'), 401, 'one that is revoked is refused');
is(get('/allow', 'revoked'), 401, 'not only where all are without Redis');

# the same for changes of keys, by which answers are kept

ok(wait_for(sub {
    my $before = $redis->calls('exists');
    get('/x', 'kept') for 1 .. 3;
    return $redis->calls('exists') == $before;
}), 'answers are kept');

# a connection that is lost is made again

$redis->cmd('CLIENT', 'KILL', 'TYPE', $_) for qw/ normal pubsub /;

ok(wait_for(sub { get('/x', 'other') == 200 }), 'again');
is(get('/allow', 'revoked'), 401, 'as before');

like(body(http_get('/api/health')), qr/"healthy"/, 'it answers');
is($t->log_count(qr/is down|does not tell/), 0, 'no outage');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return status(http_get($uri,
                           headers => { Authorization => "Bearer $token" }));
}

###############################################################################
