#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Four hosts with two workers each and one Redis admit exactly the limit,
# whatever the algorithm and however their requests race.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Hosts;
use Test::Nginx::Load;

my $hosts = Test::Nginx::Hosts->new(<<'EOF')->plan(18);

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    add_header X-Status $ratelimit_redis_status always;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_log_level info;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=1000r/h;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=1000r/h
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h burst=999
                         algorithm=gcra;

    server {
        listen 127.0.0.1:8080 reuseport;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF

my $redis = $hosts->run();

###############################################################################

for my $name (qw/ fixed sliding gcra /) {
    my $asked = $redis->calls('evalsha');

    my $load = Test::Nginx::Load->run(
        ports => $hosts->ports(), connections => 64, n => 20000,
        uris => ["/$name?a=1"], tell => 'X-Status',
    );

    $asked = $redis->calls('evalsha') - $asked;

    is($load->text("/$name?a=1"), '200:1000 429:19000', "$name: exactly");
    is($load->told("/$name?a=1", qr/^(200 PASSED|429 REJECTED)$/), 20000,
        "$name: and Redis has decided all");
    is(scalar(grep { $_->{200} } values %{ $load->{ports} }), 4,
        "$name: every host has let some in");

    # those on their way when nothing was left, from each worker, and the few
    # that overtook an answer

    cmp_ok($asked, '>=', 990, "$name: asked for each that was let in");
    cmp_ok($asked, '<', 2500, "$name: not for most that were refused");
    is($load->{errors}, 0, "$name: nobody is left without an answer");
}

###############################################################################
