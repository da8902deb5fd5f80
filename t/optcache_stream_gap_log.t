#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever deletes the stream again and again costs hits, and not a disk: that
# events may be missed is logged once a second at most, and so is that it cannot
# be read, where it is another thing at times.

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

ok($s->cached('/a'), 'cached');

my $from = time();

for (1 .. 400) {
    $redis->cmd('DEL', 'oc:invalidate');
    select undef, undef, undef, 0.002;
}

my $seconds = time() - $from;

ok($s->gone('/a'), 'gone');

my $gaps = $s->log_count(qr/may have missed/);

cmp_ok($gaps, '>', 0, 'which is logged');
cmp_ok($gaps, '<=', 2 * ($seconds + 3), 'and not each time');

$from = time();

for (1 .. 200) {
    $redis->cmd('SET', 'oc:invalidate', 'x');
    select undef, undef, undef, 0.003;
    $redis->cmd('DEL', 'oc:invalidate');
    select undef, undef, undef, 0.003;
}

$seconds = time() - $from;

my $refused = $s->log_count(qr/cannot read the stream/);

cmp_ok($refused, '>', 0, 'another thing is logged');
cmp_ok($refused, '<=', 2 * ($seconds + 3), 'and not each time, either');

###############################################################################
