#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A subject that was reset on one host begins anew on all of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;

$hosts[0]->has_program('redis-server')->plan(11);

for my $i (0 .. $#hosts) {
    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone \$arg_a zone=a:1m rate=2r/h;

    server {
        listen 127.0.0.1:$ports[$i];

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

    $hosts[$i]->write_file('x', 'SEE-THIS');
}

my $redis = $hosts[0]->run_redis();

$_->run() for @hosts;

###############################################################################

# hosts hear of what is forgotten once they have said who they are

ok(wait_for(sub { $redis->cmd('ZCARD', 'rl:{fleet}') >= 2 }),
    'both are there');

# both know the subject, and need not ask

is(get(0, 4), '200 200 429 429', 'first host');
is(get(1, 2), '429 429', 'second host');

my $r = http_request('DELETE', '/api/subjects/a/k');

is(status($r), 204, 'reset');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is($redis->cmd('EXISTS', 'rl:a:{k}'), 0, 'Redis has forgotten');

is(get(0, 1), '200', 'first host: at once');
ok(wait_for(sub { get(1, 1) eq '200' }), 'second host: soon');
is(get(1, 1) . ' ' . get(0, 1), '429 429', 'and the limit is one again');

is($hosts[0]->log_count(qr/\[notice\].*a subject of zone "a" was reset/), 1,
    'it is logged');

is(status(http_request('DELETE', '/api/subjects/a/nosuch')), 204,
    'nothing to forget');

###############################################################################

sub get {
    my ($i, $n) = @_;
    return join ' ', map { status(http_get('/x?a=k', port => $ports[$i])) }
                     1 .. $n;
}

###############################################################################
