#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A replica takes over from its master by command, under load: what is kept is
# let go of at once, and a revoked token is not let in any longer than before.

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
                           timeout=30s connect_timeout=5s;

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

my @tokens = map { $r->tokens($_, 8) } $cluster->node(0), $cluster->node(1);

ok($r->kept(@tokens), 'answers are kept');

$r->load(3, @tokens);

my $old = $cluster->node(0);
my $new = $cluster->replica($old);

# it is given up after five seconds, on a busy machine

my @left = @tokens;

for (1 .. 5) {
    $new->cmd('CLUSTER', 'FAILOVER');

    # the first of them meanwhile

    $r->revoke(shift @left) while @left > 8 && $new->info('role') ne 'master';

    last if wait_for(sub { $new->info('role') eq 'master' }, 6);
}

$r->revoke($_) for @left;

ok($r->refused($_), "$_ is refused") for @tokens[0, 15];

ok($r->kept(@tokens, $r->tokens($new, 2)), 'answers are kept again');

my ($late, $n) = $r->late();

cmp_ok($late, '<', 0.3, 'none is let in for longer');
cmp_ok($n->{200}, '>', 0, 'used until then');
is(join(' ', sort keys %$n), '200 401', 'each by an answer of Redis');

###############################################################################
