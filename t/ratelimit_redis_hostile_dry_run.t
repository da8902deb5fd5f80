#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A zone that has not counted a request, because it was over the limit in a
# dry run or because nobody was asked, is checked where it is met again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/h;

    server {
        listen 127.0.0.1:8080;

        location /dry {
            ratelimit_redis zone=a dry_run;
            try_files /none @app;
        }

        location /allow {
            ratelimit_redis zone=a on_error=allow;
            try_files /none @deny;
        }

        location @app {
            ratelimit_redis zone=a;
            empty_gif;
        }

        location @deny {
            ratelimit_redis zone=a on_error=deny;
            empty_gif;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(statuses('/dry?a=1'), '200 200 429 429', 'a dry run, and then not');
is(statuses('/allow?a=2'), '200 200 429 429', 'counted once');

$redis->kill();

is(statuses('/dry?a=3'), '200 200 429 429', 'a dry run without redis');
is(statuses('/allow?a=4'), '503 503 503 503', 'allowed, and then not');
is(statuses('/dry?a=1'), '429 429 429 429', 'known');

###############################################################################

sub statuses { return join ' ', map { status(http_get($_[0])) } 1 .. 4 }

###############################################################################
