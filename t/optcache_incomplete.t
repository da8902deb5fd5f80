#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response that is not known to be whole is passed on and never stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Socket qw/ SOL_SOCKET SO_LINGER /;

my $head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
my $chunked = $head . "Transfer-Encoding: chunked\r\n\r\n";

my %answers = (
    'length' => "${head}Content-Length: 8\r\n\r\n" . 'x' x 8,
    'chunks' => "${chunked}4\r\nxxxx\r\n4\r\nxxxx\r\n0\r\n\r\n",
    'empty' => "${head}Content-Length: 0\r\n\r\n",

    'short' => "${head}Content-Length: 9\r\n\r\n" . 'x' x 8,
    'short-by-far' => "${head}Content-Length: 1000000\r\n\r\n" . 'x' x 200000,
    'no-body' => "${head}Content-Length: 9\r\n\r\n",
    'no-last-chunk' => "${chunked}4\r\nxxxx\r\n4\r\nxxxx\r\n",
    'half-a-chunk' => "${chunked}4\r\nxxxx\r\n8\r\nxxxx",
    'wrong-chunk' => "${chunked}4\r\nxxxx\r\nxyz\r\nxxxx\r\n0\r\n\r\n",
    'no-last-line' => "${chunked}4\r\nxxxx\r\n0\r\n",
    'until-close' => "$head\r\n" . 'x' x 8,
    'until-close-10' => "$head\r\n" . 'x' x 8,
    'reset' => "${head}Content-Length: 9\r\n\r\n" . 'x' x 8,
);

$answers{'until-close-10'} =~ s{HTTP/1.1}{HTTP/1.0};

my %whole = map { $_ => 1 } qw/ length chunks empty /;

my $t = Test::Nginx->new()->has('http_proxy')->plan(3 * keys(%answers) + 6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_gzip on;
    optcache_gzip_min_length 1;

    proxy_http_version 1.1;
    proxy_read_timeout 300ms;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            optcache c;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            optcache c;
            proxy_buffers 2 4k;
            proxy_busy_buffers_size 4k;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my ($name) = $req->{uri} =~ m{/([^/]*)$};

    if ($name eq 'stall') {
        print $s "${head}Content-Length: 9\r\n\r\n" . 'x' x 8;
        sleep 3;
        return undef;
    }

    print $s $answers{$name};

    if ($name eq 'reset') {
        select undef, undef, undef, 0.1;
        setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    }

    return undef;
});

$t->run();

###############################################################################

for my $way ('', '/unbuffered', '/file') {
    for my $name (sort keys %answers) {
        http_get("$way/$name");
        is(cache(http_get("$way/$name")), $whole{$name} ? 'HIT' : 'MISS',
            "$name$way");
    }
}

like(http_get('/until-close'), qr/x{8}/, 'what came is passed on');
like(http_get('/unbuffered/until-close'), qr/x{8}/, 'at once too');
is(body(http_get('/chunks')), 'x' x 8, 'chunks are stored without their sizes');

for my $way ('', '/unbuffered', '/file') {
    http_get("$way/stall");
    is(cache(http_get("$way/stall")), 'MISS', "timeout$way");
}

###############################################################################

# an error can leave nothing at all for the client

sub cache { return header($_[0], 'X-Cache') // 'MISS' }

###############################################################################
