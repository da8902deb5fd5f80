#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A host that was not seen for seconds does not count, but is known: when it
# comes back Redis has not lost anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ time /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=9r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

my $redis = $t->run_redis();
my $key = 'rl:{fleet}';
my $now = int(time() * 1000);

$redis->cmd('ZADD', $key, $now - 20_000, 'a' x 32);
$redis->cmd('ZADD', $key, $now - 2 * 86400_000, 'b' x 32);
$redis->cmd('ZADD', $key, $now + 4_000, 'c' x 32);

# gone, from before the clock of Redis was set back
$redis->cmd('ZADD', $key, $now + 3600_000, 'd' x 32);

$t->run();

###############################################################################

wait_for(sub { hosts() > 1 });
is(hosts(), 2, 'those that were seen are counted');
ok(defined $redis->cmd('ZSCORE', $key, 'a' x 32), 'one is still known');
ok(!defined $redis->cmd('ZSCORE', $key, 'b' x 32), 'for a day');

# of this host more than it was told: an answer was lost

my ($id) = grep { !/^(.)\1+$/ && length == 32 }
               @{ $redis->cmd('ZRANGE', $key, 0, -1) };
my $beats = $redis->calls('zadd');

$redis->cmd('ZADD', $key, $now + 20_000, $id);
ok(wait_for(sub { $redis->calls('zadd') > $beats + 2 }), 'goes on');
is($t->log_count(qr/redis has forgotten/), 0, 'with what Redis knows');

# and if Redis has lost it

$t->expect_log(qr/redis has forgotten the limits/);
$redis->cmd('DEL', $key);
ok(wait_for(sub { $t->log_count(qr/redis has forgotten/) }), 'but then');

###############################################################################

sub hosts {
    my $r = http_get('/api/status');
    my ($n) = $r =~ /"hosts":\s*(\d+)/;
    return $n // 0;
}

###############################################################################
