#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What makes no sense with sentinel= is refused, and why.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $s = 'sentinel=mymaster';

my @bad = (
    ["redis://127.0.0.1:1 sentinel=", 'empty parameter "sentinel="'],
    ["redis://127.0.0.1:1 'sentinel=a b'",
     'invalid sentinel "a b" in "DIRECTIVE", expected the name of a master'],
    ["redis://127.0.0.1:1 sentinel=" . 'a' x 256, 'of 1 to 255 printable'],
    ["redis://127.0.0.1:1 sentinel=\xc3\xa9", 'invalid sentinel'],
    ["redis://127.0.0.1:1 $s $s", 'has duplicate "sentinel"'],
    ["$s", '"DIRECTIVE" has no URL'],
    ["unix:/tmp/s $s",
     'invalid parameter "unix:/tmp/s" in "DIRECTIVE" with '
     . '"sentinel=mymaster", expected "redis://host" or "rediss://host"'],
    ["redis://127.0.0.1:1 unix:/tmp/s:1 $s",
     'invalid parameter "unix:/tmp/s:1"'],
    ["redis://127.0.0.1:1/1 redis://127.0.0.1:2 $s",
     'invalid parameter "redis://127.0.0.1:2" in "DIRECTIVE" with '
     . '"sentinel=mymaster", expected the scheme, user and database of '
     . '"redis://127.0.0.1:1/1"'],
    ["$s redis://a\@127.0.0.1:1 redis://b\@127.0.0.1:2", 'expected the scheme'],
    ["redis://ab\@127.0.0.1:1 redis://a\@127.0.0.1:2 $s",
     'expected the scheme'],
    ["redis://127.0.0.1:1 rediss://127.0.0.1:2 $s", 'expected the scheme'],
    ["redis://127.0.0.1:1 cluster $s", 'cluster'],
    ["redis://127.0.0.1:1 $s cluster", 'cluster'],
);

my @good = (
    "redis://127.0.0.1 redis://127.0.0.2 redis://[::1] $s",
    "$s redis://a\@127.0.0.1/2 redis://a\@127.0.0.2:6379/2",
    "redis://127.0.0.1:1 sentinel=" . 'a' x 255,
    "redis://127.0.0.1:1 'sentinel=~!#%'",
);

my $t = Test::Nginx->new()->plan(@bad + @good + 2);

###############################################################################

for (@bad) {
    my ($args, $message) = @$_;

    my $d = ("ratelimit_redis_server", "optcache_redis_server")[@bad % 2];
    my ($code, $out) = $t->conf_check(http => "$d $args;");

    $message =~ s/DIRECTIVE/$d/;

    ok($code && index($out, $message) >= 0 && $out =~ /\[emerg\]/,
        substr $args, 0, 70) or diag($out);
}

for my $args (@good) {
    is(($t->conf_check(http => "ratelimit_redis_server $args;"))[0], 0,
        substr $args, 0, 70);
}

# the port of a sentinel, unless it is written

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.255.0.9 sentinel=mymaster;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/s;
}

EOC

$t->run();

ok($t->wait_for_log(qr/is down: .*127\.255\.0\.9:26379/), 'that of sentinels');
is($t->log_count(qr/127\.255\.0\.9:6379/), 0, 'not of Redis');

###############################################################################
