#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis is killed under load, comes back empty, and is killed again when it has
# just been told what was let in meanwhile: what it was told is not lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::LimitHosts;
use Test::Nginx::Load;

my $hosts = Test::Nginx::LimitHosts->new()->plan(18);
my @uris = $hosts->uris();
my $redis = $hosts->run();

###############################################################################

# 400 of each are let in, and most of the rest by shares while Redis is away for
# the first time

my $load = Test::Nginx::Load->start(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 20000, rate => 3000, tell => 'X-Status',
);

ok($load->until(sub { $_[0]->{passed} >= 1600 }), 'some have passed');
$redis->kill();
later(2000, 'Redis is away');
$redis->launch();

ok(wait_for(sub { $redis->cmd('DBSIZE') >= 5 }, 20), 'it is told of them');
later(1500, 'and of all');
$redis->kill();
later(1500, 'it is away again');
$redis->launch();

$load->finish();

is($load->{errors}, 0, 'nobody is left without an answer');
ok($hosts->met($redis), 'the hosts meet again');
ok($hosts->settled(), 'and settle');

# all that is known was told to Redis

my $after = Test::Nginx::Load->run(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 4000, tell => 'X-Status',
);

for my $uri (@uris) {
    my $passed = $load->passed($uri) + $after->passed($uri);

    cmp_ok($passed, '<=', 1100, "$uri: at most a tenth too many");
    cmp_ok($passed, '>=', 800, "$uri: and not much less than the limit");

    diag("$uri: $passed passed, ", $load->told($uri, qr/200 LOCAL/),
         " by shares, ", $after->passed($uri), ' long after');
}

is(scalar(grep { $after->told($_, qr/LOCAL/) } @uris), 0,
    'Redis decides again');
ok($hosts->log_count(qr/redis has forgotten the limits/),
    'and it is told what it forgot');

###############################################################################

# So many requests later.

sub later {
    my ($n, $name) = @_;

    my $done = $load->{done};
    ok($load->until(sub { $_[0]->{done} >= $done + $n }), $name);
}

###############################################################################
