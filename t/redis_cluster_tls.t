#!/usr/bin/perl

# Copyright (C) The Optcache authors

# All servers of a cluster are spoken to as the seed is: by TLS, verified, as
# a user who may do little.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')
        ->has('http_ssl')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server rediss://limits@127.0.0.1:7100 cluster
                           password_file=password tls_ca=ca.crt
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=4r/h;

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
$t->write_file('password', "secret\n");

my @user = ('--user', qw/ limits on >secret ~rl:* +@read +@write +@scripting
                          +@pubsub &* +time +ping +asking +cluster|slots /);

my $cluster = $t->run_redis_cluster(
    ports => [7000 .. 7002], tls => 1, args => \@user,
);

$t->run();

###############################################################################

is(join(' ', map { limit("s$_") } 1 .. 20), join(' ', ('PASSED') x 20),
    'counted');
is(scalar(grep { !$_->cmd('DBSIZE') } $cluster->nodes()), 0,
    'by all servers');

my ($key) = $cluster->keys('*s7*');
my $slot = $cluster->slot($key);
my $from = $cluster->master($slot);
my ($to) = grep { $_ != $from } $cluster->nodes();

$cluster->begin($slot, $from, $to);
$cluster->move($slot, $from, $to, tls => 1);

is(limit('s7'), 'PASSED', 'asked for');

$cluster->end($slot, $from, $to);

is(join(' ', map { limit('s7') } 1 .. 3), 'PASSED PASSED REJECTED', 'moved');

# nobody came without TLS, and nobody as another user

my @clients = grep { /user=limits/ }
              map { split /\n/, $_->cmd('CLIENT', 'LIST') } $cluster->nodes();
my $ports = join '|', map { $_->tls_port() } $cluster->nodes();

cmp_ok(scalar(@clients), '>=', 3, 'as the user');
is(scalar(grep { !/laddr=127\.0\.0\.1:($ports) / } @clients), 0, 'by TLS');

###############################################################################

sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }

###############################################################################
