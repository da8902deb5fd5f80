#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server of a cluster that is given a name while it is in use is expected to
# have a certificate for that from then on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')
        ->has(qw/ debug http_ssl /)->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server rediss://127.0.0.1:7100 rediss://127.0.0.1:7101
                           cluster tls_ca=ca.crt
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=100r/h;

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

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002], tls => 1);

$t->run();

###############################################################################

is(limit('one'), 'PASSED', 'counted');

my ($key) = $cluster->keys('*one*');
my $slot = $cluster->slot($key);
my $from = $cluster->master($slot);
my ($to, $other) = grep { $_ != $from } $cluster->nodes();

$to->cmd('CONFIG', 'SET', 'cluster-announce-hostname', 'new.test');
$cluster->wait_until(sub { $_[0]->cmd('CLUSTER', 'NODES') =~ /,new\.test/ },
    'the name is not known');

# a map that tells of it

my $maps = $t->log_count(qr/redis cluster told of/);

$cluster->begin($slot, $from, $to);
$cluster->move($slot, $from, $to, tls => 1);
$cluster->end($slot, $from, $to);

is(limit('one'), 'PASSED', 'moved');
ok(wait_for(sub { $t->log_count(qr/redis cluster told of/) > $maps }), 'told');

$t->make_cert('new.test');
$to->cmd(qw/ CONFIG SET tls-cert-file /, $t->testdir() . '/new.test.crt',
         'tls-key-file', $t->testdir() . '/new.test.key');
$to->cmd(qw/ CLIENT KILL TYPE normal /);

ok(wait_for(sub { limit('one') eq 'PASSED' }, 10), 'connected again');

###############################################################################

sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }

###############################################################################
