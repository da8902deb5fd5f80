#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A master that was replaced does not know: others do not reach it, but nginx
# does, and it answers every PING.  It is not relied upon for that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revoker;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 redis://127.0.0.1:7001 cluster
                           timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080 reuseport;

        token_blacklist on;

        location / {
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster();
my $old = $cluster->node(0);
my $new = $cluster->replica($old);

my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

$t->run();

###############################################################################

my @tokens = $r->tokens($old, 4);

ok($r->kept(@tokens), 'answers are kept');

# what comes from servers that are not known is thrown away

$old->cmd('CLUSTER', 'FORGET', $_)
    for grep { $_ ne $old->cmd('CLUSTER', 'MYID') }
        map { $_->cmd('CLUSTER', 'MYID') } $cluster->nodes();

$new->cmd('CLUSTER', 'FAILOVER', 'TAKEOVER');
$new->cmd('SETEX', $r->key($tokens[0]), 600, 1);

is($old->cmd('PING'), 'PONG', 'it is there');

ok(wait_for(sub { $r->get($tokens[0]) != 200 }, 30), 'revoked elsewhere');
is($old->info('role'), 'master', 'it does not know');

$new->cmd('SETEX', $r->key($tokens[1]), 600, 1);
ok(wait_for(sub { $r->get($tokens[1]) != 200 }, 30), 'and another');

$old->cmd('CLUSTER', 'MEET', '127.0.0.1', $new->port_number(),
          port('7003 bus'));

ok($r->kept(@tokens), 'kept when it has heard of that');

###############################################################################
