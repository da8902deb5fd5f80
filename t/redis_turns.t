#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis sends as fast as it is read is read in several turns of the event
# loop: whoever asks for something else has his turn among them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:64m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=20s connect_timeout=5s;

    optcache_valid 10m;
    optcache_max_size 16m;

    proxy_max_temp_file_size 0;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $large = 'x' x 12000000;

$t->run_http_backend(8081, sub { [200, {}, $large] });

$t->run();

###############################################################################

is(length body(http_get('/large')), length $large, 'an answer of 12 megabytes');
ok(wait_for(sub { $redis->cmd('DBSIZE') }, 20), 'is in Redis');

$t->stop();
$t->run();

my $before = length $t->error_log();
my $r = http_get('/large');

is(header($r, 'X-Layer'), 'L2', 'comes from there');
ok(body($r) eq $large, 'as it was');

my @reads = map { reads($_) } split /worker cycle/,
            substr $t->error_log(), $before;

is(grep($_ > 4, @reads), 0, 'some of it in each turn');
cmp_ok(scalar(grep { $_ } @reads), '>', 12, 'of several');

###############################################################################

# How often the connection has been read that was read most in a turn.

sub reads {
    my ($turn) = @_;

    my %n;
    $n{$1}++ while $turn =~ /recv: fd:(\d+) \d+ of 65536/g;

    return (sort { $b <=> $a } values %n, 0)[0];
}

###############################################################################
