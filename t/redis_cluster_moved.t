#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A slot that has moved to another server of the cluster is found there by
# the request that meets the old one, which is not asked again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=12r/h;

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

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

$t->run();

###############################################################################

is(limit('one'), 'PASSED', 'counted');

my ($key) = $cluster->keys('*one*');
my $slot = $cluster->slot($key);
my $old = $cluster->master($slot);
my ($new) = grep { $_ != $old } $cluster->nodes();

is(move($old, $new), 1, 'one key has moved');
is(limit('one'), 'PASSED', 'counted there');
is($old->errors('MOVED'), 1, 'after the old server told where');

is(join(' ', map { limit('one') } 1 .. 3), 'PASSED PASSED PASSED', 'again');
is($old->errors('MOVED'), 1, 'and is not asked any more');

# there and back: seven more pass

my ($from, $to) = ($new, $old);
my @s;

for (1 .. 9) {
    move($from, $to);
    push @s, limit('one');
    ($from, $to) = ($to, $from);
}

is(join(' ', @s), join(' ', ('PASSED') x 7, ('REJECTED') x 2),
    'exact over nine moves');
is($t->log_count(qr/redis ".*is down/), 0, 'which are no outage');
is($t->log_count(qr/cluster is left by/), 0, 'no server has left');

###############################################################################

sub move {
    my ($source, $target) = @_;

    $cluster->begin($slot, $source, $target);
    my $n = $cluster->move($slot, $source, $target);
    $cluster->end($slot, $source, $target);

    return $n;
}


sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }

###############################################################################
