#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client that leaves while its limits are asked for is let go, over HTTP/1.1
# and HTTP/2, and its answer harms nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;
    ratelimit_redis zone=a;
    token_blacklist on;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
        }

        location /logout {
            ratelimit_redis off;
            token_blacklist off;
            token_revoke;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis);

$t->run();

###############################################################################

my %token = (headers => { Authorization => 'Bearer t' });

is(status(http_get('/x?a=1', %token)), 200, 'warm');

$fake->set(delay => 1);

my @s = map { http_get('/x?a=1', %token, start => 1) } 1 .. 20;
push @s, map { http_post('/logout', %token, start => 1) } 1 .. 5;

# one connection with several streams, of which one is reset before it closes

my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my @streams = map { $h2->send('/x?a=1', %token) } 1 .. 3;

ok(wait_for(sub { $redis->calls('evalsha') >= 24 }), 'all have asked');

close $_ for @s;

$h2->reset($streams[1]);
$h2->close();

ok(wait_for(sub {
    my $gone = () = $t->read_file('limits.log') =~ /:499:/g;
    return $gone == 28;
}), 'all are gone before there is an answer');

is(status(http_get('/x?a=1', %token)), 401, 'one who stays has an answer');
like($t->read_file('limits.log'), qr/:401:PASSED\n\z/, 'from Redis');

$fake->set(delay => undef);

is(status(http_get('/x?a=1')), 200, 'and all is well');

###############################################################################
