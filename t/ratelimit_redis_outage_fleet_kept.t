#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis is killed under load and comes back with what it knew: four hosts
# together admit no more than a tenth above the limit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::LimitHosts;
use Test::Nginx::Load;

my $hosts = Test::Nginx::LimitHosts->new()->plan(19);
my @uris = $hosts->uris();
my $redis = $hosts->run(args => ['--appendonly', 'yes']);

###############################################################################

# 400 of each are let in, 500 or so more are asked for while Redis is away,
# and far more than are left when it is back

my $load = Test::Nginx::Load->start(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 12000, rate => 3000, tell => 'X-Status',
);

ok($load->until(sub { $_[0]->{passed} >= 1600 }), 'some have passed');
$redis->kill();

my $done = $load->{done};

ok($load->until(sub { $_[0]->{done} >= $done + 2000 }), 'Redis is away');
$redis->launch();

$load->finish();

is($load->{errors}, 0, 'nobody is left without an answer');
ok($hosts->met($redis), 'the hosts meet again');
ok($hosts->settled(), 'and settle');

# what hosts admitted meanwhile was told to Redis

my $after = Test::Nginx::Load->run(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 4000, tell => 'X-Status',
);

for my $uri (@uris) {
    my $passed = $load->passed($uri) + $after->passed($uri);

    cmp_ok($passed, '<=', 1100, "$uri: at most a tenth too many");
    cmp_ok($passed, '>=', 800, "$uri: and not much less than the limit");
    cmp_ok($load->told($uri, qr/LOCAL_PASSED/), '>', 50,
        "$uri: some by shares");

    diag("$uri: $passed passed, ", $load->told($uri, qr/200 LOCAL/),
         " by shares, ", $after->passed($uri), ' long after');
}

is(scalar(grep { $after->told($_, qr/LOCAL/) } @uris), 0,
    'Redis decides again');
is($hosts->log_count(qr/redis has forgotten the limits/), 0,
    'and has forgotten nothing');

###############################################################################
