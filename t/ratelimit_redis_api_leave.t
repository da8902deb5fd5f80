#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client of the API that leaves is let go; the reset it asked for is done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=9s connect_timeout=5s;

    log_format api $uri:$status;
    access_log %%TESTDIR%%/api.log api;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/h;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $uri = '/api/subjects/a/k';

is(join(' ', map { status(http_get('/x?a=k')) } 1 .. 2), '200 429', 'refused');
is(status(http_get($uri)), 200, 'a client that stays');

# nobody has an answer while Redis stands still

$redis->suspend();

my @s = map { http_get($uri, start => 1) } 1 .. 3;
push @s, map { http_request('DELETE', $uri, start => 1) } 1 .. 2;

my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my @streams = map { $h2->send($uri) } 1 .. 2;

my $stays = http_request('DELETE', $uri, start => 1);

ok(wait_for(sub { $t->log_count(qr/http finalize request: -4,/) == 9 }),
    'all wait');

$h2->reset($streams[0]);
$h2->close();
close $_ for @s;

ok(wait_for(sub {
    my $gone = () = $t->read_file('api.log') =~ /:499$/mg;
    return $gone == 7;
}), 'are gone before there is an answer');

$redis->cont();

is(status(http_end($stays)), 204, 'one who stays has an answer');
ok(wait_for(sub {
    return ($redis->cmd('ZSCORE', 'rl:{fleet}', 'resets') // 0) == 3;
}), 'all that was to be forgotten is, and the others hear of it');
is(status(http_get('/x?a=k')), 200, 'begins anew');
is(status(http_get($uri)), 200, 'and all is well');

###############################################################################
