#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response larger than optcache_max_size is passed on and not stored,
# whether its length is known beforehand or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(19);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_valid 1m;

    proxy_http_version 1.1;

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location /default/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /small/ {
            optcache_max_size 1000;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_max_size 1000;
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /large/ {
            optcache_max_size 4m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            optcache_max_size 1000;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($way, $size) = $req->{uri} =~ m{/(length|chunked)/(\d+)};
    my $body = 'x' x $size;

    return $body if $way eq 'length';

    my $s = $req->{socket};

    print $s "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    printf $s "%x\r\n%s\r\n", length $1, $1 while $body =~ /(.{1,4000})/g;
    print $s "0\r\n\r\n";

    return undef;
});

$t->run();

###############################################################################

for my $way (qw/ length chunked /) {
    is(twice("/small/$way/1000", 1000), 'HIT', "just as large, $way");
    is(twice("/small/$way/1001", 1001), 'MISS', "too large, $way");
    is(twice("/small/$way/500000", 500000), 'MISS', "far too large, $way");
    is(twice("/unbuffered/$way/1000", 1000), 'HIT', "unbuffered, $way");
    is(twice("/unbuffered/$way/9000", 9000), 'MISS',
        "too large, unbuffered, $way");
    is(twice("/gzip/$way/5000", 5000), 'MISS',
        "too large, though small when compressed, $way");
    is(twice("/default/$way/1048576", 1048576), 'HIT', "1m is kept, $way");
    is(twice("/default/$way/1048577", 1048577), 'MISS', "more is not, $way");
    is(twice("/large/$way/3000000", 3000000), 'HIT', "unless said, $way");
}

is(twice('/small/length/0', 0), 'HIT', 'nothing is small enough');

###############################################################################

# X-Cache of the second; both have to be right.

sub twice {
    my ($uri, $size) = @_;

    my @r = map { scalar http_get($uri) } 1, 2;

    for my $r (@r) {
        my $body = body($r) // 'none';
        return 'wrong body of ' . length $body if $body ne 'x' x $size;
    }

    return header($r[1], 'X-Cache');
}

###############################################################################
