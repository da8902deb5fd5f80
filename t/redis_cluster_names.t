#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Servers of a cluster that are given names, or other ones, while they are in
# use are followed to by these.

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

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=9r/h;

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

# all servers get the script

limit("warm$_") for 1 .. 30;

is(limit('one'), 'PASSED', 'counted');

my ($key) = $cluster->keys('*one*');
my $slot = $cluster->slot($key);
my $old = $cluster->master($slot);
my ($new) = grep { $_ != $old } $cluster->nodes();

for my $name (qw/ first second /) {
    names($name);

    $cluster->begin($slot, $old, $new);
    is($cluster->move($slot, $old, $new), 1, "$name: the key has moved");
    is(join(' ', map { limit('one') } 1 .. 2), 'PASSED PASSED',
        "$name: counted there");

    # for good, by MOVED

    $cluster->end($slot, $old, $new);
    is(limit('one'), 'PASSED', "$name: and from then on");

    ($old, $new) = ($new, $old);
}

is($t->log_count(qr/ is down/), 0, 'nobody is down');

###############################################################################

sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }


# Names of all servers, which all of them know.

sub names {
    my ($name) = @_;

    my $i = 0;

    for my $node ($cluster->nodes()) {
        $node->cmd('CONFIG', 'SET', 'cluster-announce-hostname',
                   "$name$i.test");
        $node->cmd('CONFIG', 'SET', 'cluster-preferred-endpoint-type',
                   'hostname');
        $i++;
    }

    $cluster->wait_until(sub {
        my ($node) = @_;
        my $nodes = $node->cmd('CLUSTER', 'NODES');
        return 3 == (() = $nodes =~ /,$name\d\.test/g);
    }, 'names are not known');
}

###############################################################################
