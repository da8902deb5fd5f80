#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The slot of a token is moved, to a master that had none before: whoever takes
# the revocation, before, while and after it is moved, it is heard of.

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

my $cluster = $t->run_redis_cluster();
my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

# one that has no slots

my $to = Test::Nginx::Redis->run(
    dir => $t->testdir(), port => 7006,
    args => ['--cluster-enabled', 'yes',
             '--cluster-config-file', 'nodes-7006.conf',
             '--cluster-port', port('7006 bus')],
);

$t->run();

###############################################################################

my $from = $cluster->node(0);
my @tokens = $r->tokens($from, 4);
my $slot = $cluster->slot($r->key($tokens[0]));

ok($r->kept(@tokens), 'answers are kept');

$to->cmd('CLUSTER', 'SET-CONFIG-EPOCH', 100);
$to->cmd('CLUSTER', 'MEET', '127.0.0.1', $from->port_number(),
         port('7000 bus'));
push @{ $cluster->{nodes} }, $to;

$cluster->wait_until(sub {
    $_[0]->cmd('CLUSTER', 'INFO') =~ /known_nodes:7/
    && $_[0]->cmd('CLUSTER', 'NODES') !~ /handshake/;
}, 'it was not met');

ok($r->kept(@tokens), 'kept with a master that has no slots');

$r->load(2, @tokens);

# from where it is not it is asked for at the other

$cluster->begin($slot, $from, $to);
$r->revoke($tokens[0]);

ok($to->cmd('CLUSTER', 'COUNTKEYSINSLOT', $slot), 'taken by the other');
ok($r->refused($tokens[0]), 'and heard of');

$cluster->move($slot, $from, $to);
$cluster->end($slot, $from, $to);

$r->revoke($tokens[1]);

my ($late) = $r->late();

cmp_ok($late, '<', 0.3, 'none is let in for longer');

ok($r->kept(@tokens), 'kept after that');
is($r->get($tokens[0]) . $r->get($tokens[2]), '401200', 'as it is');

###############################################################################
