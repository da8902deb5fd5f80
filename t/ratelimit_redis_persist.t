#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A key whose time to live was taken away gets it again: of a window with the
# next one, of a bucket at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=9r/s;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=9r/s
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=9r/s burst=9 algorithm=gcra;

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

for my $name (qw/ fixed sliding gcra /) {
    my $key = "rl:$name:{1}";

    http_get("/$name?a=1");
    $redis->cmd('PERSIST', $key);
    is($redis->cmd('PTTL', $key), -1, "$name: no time to live");

    # the window ends

    select undef, undef, undef, $name eq 'gcra' ? 0 : 1.1;

    is(status(http_get("/$name?a=1")), 200, "$name: another request");
    cmp_ok($redis->cmd('PTTL', $key), '>', 0, "$name: which gives it one");
}

###############################################################################
