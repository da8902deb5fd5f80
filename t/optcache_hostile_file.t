#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Files that nginx is told not to wait for are not waited for by the cache.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy threads /)->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location /file/ {
            alias %%TESTDIR%%/;
        }

        location /aio/ {
            aio threads;
            alias %%TESTDIR%%/;
        }

        location /directio/ {
            directio 512;
            alias %%TESTDIR%%/;
        }

        # larger than its buffers, to a client that reads slowly

        location /temp/ {
            aio threads;
            aio_write on;
            limit_rate 600k;
            proxy_buffers 2 4k;
            proxy_busy_buffers_size 4k;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $body = join ' ', 1 .. 60000;

$t->run_http_backend(8081, sub { return $body });
$t->write_file('a', $body);
$t->run();

###############################################################################

for my $case (['/file/a', 'HIT'], ['/aio/a', 'MISS'], ['/directio/a', 'MISS'],
              ['/temp/a', 'HIT'])
{
    my ($uri, $cache) = @$case;

    my $first = body(http_get($uri)) eq $body;
    my $r = http_get($uri);

    is(header($r, 'X-Cache'), $cache, $uri);
    ok($first && body($r) eq $body, 'is the same');
}

like($t->error_log(), qr/temporary file/, 'one was in a temporary file');

###############################################################################
