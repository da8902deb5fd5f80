#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that has forgotten all limits is told of them again by one worker: if
# that one is killed meanwhile, or has to leave, another one goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=limit:4m rate=5r/h;

    keepalive_requests 100000;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=limit;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->expect_log(qr/redis has forgotten the limits/);

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $n = 8000;

http(join '', map {
    "GET /x?a=$_ HTTP/1.1\nHost: localhost\n"
    . ($_ == $n ? "Connection: close\n\n" : "\n")
} 1 .. $n);

is(limits(), $n, 'all are limited');
ok(wait_for(sub { $redis->cmd('EXISTS', 'rl:{fleet}') }), 'the host is known');

# What a worker that is killed was just about to tell goes with it.

my %lost = (killed => 32, reload => 0);

for my $how (qw/ killed reload /) {

    my $some = forgotten();

    if ($how eq 'killed') {
        $t->kill_worker();

    } else {
        $t->reload();
    }

    cmp_ok($some, '<', $n, "$how: some were told of");
    ok(wait_for(sub { limits() >= $n - $lost{$how} }),
        "$how: and then all of them");
}

###############################################################################

# Redis forgets all; returns when it has been told of some, and of how many.  On a
# busy machine that may be all, before anybody has looked.

sub forgotten {
    my $some;

    for (1 .. 10) {
        $redis->cmd('FLUSHALL');
        wait_for(sub { ($some = limits()) > 0 });

        last if $some < $n / 2;

        wait_for(sub { limits() >= $n });
    }

    return $some;
}


sub limits {
    my $size = $redis->cmd('DBSIZE');

    return $size - $redis->cmd('EXISTS', 'rl:{fleet}');
}

###############################################################################
