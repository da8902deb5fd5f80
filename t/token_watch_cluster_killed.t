#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A master is killed under load: a revoked token is not let in any longer than
# before, and answers are kept again when its replica has taken over.

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
my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

$t->run();

###############################################################################

my @tokens = map { $r->tokens($_, 6) } $cluster->node(0), $cluster->node(1);
my @left = @tokens;

ok($r->kept(@tokens), 'answers are kept');

$r->load(3, @tokens);

my $victim = $cluster->node(0);
my $new = $cluster->replica($victim);

$r->revoke($_, replicas => 1) for splice @left, 0, 2;
$victim->kill();

# by whoever takes it, when it does

$r->revoke($_) for @left;

ok($r->refused($_), "$_ is refused") for @tokens[0, 11];

# the one that was killed still is in the map, without slots

ok($r->kept(@tokens, $r->tokens($new, 2)), 'answers are kept again');

my ($late, $n) = $r->late();

cmp_ok($late, '<', 0.3, 'none is let in for longer');
cmp_ok($n->{401}, '>', 0, 'used after that');

###############################################################################
