#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The demo's tour meets every expectation, with Redis and without, and leaves
# no file and no process behind.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use Test::More;

my $demo = abs_path("$FindBin::Bin/../demo");
my $build = $ENV{OPTCACHE_BUILD} || abs_path("$FindBin::Bin/..") . '/build';

my @missing = grep { !installed($_) }
    qw/ curl setpriv redis-server redis-cli initdb gunzip psycopg2 /;

plan(skip_all => "no @missing") if @missing;
plan(tests => 10);

for my $redis (qw/ on off /) {
    local $ENV{BUILD} = $build;
    local $ENV{NGINX_BINARY} = $ENV{TEST_NGINX_BINARY} // '';
    local $ENV{REDIS} = $redis;

    my $said = `timeout 180 $demo/tour.sh 2>&1`;

    is($? >> 8, 0, "tour succeeds, redis $redis") or diag($said);
    like($said, qr/^\d+ steps, 0 expectations not met$/m,
        "every expectation is met, redis $redis");

    if ($redis eq 'on') {
        like($said, qr/^\d+\. Redis comes back$/m, 'redis comes back');

    } else {
        unlike($said, qr/^\d+\. Redis/m, 'redis is left out');
    }

    my ($dir) = $said =~ m!^In (/tmp/optcache-demo\.\w+):!m;

    ok(defined $dir && !-e $dir, "no file is left, redis $redis");
    is_deeply([grep { (readlink("$_/cwd") // '') =~ m!^\Q$dir\E(/|\ |$)! }
        glob('/proc/[0-9]*')], [], "no process is left, redis $redis");
}

sub installed {
    my ($what) = @_;

    return !system("/usr/bin/python3 -c 'import $what' 2>/dev/null")
        if $what eq 'psycopg2';

    return grep { -x "$_/$what" } split(/:/, $ENV{PATH}),
        '/usr/sbin', glob('/usr/lib/postgresql/*/bin');
}
