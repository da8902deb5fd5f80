#!/usr/bin/perl

# Copyright (C) The Optcache authors

# While some keys of a request are at one server and others at another, the
# request waits for the rest of the move.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=10s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=5r/h;
    ratelimit_redis_zone $arg_a zone=b:1m rate=5r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

$t->plan(8);
$t->run();

###############################################################################

is(limit(), 'PASSED', 'two keys');

my @keys = $cluster->keys('*one*');
my $slot = $cluster->slot($keys[0]);

is(join(' ', map { $cluster->slot($_) } @keys), "$slot $slot", 'of one slot');

my $from = $cluster->master($slot);
my ($to) = grep { $_ != $from } $cluster->nodes();

$cluster->begin($slot, $from, $to);
$from->cmd('MIGRATE', '127.0.0.1', $to->port_number(), $keys[0], 0, 5000);

my $s = http_get('/x?a=one', start => 1);

ok(wait_for(sub { $from->errors('TRYAGAIN') > 1 }), 'one has moved: again');

$cluster->move($slot, $from, $to);

is(header(http_end($s), 'X-Limit'), 'PASSED', 'both have moved: counted');

is(join(' ', map { limit() } 1 .. 4), 'PASSED PASSED PASSED REJECTED',
    'exactly');

$cluster->end($slot, $from, $to);

is(limit(), 'REJECTED', 'and after it');
is($to->cmd('DBSIZE') >= 2, 1, 'with both keys there');
is($t->log_count(qr/redis ".*is down/), 0, 'no outage');

###############################################################################

sub limit { header(scalar http_get('/x?a=one'), 'X-Limit') // '' }

###############################################################################
