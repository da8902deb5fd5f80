#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The stream is at the master that sentinels know of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new(
            redis => 'redis://127.0.0.1:26379 redis://127.0.0.1:26380'
                     . ' redis://127.0.0.1:26381 sentinel=mymaster'
                     . ' timeout=5s connect_timeout=5s')->plan(8);
my $set = $s->host(0)->run_sentinels();
my $old = $set->redis(0);

$s->run();

###############################################################################

ok($s->cached('/a'), 'cached');

$old->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
ok($s->gone('/a'), 'told');

# what is invalidated at one host, which the other one hears of

told('/a', 'a host');

ok($s->cached('/a'), 'cached');
$old->cmd('WAIT', 2, 20000);
$old->kill();

my $new = $set->wait_other($old);

$new->cmd('XADD', 'oc:invalidate', '*', 'uri', '/a');
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
