#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The worker that reads the stream dies, or is stuck: another one reads on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new(workers => 2)->plan(9);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

my $reader = $s->reader(0);

ok($s->cached('/a'), 'cached');

$s->host(0)->kill_worker($reader);
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok($s->gone('/a'), 'told when it was dead');
ok(wait_for(sub { $s->reader(0) != $reader }), 'another one reads');

# one that goes on has nothing to say any more

$reader = $s->reader(0);

ok($s->cached('/a'), 'cached');

kill 'STOP', $reader;
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok(wait_for(sub { $s->reader(0) != $reader }), 'another one reads');
kill 'CONT', $reader;
ok($s->gone('/a'), 'told when it was stuck');

ok($s->cached('/b'), 'cached');
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/b');
ok($s->gone('/b'), 'told afterwards');

is($s->log_count(qr/may have missed/), 0, 'nothing was missed');

###############################################################################
