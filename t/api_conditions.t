#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the APIs answer has no validators: a condition or a range that a client
# sends changes neither the status nor the body.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @conditions = (
    'If-Match' => '"x"',
    'If-None-Match' => '*',
    'If-Modified-Since' => 'Fri, 01 Jan 2100 00:00:00 GMT',
    'If-Unmodified-Since' => 'Thu, 01 Jan 1970 00:00:00 GMT',
    'Range' => 'bytes=0-1',
);

my $t = Test::Nginx->new()->plan(29);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    ratelimit_redis_server redis://127.0.0.1:6379;
    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m;

    server {
        listen 127.0.0.1:8080;

        location /cache/ {
            optcache_api write=on;
        }

        location /cached/ {
            optcache c;
            optcache_api write=on;
        }

        location /limits/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

$t->run();

###############################################################################

while (my ($name, $value) = splice @conditions, 0, 2) {

    for my $uri (qw{ /cache/metrics /cache/status /cached/metrics
                     /cached/health /limits/metrics })
    {
        my $r = http_get($uri, headers => { $name => $value });
        my $n = header($r, 'Content-Length');

        is(status($r) . ' ' . (length body($r) == $n), '200 1',
            "$name of $uri");
    }
}

for my $name (qw/ If-Match If-Unmodified-Since /) {
    my $value = $name eq 'If-Match' ? '"x"' : 'Thu, 01 Jan 1970 00:00:00 GMT';

    my $r = http_post('/cache/purge', headers => {
        $name => $value, 'Content-Type' => 'application/json',
    }, body => '{"all": true}');

    is(status($r), 200, "$name of a purge");
    like(body($r), qr/^\{/, 'which tells what it did');
}

###############################################################################
