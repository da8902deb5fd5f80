#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A limit is used up when Redis is killed, and when it comes back empty: nobody
# gets in again, on any host.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::LimitHosts;
use Test::Nginx::Load;

my $hosts = Test::Nginx::LimitHosts->new()->plan(12);
my @uris = $hosts->uris();
my $redis = $hosts->run();

###############################################################################

# each subject uses up its limit, and each host hears so

my $load = Test::Nginx::Load->run(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 8000, tell => 'X-Status',
);

is(join(' ', map { $load->passed($_) } @uris), '1000 1000 1000 1000',
    'all used up');

$load = Test::Nginx::Load->start(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 9000, rate => 3000, tell => 'X-Status',
);

ok($load->until(sub { $_[0]->{done} >= 1000 }), 'some are refused');
$redis->kill();

# nobody asks for what is known to be used up: others make it known that Redis
# is away

my $other = 0;
my $away = sub {
    return http_get('/fixed?a=other' . $other++, port => 8080 + $other % 4)
        =~ /X-Status: LOCAL/;
};

ok(wait_for($away), 'Redis is away');
ok($load->until(sub { $_[0]->{done} >= 4000 }), 'and some more');
$redis->launch();

$load->finish();

is($load->{errors}, 0, 'nobody is left without an answer');
ok($hosts->met($redis), 'the hosts meet again');

my $after = Test::Nginx::Load->run(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 4000, tell => 'X-Status',
);

for my $uri (@uris) {
    is($load->passed($uri) + $after->passed($uri), 0, "$uri: nobody gets in");
}

ok($hosts->log_count(qr/redis has forgotten the limits/),
    'though Redis had forgotten them');

# nor whoever is met by a host that knows nothing but what Redis was told

$hosts->restart(0);

is(join(' ', map { status(http_get($_)) } @uris), '429 429 429 429',
    'it was told');

###############################################################################
