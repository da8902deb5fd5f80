#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Several servers: a replica is left for the primary, whichever that is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 redis://127.0.0.1:6380
                           timeout=2s connect_timeout=2s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $one = $t->run_redis(port => 6379);
my $two = $t->run_redis(port => 6380,
    args => ['--repl-diskless-sync-delay', 0]);

$one->cmd('REPLICAOF', '127.0.0.1', $two->port_number());
ok(wait_for(sub { $one->info('master_link_status') eq 'up' }), 'a replica');

$t->run();

###############################################################################

ok(wait_for(sub { limit() eq 'PASSED' }), 'left for the primary');
is(join(' ', map { limit() } 1 .. 3), 'PASSED PASSED PASSED', 'for good');
is($t->log_count(qr/is down/), 0, 'and no outage');

# the primary is gone, and the replica cannot do its work

$two->kill();

ok(wait_for(sub { limit(); $t->log_count(qr/is down: .*READONLY/) }), 'down');

# it answers each probe, and refuses what follows

my $refused = refused();
my $probed = $one->info('total_connections_received');

ok(wait_for(sub {
    limit();
    return $one->info('total_connections_received') - $probed >= 4;
}), 'probed');

cmp_ok(refused() - $refused, '<', 20, 'the replica is hardly bothered');

# until it becomes the primary

$one->cmd('REPLICAOF', 'NO', 'ONE');

ok(wait_for(sub { limit() eq 'PASSED' }), 'promoted');
is($t->log_count(qr/\[error\].*is down/), 1, 'one beginning');
is($t->log_count(qr/\[notice\].*is back/), 1, 'one end');

###############################################################################

sub refused { $one->calls('evalsha') + $one->calls('eval') }


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
