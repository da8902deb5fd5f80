#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What makes no sense with "cluster" is refused, and why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @bad = (
    ['cluster', 'has no URL'],
    ['redis://127.0.0.1 cluster cluster', 'has duplicate "cluster"'],
    ['redis://127.0.0.1/1 cluster',
     'invalid parameter "redis://127.0.0.1/1" in "DIRECTIVE": '
     . 'with "cluster", there is only database 0'],
    ['cluster redis://127.0.0.1 redis://127.0.0.2/15',
     'invalid parameter "redis://127.0.0.2/15"'],
    ['unix:/tmp/s cluster', 'expected "redis://host" or "rediss://host"'],
    ['redis://127.0.0.1 rediss://127.0.0.2 cluster', 'or none is'],
    ['rediss://127.0.0.1 redis://127.0.0.2 cluster', 'or none is'],
    ['redis://a@127.0.0.1 redis://127.0.0.2 cluster', 'the same user'],
    ['redis://a@127.0.0.1 redis://b@127.0.0.2 cluster', 'the same user'],
    ['redis://127.0.0.1 cluster sentinel=a', 'cluster'],
    ['redis://127.0.0.1 clusters', 'invalid parameter "clusters"'],
);

my @good = (
    'redis://127.0.0.1 cluster',
    'cluster redis://a@127.0.0.1/0 redis://a@[::1]:7000 timeout=1s',
    'redis://127.0.0.1 cluster connections=2',
);

my $t = Test::Nginx->new()->plan(2 * @bad + @good);

###############################################################################

for (@bad) {
    my ($args, $message) = @$_;

    for my $d (qw/ ratelimit_redis_server optcache_redis_server /) {
        my ($code, $out) = $t->conf_check(http => "$d $args;");
        my $expected = $message =~ s/DIRECTIVE/$d/r;

        ok($code && index($out, $expected) >= 0 && $out =~ /\[emerg\]/,
            "$d $args") or diag($out);
    }
}

for my $args (@good) {
    is(($t->conf_check(http => "ratelimit_redis_server $args;"))[0], 0, $args);
}

###############################################################################
