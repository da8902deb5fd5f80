#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A background update takes a body that is larger than its buffers, also where
# no temporary file may be written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
            proxy_max_temp_file_size 0;
        }
    }
}

EOF

my $large = 'x' x 500_000;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'max-age=1, stale-while-revalidate=100',
                   ETag => '"1"' }, 'first'] if $req->{count} == 1;

    return [200, { 'Cache-Control' => 'max-age=100' }, $large];
});

$t->run();

###############################################################################

is(body(http_get('/')), 'first', 'an answer');
sleep 2.1;

my $r = http_get('/');
is(header($r, 'X-Cache'), 'UPDATING', 'is used while it is updated');
is(body($r), 'first', 'and whole');

$r = http_get('/');
is(header($r, 'X-Cache'), 'HIT', 'the new one is used then');
is(length body($r), length $large, 'all of it');

###############################################################################
