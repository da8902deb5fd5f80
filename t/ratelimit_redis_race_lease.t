#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Four hosts with two workers each that lease ten units at a time from one Redis
# never admit more than the limit, and waste little of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Hosts;
use Test::Nginx::Load;

my $hosts = Test::Nginx::Hosts->new(<<'EOF')->plan(13);

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

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=1000r/h lease=10;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=1000r/h
                         algorithm=sliding_window lease=10;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h burst=999
                         algorithm=gcra lease=10;

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

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$hosts->run();

###############################################################################

for my $name (qw/ fixed sliding gcra /) {
    my $uri = "/$name?a=1";

    my $load = Test::Nginx::Load->run(
        ports => $hosts->ports(), connections => 64, n => 20000,
        uris => [$uri], tell => 'X-Status',
    );

    cmp_ok($load->passed($uri), '<=', 1000, "$name: not more");
    cmp_ok($load->passed($uri), '>', 800, "$name: and not much less");
    is($load->told($uri, qr/^(200 PASSED|429 REJECTED)$/), 20000,
        "$name: and Redis has decided all");
    is($load->{errors}, 0, "$name: nobody is left without an answer");
}

# 64 at once on each host are more than a lease of ten pays for, so some ask
# for themselves

my $leased = 0;

for my $port (@{ $hosts->ports() }) {
    my $r = http_get('/api/zones', port => $port);
    $leased += $1 while $r =~ /"leased":\s*(\d+)/g;
}

cmp_ok($leased, '>', 0, 'leases have paid for others');

###############################################################################
