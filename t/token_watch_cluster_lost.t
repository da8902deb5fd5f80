#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The connection to one of the masters is lost, or it does not answer: nothing
# that any of them said is relied upon, until all are heard of again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revoker;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

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

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002],
                                    node_timeout => 20000);
my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

$t->run();

###############################################################################

my $node = $cluster->node(1);
my @tokens = map { $r->tokens($_, 4) } $cluster->nodes();

ok($r->kept(@tokens), 'answers are kept');

# nobody is told of a change that is made together with its end

my ($id) = tracking();

ok($id, 'a connection that listens');

$r->load(2, @tokens);

$node->cmd(@$_) for ['MULTI'], ['SETEX', $r->key($tokens[4]), 600, 1],
                    ['CLIENT', 'KILL', 'ID', $id], ['EXEC'];
$r->revoked($tokens[4]);

$r->revoke($tokens[5]);

ok($r->refused($_), "$_ is refused") for @tokens[4, 5];

ok($r->kept(@tokens), 'kept again');

my ($late) = $r->late();

cmp_ok($late, '<', 0.3, 'none is let in for longer');

# one is stopped: others are asked for what they have said before

my $n = $r->asked() - $node->calls('exists');
$node->suspend();
my $asked;

ok(wait_for(sub {
    $r->get($tokens[0]);

    $asked = 0;
    $asked += $_->calls('exists') for $cluster->node(0), $cluster->node(2);
    return $asked > $n + 5;
}), 'all are asked when one is stopped');

$node->resume();
ok($r->kept(@tokens), 'kept again');

###############################################################################

sub tracking {
    return map { /^id=(\d+) .*\bflags=\w*t/ ? $1 : () }
           split /\n/, $node->cmd('CLIENT', 'LIST');
}

###############################################################################
