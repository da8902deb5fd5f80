#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Header fields of any size are passed on; what is too much is not stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_proxy')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_buffer_size 256k;
            proxy_buffers 2 256k;
            proxy_busy_buffers_size 256k;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my %fields = (
    many => [map { "X-$_: $_" } 1 .. 1000],
    long => ['X-Long: ' . 'x' x 60000],
    'too-long' => ['X-Long: ' . 'x' x 66000],
    'too-many' => [map { "X-$_: " . 'x' x 1000 } 1 .. 80],
    name => ['X-' . 'n' x 253 . ': x'],
    'long-name' => ['X-' . 'n' x 254 . ': x'],
);

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, $fields{substr $req->{uri}, 1}, 'body'];
});

$t->run();

###############################################################################

for (['many', 'HIT'], ['long', 'HIT'], ['too-long', 'MISS'],
     ['too-many', 'MISS'], ['name', 'HIT'], ['long-name', 'MISS'])
{
    my ($name, $status) = @$_;

    my ($miss, $hit) = map { scalar http_get("/$name") } 1, 2;

    is(header($hit, 'X-Cache'), $status, "$name fields");
    is_deeply([fields($hit)], [fields($miss)], 'arrive');
}

###############################################################################

sub fields {
    return map { "$_->[0]: $_->[1]" } grep { $_->[0] =~ /^X-(\d|L|n)/ }
           headers($_[0]);
}

###############################################################################
