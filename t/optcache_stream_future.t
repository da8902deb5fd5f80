#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An event with an id that is no time of today, as an application may write it,
# makes all later ones as far away.  When the stream was deleted for that, what
# was stored in Redis until then is not used: it would seem to be of after all
# that is invalidated from now on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;
use Time::HiRes qw/ time /;

my $s = Test::Nginx::Stream->new()->plan(6);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

for my $id ('1790000000000000000-0', '18446744073709551615-1')
{
    ok($s->cached('/a'), "cached, before $id");

    $redis->cmd('XADD', 'oc:invalidate', $id, 'uri', '/a');
    ok($s->gone('/a'), 'gone');

    # in Redis there is one of after that, and the stream is gone

    $s->get(0, '/a') for 1 .. 2;
    $redis->cmd('DEL', 'oc:invalidate');

    wait_for(sub { ($redis->cmd('XLEN', 'oc:invalidate') // 0) > 0 }, 10);
    select undef, undef, undef, 0.3;

    my $now = time();

    $redis->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
    select undef, undef, undef, 1.5;

    is(scalar(grep { $s->get($_, '/a') > $now } 0, 1), 2,
        'what was stored before is not used');
}

###############################################################################
