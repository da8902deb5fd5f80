#!/usr/bin/perl

# Copyright (C) The Optcache authors

# How long the configuration took to be read is not taken for the time that
# Redis needs to answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=1s;
    ratelimit_redis_zone $arg_k zone=z:1m rate=10r/m;

    include slow.conf;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=z;
            empty_gif;
        }
    }
}

EOF

$t->run_redis();

# who opens it to read waits for who opens it to write

my $slow = $t->testdir() . '/slow.conf';

POSIX::mkfifo($slow, 0600) or die "mkfifo: $!";

my $pid = fork() // die "fork: $!";

if ($pid == 0) {
    sleep 1.1;
    open my $fh, '>', $slow;
    POSIX::_exit(0);
}

$t->run();
waitpid $pid, 0;

###############################################################################

is(status(http_get('/?k=a')), 200, 'a request');
is($t->log_count(qr/ is down: /), 0, 'Redis is not down');
