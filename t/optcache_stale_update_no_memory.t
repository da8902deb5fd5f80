#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where there is no memory to begin an update in the background, the request is
# answered or refused, and its connection is not kept for ever.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

plan(skip_all => 'what is loaded before the sanitizer is refused')
    if $ENV{ASAN_OPTIONS};

my $t = Test::Nginx->new(log => 'info')
        ->has(qw/ http_proxy http_stub_status /)->has_program('cc')->plan(4);

$t->expect_log(qr/posix_memalign\(16, 512\) failed/);

my $dir = $t->testdir();

# The n-th piece that the pool of a request grows by, n being the size of the
# file: which allocation comes to it depends on what was taken before, and so on
# the length of the URI.

$t->write_file('fail.c', <<"EOF");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int
posix_memalign(void **p, size_t alignment, size_t size)
{
    int          (*real)(void **, size_t, size_t);
    struct stat  st;
    static int   left;

    if (size == 512) {
        if (stat("$dir/fail", &st) == 0 && unlink("$dir/fail") == 0) {
            left = st.st_size;
        }

        if (left && --left == 0) {
            return ENOMEM;
        }
    }

    real = dlsym(RTLD_NEXT, "posix_memalign");

    return real(p, alignment, size);
}
EOF

system("cc -shared -fPIC -o $dir/fail.so $dir/fail.c -ldl") == 0
    or die "fail.so\n";

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    connection_pool_size 256;
    request_pool_size 512;

    optcache_zone c:8m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_headers all;
            optcache_lock off;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /connections {
            stub_status;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    return [200, { 'Cache-Control' => 'max-age=1, stale-while-revalidate=600' },
            'this'];
});

{
    local $ENV{LD_PRELOAD} = "$dir/fail.so";
    $t->run();
}

###############################################################################

# a step of length is what the smallest allocation takes

my @tries = map { my $n = $_;
                  map { [$n, "/$n/" . 'a' x (8 * $_)] } 0 .. 63 } 1 .. 8;

http_get($_->[1]) for @tries;

sleep 2.1;

my %statuses;

for my $try (@tries) {
    my ($n, $uri) = @$try;

    $t->write_file('fail', 'x' x $n);

    my $r = http_get($uri);

    $statuses{$r eq '' ? 'closed' : status($r)}++;

    unlink "$dir/fail";
}

ok($statuses{200}, 'answered, stale or not');
ok($statuses{500} || $statuses{closed}, 'or refused');
is(join(' ', grep { !/^(200|500|closed)$/ } sort keys %statuses), '',
   'and nothing else');

ok(wait_for(sub {
    body(http_get('/connections')) =~ /Active connections: 1 /
}, 10), 'no connection is left');

###############################################################################
