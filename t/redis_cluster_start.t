#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The first requests of a worker wait until it knows its cluster, but not
# longer than for any answer of Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster timeout=2s
                           connect_timeout=2s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=20r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();
my $map = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$9\r\n127.0.0.1\r\n:"
          . port(7000) . "\r\n";

my $fake = $t->run_fake_redis(
    port => 7000, behind => $redis, reply => { CLUSTER => $map },
    only => 'CLUSTER', delay => 1,
);

$t->run();

###############################################################################

my @s = map { http_get('/x?a=one', start => 1) } 1 .. 25;
my $gone = http_get('/x?a=gone', start => 1);
close $gone;

my %count;
$count{ header(http_end($_), 'X-Limit') // '' }++ for @s;

is_deeply(\%count, { PASSED => 20, REJECTED => 5 }, 'waited for, and counted');
is(scalar($redis->cmd('KEYS', '*gone*')->@*), 0,
    'who did not wait is not counted');
is(scalar($fake->log('CLUSTER')), 1, 'asked once');

# it takes too long

$fake->set(delay => 4);
$t->reload(wait_old => 1);

is(header(scalar http_get('/x?a=two'), 'X-Limit'), 'LOCAL_PASSED',
    'too late: locally');

$fake->set(delay => 0);

ok(wait_for(sub {
    header(scalar http_get('/x?a=' . rand), 'X-Limit') eq 'PASSED';
}, 20), 'found in the end');

###############################################################################
