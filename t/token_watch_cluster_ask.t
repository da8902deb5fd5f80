#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer after a redirection is not kept: while a slot is being moved, tokens
# that are at neither server are asked for each time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revoker;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(4);

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
        token_blacklist_key "blacklist:{a}:$token_digest";

        location / {
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);
my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

$t->run();

###############################################################################

my $slot = $cluster->slot('a');
my $from = $cluster->master($slot);
my ($to) = grep { $_ != $from } $cluster->nodes();

ok($r->kept('one', 'two'), 'answers are kept');

$cluster->begin($slot, $from, $to);

my $n = $to->calls('exists');
my @statuses = map { $r->get('three') } 1 .. 20;

is($to->calls('exists') - $n, 20, 'asked each time');
is(join(' ', @statuses), join(' ', (200) x 20), 'and not refused');

$cluster->end($slot, $from, $to);

ok($r->kept('one', 'two', 'three'), 'kept when it has been moved');

###############################################################################
