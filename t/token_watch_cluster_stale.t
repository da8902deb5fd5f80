#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A master that was replaced and does not know is still asked by workers that
# do not know either.  What it says is not kept: it does not tell of changes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revoker;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(7);

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

my $cluster = $t->run_redis_cluster(
    args => ['--cluster-require-full-coverage', 'no'],
);
my $old = $cluster->node(0);
my $new = $cluster->replica($old);

my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

$t->run();

###############################################################################

my @tokens = $r->tokens($old, 3);
my @others = $r->tokens($cluster->node(1), 3);

ok($r->kept(@tokens, @others), 'answers are kept');

# neither knows of the other, what comes from strangers is thrown away

my $id = $old->cmd('CLUSTER', 'MYID');
my @rest = grep { $_ != $old } $cluster->nodes();

$old->cmd('CLUSTER', 'FORGET', $_->cmd('CLUSTER', 'MYID')) for @rest;
$new->cmd('CLUSTER', 'FAILOVER', 'TAKEOVER');
$_->cmd('CLUSTER', 'FORGET', $id) for @rest;
$new->cmd('SETEX', $r->key($tokens[0]), 600, 1);

ok($r->kept(@others), 'what others say is');

my $n = $old->calls('exists');
$r->get($_) for (@tokens) x 20;

cmp_ok($old->calls('exists') - $n, '>=', 60, 'it is asked each time');
is($old->info('role'), 'master', 'and does not know');

$old->cmd('CLUSTER', 'MEET', '127.0.0.1', $rest[$_]->port_number(),
          port(7001 + $_ . ' bus')) for 0 .. 4;

ok($r->refused($tokens[0]), 'refused when it does');
ok($r->kept(@tokens), 'and kept');
is($r->get($tokens[0]) . $r->get($tokens[1]), '401200', 'as it is');

###############################################################################
