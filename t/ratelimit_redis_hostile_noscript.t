#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server that has no script even when it is sent whole is asked no third
# time: the request gets its answer, and the limit holds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(3);

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

        location / {
            ratelimit_redis zone=a;
            add_header X-Status $ratelimit_redis_status always;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis, only => 'EVAL');

$t->run();

###############################################################################

my $no = "-NOSCRIPT No matching script\r\n";
$fake->set(only => 'EVAL', reply => { EVALSHA => $no, EVAL => $no });

my @r = map { http_get('/x?a=1') } 1 .. 3;

is(join(' ', map { status($_) // 'none' } @r), '200 200 429', 'answered');
is(header($r[0], 'X-Status'), 'LOCAL_PASSED', 'by this host');
is(scalar($fake->log('EVAL')), 2, 'asked once each');

###############################################################################
