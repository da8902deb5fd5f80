#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What was let in while Redis was away is told once, though each client that
# asks then leaves before Redis has answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has(qw/ http_stub_status
        http_empty_gif /)->has_program('redis-server')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=30s
                           connect_timeout=30s;

    # of rates that are variables only requests tell

    map $arg_a $rate {
        default 20r/h;
    }

    ratelimit_redis_zone $arg_a zone=a:1m rate=$rate;
    ratelimit_redis_zone $arg_a zone=g:1m rate=$rate burst=19 algorithm=gcra;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=g nodelay;
            empty_gif;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(status(http_get('/?a=1')), 200, 'Redis counts');

$redis->stop();

is(join(' ', map { status(http_get('/?a=1')) } 1 .. 10), '200 ' x 9 . '200',
    'this host does while Redis is away');

$redis->launch();
ok(wait_for(sub { passed() }), 'Redis is back');

$redis->suspend();

for (1 .. 3) {
    my $s = http_get('/?a=1', start => 1);
    ok(busy(1), 'a client waits');
    close $s;
    busy(0);
}

$redis->cont();

is(status(http_get('/?a=1')), 200, 'another one is let in');

# 10 while Redis was away, 3 who have left, this one, and the one before that
# was lost, or was not

is(used('a'), 15, 'each was counted once');
is(used('g'), 15, 'in the bucket, too');

###############################################################################

# Redis is asked, for others.

sub passed {
    return http_get('/?a=2') && $redis->cmd('EXISTS', 'rl:a:{2}');
}


# Units of the window, and of the level, of which each is an hour.

sub used {
    my ($zone) = @_;

    my $value = $redis->cmd('GET', "rl:$zone:{1}");
    my $used = hex unpack 'x11 H12', $value;

    return $zone eq 'g' ? sprintf('%.0f', $used / 3_600_000) : $used;
}


# Whether nginx works on n requests, besides the one that asks it.

sub busy {
    my ($n) = @_;

    return wait_for(sub {
        my $r = http_get('/', port => 8082) // '';
        return $r =~ /Writing: (\d+)/ && $1 == $n + 1;
    }, 20);
}

###############################################################################
