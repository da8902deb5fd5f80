#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A zone too small for all subjects forgets those that were not seen for longest,
# and never fails; with Redis none is forgotten.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=small:32k rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        keepalive_requests 10000;

        location / {
            ratelimit_redis zone=small;
        }
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my %statuses;
my $s = http_connect();

for my $i (1 .. 1000) {
    my $r = http_get("/?a=$i", socket => $s, keepalive => 1);
    $statuses{ status($r) }++;
}

is_deeply(\%statuses, { 200 => 1000 }, 'none of many fails');

my $asked = $redis->calls('evalsha');
is(status(http_get('/?a=1000')), 429, 'the last is known');
is($redis->calls('evalsha'), $asked, 'here');

is(status(http_get('/?a=1')), 429, 'the first is known');
is($redis->calls('evalsha'), $asked + 1, 'to Redis');

# one that is seen again and again stays, however many come in between

$asked = $redis->calls('evalsha');
%statuses = ();

for my $i (1001 .. 2000) {
    http_get("/?a=$i", socket => $s, keepalive => 1);
    next if $i % 20;

    my $r = http_get('/?a=1', socket => $s, keepalive => 1);
    $statuses{ status($r) }++;
}

is_deeply(\%statuses, { 429 => 50 }, 'one that is seen often');
is($redis->calls('evalsha'), $asked + 1000, 'stays known here');

is($t->log_count(qr/no memory|could not allocate/), 0, 'nothing is logged');

###############################################################################
