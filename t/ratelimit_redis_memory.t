#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a subject with three windows costs Redis: one key that expires, and at
# most 200 bytes beyond its name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Load;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_k zone=fixed:1m rate=60r/m rate=500r/h
                         rate=2000r/d;
    ratelimit_redis_zone $arg_k zone=sliding:1m rate=60r/m rate=500r/h
                         rate=2000r/d algorithm=sliding_window;
    ratelimit_redis_zone $arg_k zone=gcra:1m rate=60r/m rate=500r/h
                         rate=2000r/d algorithm=gcra burst=10;

    server {
        listen 127.0.0.1:8080;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my @names = map { "subject$_" } 1 .. 1000;

for my $name (qw/ fixed sliding gcra /) {
    Test::Nginx::Load->run(
        ports => [8080], uris => [map { "/$name?k=$_" } @names], n => 5000,
    );

    my (@bytes, @lives);

    for my $key (map { "rl:$name:{$_}" } @names) {
        push @bytes, $redis->cmd('MEMORY', 'USAGE', $key, 'SAMPLES', 0)
                     - length $key;
        push @lives, $redis->cmd('PTTL', $key);
    }

    @bytes = sort { $a <=> $b } @bytes;
    @lives = sort { $a <=> $b } @lives;

    cmp_ok($bytes[-1], '<=', 200, "$name: bytes of a subject");
    cmp_ok($lives[0], '>', 0, "$name: all of them expire");
    cmp_ok($lives[-1], '<=', 2 * 86400_000, "$name: when nothing counts more");

    note("$name: $bytes[0] .. $bytes[-1] bytes beyond the key");
}

# and nothing else: the keys, and that of the hosts

is($redis->cmd('DBSIZE'), 3 * @names + 1, 'a key each');

###############################################################################
