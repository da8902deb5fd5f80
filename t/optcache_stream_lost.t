#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An event that Redis had, and has lost before another host read it, as when a
# replica takes over that did not have it yet: who has told of it tells again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new()->plan(4);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

ok($s->cached('/a'), 'cached');

# the other host does not read for a while

my @pids = $s->host(1)->worker_pids();

kill 'STOP', @pids;

is(status(http_post('/a', port => port(8080))), 200, 'a write');

my $told = wait_for(sub {
    my $last = $redis->cmd('XREVRANGE', 'oc:invalidate', '+', '-', 'COUNT', 1);
    return "@{ $last->[0][1] }" =~ /mark/ && $last->[0][0];
});

ok($told, 'Redis is told');

# what comes next is there, and this is not

$redis->cmd('MULTI');
$redis->cmd('XDEL', 'oc:invalidate', $told);
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/other');
$redis->cmd('EXEC');

kill 'CONT', @pids;

ok($s->gone('/a'), 'known to all');

###############################################################################
