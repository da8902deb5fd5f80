#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Reloads under load: no request fails, no worker stays, and the limit holds
# over all generations of workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=300r/h rate=1000r/d;
    ratelimit_redis zone=a;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }

        location = /logout {
            token_revoke;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my %token = (headers => { Authorization => 'Bearer t' });
my $master = $t->master_pid();
my %count;

for my $i (1 .. 40) {
    my @s = map { http_get('/x?a=1', %token, start => 1) } 1 .. 10;

    kill 'HUP', $master if $i % 4 == 0;

    $count{ status(http_end($_)) }++ for @s;
    sleep 0.05;
}

is(join(' ', map { "$_:$count{$_}" } sort keys %count), '200:300 429:100',
    'none fails, and the limit holds');

is(status(http_post('/logout?a=2', %token)), 204, 'logout');
ok($t->reload(wait_old => 1), 'no worker stays');
is(status(http_get('/x?a=3', %token)), 401, 'revoked after a reload');

###############################################################################
