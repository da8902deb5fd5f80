#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis was not told of many subjects when a reload comes, the worker that
# is next tells it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_empty_gif')
        ->has_program('redis-server')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    keepalive_requests 100000;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=z:16m rate=10r/d;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=z;
            empty_gif;
        }
    }
}

EOC

use constant SUBJECTS => 40_000;

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(status(http_get('/?a=known')), 200, 'Redis is there');

$redis->kill();
ok(wait_for(sub { subjects(1, 1) == 1
                  && $t->error_log() =~ /"ratelimit_redis_server" is down/ },
            20), 'and is gone');

is(subjects(1, SUBJECTS), SUBJECTS, 'many are let in');

$redis->restart();
wait_for(sub { $redis->cmd('DBSIZE') > 100 }, 60);

$t->reload(wait_old => 1);

ok(wait_for(sub { $redis->cmd('DBSIZE') > SUBJECTS }, 120),
   'Redis is told of all of them');

###############################################################################

# How many of so many were let in, on connections of a thousand each.

sub subjects {
    my ($from, $to) = @_;

    my $n = 0;

    while ($from <= $to) {
        my $last = $from + 999 < $to ? $from + 999 : $to;

        my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080)) or last;

        print $s map {
            "GET /?a=$_ HTTP/1.1\r\nHost: localhost\r\n"
            . ($_ == $last ? "Connection: close\r\n" : '') . "\r\n"
        } $from .. $last;

        local $/;
        $n += () = <$s> =~ m{HTTP/1.1 200 }g;

        $from = $last + 1;
    }

    return $n;
}

###############################################################################
