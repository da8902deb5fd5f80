#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis is killed under load, comes back empty, and is killed again when it has
# just been told what was let in meanwhile: what it was told is not lost.

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
    keepalive_requests 100000;
    add_header X-Status $ratelimit_redis_status always;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=1s connect_timeout=1s;
    ratelimit_redis_log_level info;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=1000r/h;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=1000r/h
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h burst=999
                         algorithm=gcra;
    ratelimit_redis_zone $arg_a zone=lease:1m rate=1000r/h lease=10;

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

        location /lease {
            ratelimit_redis zone=lease;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF

my @uris = map { "/$_?a=1" } qw/ fixed sliding gcra lease /;
my $redis = $hosts->run();

###############################################################################

# 400 of each are let in, and most of the rest by shares while Redis is away for
# the first time

my $load = Test::Nginx::Load->start(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 20000, rate => 3000, tell => 'X-Status',
);

ok($load->until(sub { $_[0]->{passed} >= 1600 }), 'some have passed');
$redis->kill();
later(2000, 'Redis is away');
$redis->launch();

ok(wait_for(sub { $redis->cmd('DBSIZE') >= 5 }, 20), 'it is told of them');
later(1500, 'and of all');
$redis->kill();
later(1500, 'it is away again');
$redis->launch();

$load->finish();

is($load->{errors}, 0, 'nobody is left without an answer');
ok($hosts->met($redis), 'the hosts meet again');
ok(wait_for(sub { !grep { local_answer($_) } @{ $hosts->ports() } }, 20),
    'and settle');

# all that is known was told to Redis

my $after = Test::Nginx::Load->run(
    ports => $hosts->ports(), connections => 16, uris => \@uris,
    n => 4000, tell => 'X-Status',
);

for my $uri (@uris) {
    my $passed = $load->passed($uri) + $after->passed($uri);

    cmp_ok($passed, '<=', 1100, "$uri: at most a tenth too many");
    cmp_ok($passed, '>=', 800, "$uri: and not much less than the limit");

    diag("$uri: $passed passed, ", $load->told($uri, qr/200 LOCAL/),
         " by shares, ", $after->passed($uri), ' long after');
}

is(scalar(grep { $after->told($_, qr/LOCAL/) } @uris), 0,
    'Redis decides again');
ok($hosts->log_count(qr/redis has forgotten the limits/),
    'and it is told what it forgot');

###############################################################################

# So many requests later.

sub later {
    my ($n, $name) = @_;

    my $done = $load->{done};
    ok($load->until(sub { $_[0]->{done} >= $done + $n }), $name);
}


# Whether the host keeps to its share of anything.

sub local_answer {
    my ($port) = @_;

    return grep { http_get($_, port => $port) =~ /X-Status: LOCAL/ } @uris;
}

###############################################################################
