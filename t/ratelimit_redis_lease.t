#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A lease is taken once and spent by all workers of a host; what is left of it
# outlives a worker and a reload, and goes back when a shorter window has ended.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=hour:1m rate=100r/h lease=10;
    ratelimit_redis_zone $arg_a zone=both:1m rate=50r/2s rate=100r/h lease=10;
    ratelimit_redis_zone $arg_a zone=few:1m rate=20r/2s rate=25r/h lease=10;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ratelimit_redis zone=hour;
        }

        location /both {
            ratelimit_redis zone=both;
        }

        location /few {
            ratelimit_redis zone=few;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x both few /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# the first one asks, and one that finds the subject known takes a lease

my $asked = $redis->calls('evalsha');

is(passed('/x?a=1', 1), 1, 'the first');
passed('/x?a=1', 1);
ok(wait_for(sub { host('hour', 1)->{leased} >= 9 }), 'a lease is taken');

my $before = used('hour', 1);
is(passed('/x?a=1', 5), 5, 'it is spent');
is(used('hour', 1) - $before, 10, 'and another taken, early');

cmp_ok($redis->calls('evalsha') - $asked, '<', 20, 'Redis was asked seldom');

# it is the host's

my $leased = host('hour', 1)->{leased};
ok($t->kill_worker(), 'a worker is killed');
is(host('hour', 1)->{leased}, $leased, 'and the lease is still there');

$t->reload();
is(host('hour', 1)->{leased}, $leased, 'after a reload, too');

# all of it is spent in the end, and no more than the limit

my $left = 100 - used('hour', 1) + $leased;
is(passed('/x?a=1', 200), $left, 'all of the limit, and not more');
is(used('hour', 1), 100, 'as Redis says');
is(host('hour', 1)->{leased}, 0, 'nothing is left of the lease');

# a lease of two windows goes back to the longer one

passed('/both?a=2', 1) for 1 .. 3;
ok(wait_for(sub { host('both', 2)->{leased} >= 8 }), 'for two windows');

my $mine = used('both', 2, 3600) - host('both', 2)->{leased};

ok(wait_for(sub { used('both', 2, 2) == 0 }), 'the shorter one has ended');

# whoever comes then tells of what was not used, once

for my $n (1 .. 3) {
    passed('/both?a=2', 1);
    ok(wait_for(sub { used('both', 2, 3600) - host('both', 2)->{leased}
                      == $mine + $n }),
        "and what was not spent is given back: $n");
    wait_for(sub { used('both', 2, 2) == 0 });
}

# also where what is left is less than a lease, so that there is no other one

my $all = 0;

for my $n (12, 6, 100) {
    $all += passed('/few?a=3', $n);
    wait_for(sub { used('few', 3, 2) == 0 });
}

is($all, 25, 'given back once, and no more let in than the limit');

###############################################################################

sub passed {
    my ($uri, $n) = @_;
    return scalar grep { status(http_get($uri)) == 200 } 1 .. $n;
}


sub look {
    my ($zone, $key) = @_;
    return decode_json(body(http_get("/api/subjects/$zone/$key")));
}


sub host { return look(@_)->{host} }


sub used {
    my ($zone, $key, $period) = @_;

    my ($rate) = grep { !$period || $_->{period} == $period }
                     @{ look($zone, $key)->{rates} };

    return $rate->{used};
}

###############################################################################
