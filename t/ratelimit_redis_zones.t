#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Two zones of one request count it together or not at all, and zones with one
# key know nothing of each other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(15);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m;
    ratelimit_redis_zone $arg_b zone=b:1m rate=5r/m;
    ratelimit_redis_zone $arg_a zone=c:1m rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=b;
            ratelimit_redis zone=a;
        }

        location = /b {
            ratelimit_redis zone=b;
        }

        location = /a {
            ratelimit_redis zone=a;
        }

        location = /c {
            ratelimit_redis zone=c;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ both a b c /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# both have room three times; then one refuses, and the other is not charged

is(join(' ', map { status(http_get('/both?a=1&b=1')) } 1 .. 5),
    '200 200 200 429 429', 'the smaller limit decides');

my $r = http_get('/both?a=1&b=1');
is(header($r, 'X-RateLimit-Limit'), 3, 'a refusal tells who refuses');
like(body($r), qr/"violated-policies":\["a"\]/, 'and who does not');

$r = http_get('/b?b=1');
is(status($r), 200, 'the other zone has room');
is(header($r, 'X-RateLimit-Remaining'), 1, 'for what was refused, too');
is(used('rl:b:{1}'), 4, 'as Redis knows');
is(used('rl:a:{1}'), 3, 'in both zones');

# the same, but decided by Redis and not by what is known here: the windows
# are changed behind nginx's back

$redis->cmd('SET', 'rl:a:{2}', window(60000, 3), 'PX', 60000);
$redis->cmd('SET', 'rl:b:{2}', window(60000, 5), 'PX', 60000);

$r = http_get('/both?a=2&b=3');
is(status($r), 429, 'refused by the first of two');
is($redis->cmd('EXISTS', 'rl:b:{3}'), 0, 'which charges the second nothing');

$r = http_get('/both?a=3&b=2');
is(status($r), 429, 'refused by the second of two');
is($redis->cmd('EXISTS', 'rl:a:{3}'), 0, 'which charges the first nothing');

$redis->cmd('SET', 'rl:a:{4}', window(60000, 3), 'PX', 60000);
$redis->cmd('SET', 'rl:b:{4}', window(50000, 5), 'PX', 60000);

$r = http_get('/both?a=4&b=4');
like(body($r), qr/"violated-policies":\["a"\]/, 'another rate is not counted');

$redis->cmd('SET', 'rl:b:{5}', window(60000, 5), 'PX', 60000);
$redis->cmd('SET', 'rl:a:{5}', window(60000, 3), 'PX', 60000);

$r = http_get('/both?a=5&b=5');
like(body($r), qr/"violated-policies":\["a","b"\]/, 'both refuse');

# one key, two zones

is(status(http_get('/c?a=1')), 200, 'a zone is not another');
is(status(http_get('/c?a=1')), 429, 'with the same key');

###############################################################################

# a value as the module writes it, with a window that has just begun

sub window {
    my ($period, $used) = @_;

    my ($s, $us) = @{ $redis->cmd('TIME') };
    my $end = $s * 1000 + int($us / 1000) + $period;

    return pack('CN', 1, $period) . substr(pack('Q>', $end), 2)
           . substr(pack('Q>', $used), 2);
}


sub used {
    my ($key) = @_;
    return unpack 'Q>', "\0\0" . substr $redis->cmd('GET', $key), 11, 6;
}

###############################################################################
