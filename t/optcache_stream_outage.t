#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What was told while a host could not hear of it is in force when it can.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Test::Nginx;
use Test::Nginx::Resp;
use Test::Nginx::Stream;
use Time::HiRes qw/ sleep /;

my $s = Test::Nginx::Stream->new(
            redis => 'redis://127.0.0.1:6379 timeout=100ms')->plan(14);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

ok($s->cached('/a'), 'cached');

# told while it is stopped, which it does as soon as it goes on

$redis->suspend();

my $socket = IO::Socket::INET->new(
    PeerAddr => '127.0.0.1:' . $redis->port_number(),
);

$socket->syswrite(Test::Nginx::Resp::command('XADD', 'oc:invalidate', '*',
                                             'uri', '/a'));

ok(wait_for(sub {
    $s->log_count(qr/\[error\].*"optcache_redis_server" is down/) == 2
}), 'that it is down is logged');
sleep 2;
is(deaf(), 0, 'and not that it is asked');
ok($s->kept('/a'), 'what was stored is used');

$redis->resume();
ok($s->gone('/a'), 'told while it was stopped');
ok(wait_for(sub { again() >= 2 }), 'that they hear again is logged');

# who hears of changes is cut off just when there is one

ok($s->cached('/a'), 'cached');

$redis->cmd('MULTI');
$redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
$redis->cmd('EXEC');
ok($s->gone('/a'), 'told while they were cut off');

$s->cached('/b');
ok($s->kept('/b'), 'cached as before');
is($s->log_count(qr/may have missed/), 0, 'nothing was missed');

# it answers, and does not tell of changes

my ($deaf, $again) = (deaf(), again());

$redis->cmd('ACL', 'SETUSER', 'default', '-subscribe');
$redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
ok(wait_for(sub { deaf() >= $deaf + 2 }), 'that they do not hear is logged');

$redis->cmd('ACL', 'SETUSER', 'default', '+subscribe');
ok(wait_for(sub { again() >= $again + 2 }), 'until they hear again');

# also when it was down before, once it is back

$deaf = deaf();
$redis->kill();
sleep 2;
is(deaf(), $deaf, 'not while it is gone');

$redis->launch();
$redis->cmd('ACL', 'SETUSER', 'default', '-subscribe');
$redis->cmd('CLIENT', 'KILL', 'TYPE', 'pubsub');
ok(wait_for(sub { deaf() >= $deaf + 2 }),
    'but when it is back, and they do not');

###############################################################################

sub deaf { $s->log_count(qr/\[warn\].*does not hear of invalidations/) }

sub again {
    return $s->log_count(
        qr/\[notice\].*hears of invalidations again, after \d+ ms/);
}

###############################################################################
