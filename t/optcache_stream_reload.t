#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A worker that is to exit hands over: the stream is read where it was left, and
# what was read before is known.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new(workers => 2)->plan(8);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

my $reader = $s->reader(0);

ok($s->cached($_), "$_ is cached") for '/a', '/b';

ok($s->host(0)->reload(wait_old => 1), 'reload');
ok(wait_for(sub { $s->reader(0) != $reader }), 'another one reads');
ok($s->kept('/b'), 'what was stored is used');

$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok($s->gone('/a'), 'told afterwards');

# a host that begins anew knows what is not to be used of Redis

$s->host(1)->stop();
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/b');
$s->host(1)->run();
ok($s->gone('/b'), 'told while it was not there');

is($s->log_count(qr/may have missed/), 0, 'nothing was missed');

###############################################################################
