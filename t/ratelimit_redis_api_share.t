#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What remains is what Redis has left for all, and without Redis the share of
# each host.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;

$hosts[0]->has_program('redis-server')->plan(6);

for my $i (0 .. $#hosts) {
    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    ratelimit_redis_zone \$arg_a zone=a:1m rate=9r/h;

    server {
        listen 127.0.0.1:$ports[$i];

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

    $hosts[$i]->write_file('x', 'SEE-THIS');
}

my $redis = $hosts[0]->run_redis();

$_->run() for @hosts;

###############################################################################

ok(wait_for(sub {
    return join(' ', map { json($_, 'status')->{redis}{hosts} } 0, 1) eq '2 2';
}), 'two hosts');

is(join(' ', sort map { json($_, 'status')->{redis}{rank} } 0, 1), '0 1',
    'of two places');

http_get('/x?a=k') for 1 .. 4;
is(join(' ', map { remaining($_) } 0, 1), '5 5', 'for all');

$redis->kill();
ok(wait_for(sub {
    return join(' ', map { json($_, 'subjects/a/k')->{source} } 0, 1)
           eq 'local local';
}), 'Redis is away');

# the second host has not heard of the subject, and has its share of all

my @left = map { remaining($_) } 0, 1;
like("@left", qr/^(2 5|3 4)$/, 'for each');

is(join(' ', map { status(http_get('/x?a=k')) } 0 .. $left[0]),
    join(' ', (200) x $left[0], 429), 'which is so');

###############################################################################

sub json {
    my ($i, $path) = @_;
    my $r = http_get("/api/$path", port => $ports[$i]);
    return status($r) == 200 ? decode_json(body($r)) : {};
}


sub remaining { return json($_[0], 'subjects/a/k')->{rates}[0]{remaining} }

###############################################################################
