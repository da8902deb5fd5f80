#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Subjects are spread over the servers of a cluster, and each is counted
# exactly, by several hosts that know one server each.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;

$hosts[0]->has_program('redis-server')->plan(14);

for my $i (0 .. $#hosts) {
    my $seed = $i ? 'redis://127.0.0.1:7004'
                  : 'redis://127.0.0.1:7009 redis://127.0.0.1:7000';

    $hosts[$i]->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server $seed cluster timeout=5s connect_timeout=5s;
    ratelimit_redis_zone \$arg_a zone=a:1m rate=5r/h;

    add_header X-Limit \$ratelimit_redis_status always;

    server {
        listen 127.0.0.1:$ports[$i] reuseport;

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOC

    $hosts[$i]->write_file('x', 'SEE-THIS');
}

my $cluster = $hosts[0]->run_redis_cluster();
my @masters = map { $cluster->node($_) } 0 .. 2;

$_->run() for @hosts;

###############################################################################

# the first request of a worker that has just started waits for the map

is(limit('first'), 'PASSED', 'from the first request on');

my %count;

for my $a (1 .. 30) {
    my @s = map { http_get("/x?a=$a", start => 1, port => $ports[$_ % 2]) }
            1 .. 8;
    my %got;

    $got{ status(http_end($_)) }++ for @s;
    $count{ join ' ', map { "$_:$got{$_}" } sort keys %got }++;
}

is(join(', ', map { "$_ x $count{$_}" } keys %count), '200:5 429:3 x 30',
    'each subject exactly, by both hosts');

cmp_ok(scalar($cluster->keys('*')), '>=', 31, 'a key for each');
is(scalar(grep { !$_->cmd('DBSIZE') } @masters), 0, 'on all servers');

# one server that is asked for what is elsewhere says MOVED

is(scalar(grep { $_->errors('MOVED') } @masters), 0,
    'no server was asked in vain');

# each server has to be given the script by itself

is(scalar(grep { !$_->calls('eval') } @masters), 0, 'each has the script');
$_->cmd('SCRIPT', 'FLUSH') for @masters;

is(join(' ', map { limit("flushed$_") } 1 .. 20),
    join(' ', ('PASSED') x 20), 'and gets it again');

is($hosts[1]->log_count(qr/\[(warn|error)\].*\bredis (cluster|")/), 0,
    'no complaint');
is($hosts[0]->log_count(qr/\[error\].* is down/), 0,
    'nor of a seed that is not there');

# what a host has asked of all servers is one sum

my $s = decode_json(body(http_get('/api/status')))->{redis};

is($s->{breaker}, 'closed', 'all is well');
cmp_ok($s->{host}{replies}, '>=', 30 + 21, 'all of them count');
cmp_ok($s->{host}{connects}, '>=', 3, 'and their connections');

# workers of a new configuration learn anew, and lose no count

ok($hosts[0]->reload(wait_old => 1), 'reload');
is(join(' ', map { status(http_get("/x?a=$_")) } 1 .. 5),
    join(' ', (429) x 5), 'who was refused stays refused');

###############################################################################

sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }

###############################################################################
