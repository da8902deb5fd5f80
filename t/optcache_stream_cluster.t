#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The stream is at one master of a cluster, and follows when its slot does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new(
            redis => 'redis://127.0.0.1:7000 redis://127.0.0.1:7001 cluster'
                     . ' timeout=5s connect_timeout=5s')->plan(9);
my $cluster = $s->host(0)->run_redis_cluster();

$s->run();

###############################################################################

my $master = $cluster->master($cluster->slot('oc:invalidate'));

ok($s->cached('/a'), 'cached');

$master->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok($s->gone('/a'), 'told');

# what is invalidated at one host, which the other one hears of

told('/a', 'a host');

ok($s->cached('/a'), 'cached');

# its replica has all of it

my $replica = $cluster->replica($master);

$master->cmd('WAIT', '1', '20000');
$master->kill();
ok(wait_for(sub { $replica->info('role') eq 'master' }, 60), 'a failover');

wait_for(sub {
    eval { $replica->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a') }
}, 60);
ok($s->gone('/a'), 'told to the promoted one');

told('/a', 'a host, to the promoted one');

###############################################################################

sub told {
    my ($uri, $who) = @_;

    ok($s->cached($uri), 'cached');
    http_request('DELETE', $uri, port => port(8080));
    ok($s->gone($uri), "told by $who");
}

###############################################################################
