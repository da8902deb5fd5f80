#!/usr/bin/perl

# Copyright (C) The Optcache authors

# ratelimit_redis_api says what is wrong with a wrong value, and where it may
# be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $expected = 'it must be "write=on", "write=off", "health=200" or '
               . '"health=503"';

my @bad = (
    (map { [location => "ratelimit_redis_api $_;",
            "invalid parameter \"$_\" of \"ratelimit_redis_api\", $expected"] }
     'write', 'write=', 'write=yes', 'write=ON', 'on', 'read=on',
     'health', 'health=', 'health=404', 'health=on'),
    [location => 'ratelimit_redis_api write=on health=503 health=503;',
     'invalid number of arguments'],
    [location => 'ratelimit_redis_api; ratelimit_redis_api;', 'is duplicate'],
    (map { [location => "ratelimit_redis_api $_;", 'duplicate parameter'] }
     'write=on write=off', 'health=503 health=200', 'write=on write=on'),
    [http => 'ratelimit_redis_api;', 'is not allowed here'],
    [server => 'ratelimit_redis_api;', 'is not allowed here'],
    [location => 'if ($arg_x) { ratelimit_redis_api; }', 'is not allowed here'],
    [server => 'location = /a { ratelimit_redis_api; }',
     '"ratelimit_redis_api" in location "/a", it must be in one that is given '
     . 'by a prefix'],
    [server => 'location ~ /a { ratelimit_redis_api; }', 'given by a prefix'],
    [server => 'location @a { ratelimit_redis_api; }', 'given by a prefix'],
    [server => 'location $arg_a { ratelimit_redis_api; }',
     'given by a prefix'],
);

my @good = (
    [location => 'ratelimit_redis_api;'],
    [location => 'ratelimit_redis_api write=on;'],
    [location => 'ratelimit_redis_api write=off;'],
    [location => 'ratelimit_redis_api health=503 write=on;'],
    [location => 'ratelimit_redis_api health=200;'],
    [server => 'location ^~ /a { ratelimit_redis_api; }'],
);

my $t = Test::Nginx->new()->plan(@bad + @good);

###############################################################################

for (@bad) {
    my ($where, $directive, $message) = @$_;
    my ($code, $out) = $t->conf_check($where => $directive);

    ok($code && index($out, $message) >= 0 && $out =~ /\[emerg\].*:\d+/,
        $directive) or diag($out);
}

for (@good) {
    my ($code, $out) = $t->conf_check(@$_);
    is($code, 0, $_->[1]) or diag($out);
}

###############################################################################
