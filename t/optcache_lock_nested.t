#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A part of a part does not wait for who waits for what its own page leads, and
# can send only behind it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_ssi /)
    ->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_valid 10m;
    optcache_lock_timeout 5s;

    proxy_buffers 4 4k;
    proxy_buffer_size 4k;
    proxy_max_temp_file_size 0;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /part/ {
            optcache c;
            optcache_key part;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $gate = Test::Nginx::Gate->new($t);

# What a page includes is itself a page, which comes later, and what is behind
# it: of two pages each leads what the inner page of the other one includes.

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};

    return $1 x 300000 if $uri =~ m{/part/(.)};

    $gate->pass() if $uri =~ m{/inner/};

    return join '', map { qq(<!--#include virtual="$_" -->) }
           $uri =~ m{/inner/(.)} ? "/part/$1"
           : $uri =~ m{/ab} ? qw( /inner/a /part/b )
           : qw( /inner/b /part/a );
});

$t->run();

###############################################################################

my @s = map { http_get("/page/$_", start => 1) } qw/ ab ba /;

ok(wait_for(sub { $backend->count(qr{/(inner|part)/}) == 4 }),
    'each page leads what is behind its inner page');

my @r = $gate->opened(@s);

is(body($r[0]), 'a' x 300000 . 'b' x 300000, 'a page');
is(body($r[1]), 'b' x 300000 . 'a' x 300000, 'and the other one');
is($t->log_count(qr/optcache lock timed out/), 0, 'neither waited in vain');
is($backend->count(qr{/part/}), 4, 'but asked for it');

###############################################################################
