#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client that leaves while Redis is told of its purge is let go, and the
# other hosts are told all the same; so it is when a reload comes between.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format api $uri:$status;
    access_log %%TESTDIR%%/api.log api;

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=9s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            optcache_purge 1;
        }

        location /api/ {
            optcache_api write=on;
        }

        location /after/ {
            optcache_api write=on;
            post_action /done;
        }

        location /done {
            return 204;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

my @post = (body => '{"tags":["a","b"]}',
            headers => ['Content-Type: application/json']);

ok(wait_for(sub {
    return body(http_post('/api/purge', @post)) =~ /"hosts":"all"/;
}), 'all are told');

# nobody has an answer while Redis stands still

my $n = events();

$redis->suspend();

my @s = (http_post('/api/purge', @post, start => 1),
         http_post('/after/purge', @post, start => 1),
         http_request('PURGE', '/a', start => 1),
         http_request('PURGE', '/b', start => 1));

my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my @streams = map { $h2->send($_, method => 'PURGE') } '/c', '/d';

my $api = http_post('/api/purge', @post, start => 1);
my $purge = http_request('PURGE', '/e', start => 1);

ok(wait_for(sub { $t->log_count(qr/optcache: \d+ purged/) >= 9 }),
    'all wait');

$h2->reset($streams[0]);
$h2->close();
close $_ for @s;

# that of a post_action is its own

ok(wait_for(sub {
    my $gone = () = $t->read_file('api.log') =~ m{:499$|^/done:204$}mg;
    return $gone == 6;
}), 'are gone before there is an answer') or diag($t->read_file('api.log'));

$redis->resume();

is(status(http_end($api)), 200, 'one who stays has an answer');
is(status(http_end($purge)), 200, 'and so by the method');

# 2 of each POST, one of each PURGE

ok(wait_for(sub { events() - $n >= 11 }), 'all of it is told');
is(events() - $n, 11, 'and once');

# an old worker does not wait for Redis, which is told by a new one

$n = events();
$redis->suspend();

$api = http_post('/api/purge', @post, start => 1);
$purge = http_request('PURGE', '/f', start => 1);

ok(wait_for(sub { $t->log_count(qr/optcache: \d+ purged/) >= 11 }),
    'two wait');

ok($t->reload(), 'reload');

$redis->resume();

like(status(http_end($api)), qr/^20[02]$/, 'an answer');
like(status(http_end($purge)), qr/^20[02]$/, 'and by the method');

ok(wait_for(sub { events() - $n >= 3 }), 'all of it is told');

is(status(http_post('/api/purge', @post)), 200, 'and all is well');

###############################################################################

# that say what is purged, not hello

sub events {
    my $list = $redis->cmd('XRANGE', 'oc:invalidate', '-', '+');
    return scalar grep { grep { $_ eq 'mark' } @{ $_->[1] } } @$list;
}

###############################################################################
