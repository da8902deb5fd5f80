#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Numbers in a value of Redis that are right for its checksum, and for nothing
# else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::XXH64 qw/ xxh64 /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_key key;
            proxy_pass http://127.0.0.1:8081;
        }

        # of the same key, and of another URI

        location /drop {
            optcache c;
            optcache_key key;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=6000', 'Content-Type: text/plain'],
            'body'];
});

$t->run();

###############################################################################

http_get('/');
wait_for(sub { $redis->entries() == 1 });

my ($name) = @{ $redis->entry_names() };
my $value = $redis->cmd('GET', $name);

is(layer($value), 'L2', 'the value as it is');

# a year of ten digits is longer than the line it is written to

for my $time (253402300800, 1 << 56, 1 << 62, ~0 >> 1, ~0 - 1) {
    is(layer(with(28, pack 'Q<', $time)), '', "last modified at $time");
}

is(layer(with(28, pack 'Q<', 253402300799)), 'L2', 'last modified in 9999');

# a lifetime or age of its own is only a number

is(layer(with(16, pack 'V', 0xffffffff)), 'L2', 'the longest lifetime');
is(layer(with(12, pack 'V', 0xffffffff)), '', 'the highest age');
is(layer(with(20, pack 'Q<', ~0 >> 1)), '', 'received in the far future');

###############################################################################

sub with {
    my ($at, $bytes) = @_;

    my $v = $value;
    substr $v, $at, length $bytes, $bytes;
    substr $v, 4, 4, pack 'V', xxh64(substr $v, 8) & 0xffffffff;
    return $v;
}


# Where the answer came from.

sub layer {
    my ($v) = @_;

    # out of memory too
    http_post('/drop');
    wait_for(sub { !$redis->cmd('EXISTS', $name) });
    $redis->cmd('SET', $name, $v);

    my $r = http_get('/');
    die "bad answer\n$r" if status($r) ne '200' || body($r) ne 'body';

    # a miss is stored anew
    wait_for(sub { $redis->cmd('GET', $name) ne $v }) if !header($r, 'X-Layer');

    return header($r, 'X-Layer') // '';
}

###############################################################################
