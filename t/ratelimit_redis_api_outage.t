#!/usr/bin/perl

# Copyright (C) The Optcache authors

# While Redis is away the API tells what this host knows, and a reset says how
# far it reached.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    ratelimit_redis_zone $arg_a zone=a:1m rate=5r/h;

    server {
        listen 127.0.0.1:8080;

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

ok(wait_for(sub { source('k') eq 'redis' }), 'Redis is there');

http_get('/x?a=k') for 1 .. 2;

is(used('k'), '2,3 untold 0', 'told by Redis');

$redis->kill();

ok(wait_for(sub { source('k') eq 'local' }), 'Redis is away');
is(used('k'), '2,3 untold 0', 'what it said');

is(join(' ', map { status(http_get('/x?a=k')) } 1 .. 2),
    '200 200', 'goes on');
is(used('k'), '4,1 untold 2', 'here');

http_get('/x?a=k');
is(status(http_get('/x?a=k')), 429, 'to the end');
is(used('k'), '5,0 untold 3', 'nothing left');
cmp_ok(subject('a/k')->{rates}[0]{retry}, '>', 3000, 'for an hour');

is(decode_json(body(http_get('/api/status')))->{redis}{state}, 'down',
    'the status tells');

# a reset reaches this host

my $r = http_request('DELETE', '/api/subjects/a/k');
is(status($r), 503, 'reset');
is(header($r, 'Content-Type'), 'application/problem+json', 'a problem');
like(decode_json(body($r))->{detail}, qr/this host has forgotten/,
    'says how far');
is(used('k'), '0,5 untold 0', 'on this host');

# and when Redis is back, it does

$redis->launch();

ok(wait_for(sub { source('k') eq 'redis' }), 'Redis is back');
is(used('k'), '0,5 untold 0', 'and knows nothing');
is(status(http_request('DELETE', '/api/subjects/a/k')), 204, 'reset');

###############################################################################

sub subject {
    my $r = http_get("/api/subjects/$_[0]");
    return status($r) == 200 ? decode_json(body($r)) : {};
}


sub source { return subject("a/$_[0]")->{source} // '' }


sub used {
    my $s = subject("a/$_[0]");
    return join(',', @{ $s->{rates}[0] }{qw/ used remaining /})
           . " untold $s->{host}{untold}";
}

###############################################################################
