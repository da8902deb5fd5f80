#!/usr/bin/perl

# Copyright (C) The Optcache authors

# When the stream does not have what was read last any more, there may have been
# events that no host knows of: nothing that was stored before is used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new()->plan(15);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

ok($s->cached('/a'), 'cached');

$redis->cmd('DEL', 'oc:invalidate');
ok($s->gone('/a'), 'the stream was deleted');
is(gaps(), 2, 'which is logged once by each');

ok($s->cached('/a'), 'cached again');
$redis->cmd('FLUSHALL');
ok($s->gone('/a'), 'all was deleted');

# an event that is trimmed is no loss if it was read

ok($s->cached('/a'), 'cached again');

my $gaps = gaps();

$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/x');
select undef, undef, undef, 1.5;
$redis->cmd('XTRIM', 'oc:invalidate', 'MAXLEN', '1');
select undef, undef, undef, 1.5;
ok($s->kept('/a'), 'trimmed up to an event that was read');
is(gaps(), $gaps, 'no loss');

$redis->cmd('MULTI');
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/y');
$redis->cmd('XADD', 'oc:invalidate', 'MAXLEN', '1', '*', 'uri', '/x');
$redis->cmd('EXEC');
ok($s->gone('/a'), 'trimmed beyond it');

# an older clock is no reason to believe that nothing is new

ok($s->cached('/a'), 'cached again');
$redis->cmd('MULTI');
$redis->cmd('DEL', 'oc:invalidate');
$redis->cmd('XADD', 'oc:invalidate', '1-1', 'uri', '/x');
$redis->cmd('EXEC');
ok($s->gone('/a'), 'another stream, of long ago');
ok($s->cached('/a'), 'cached again');
$redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok($s->gone('/a'), 'which is read');

ok($s->cached('/a'), 'cached again');
$redis->restart();
ok($s->gone('/a'), 'another Redis, which knows nothing');

###############################################################################

sub gaps { return $s->log_count(qr/\[notice\].*may have missed/) }

###############################################################################
