#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What optcache_key and optcache_user are made of, in all forms nginx knows:
# texts, variables, in braces too, captures, and any number of them.

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

    optcache_zone c:1m;

    map $arg_a $mapped {
        volatile;
        default $arg_a;
        none "";
    }

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_valid 1m;

        location /text {
            optcache_key text;
            proxy_pass http://127.0.0.1:8081;
        }

        location /braces {
            optcache_key ${arg_a}b$arg_b;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/capture/(.*)/ {
            optcache_key c$1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /many {
            optcache_key m$arg_a-$arg_b-$arg_c-$arg_d-$arg_e-$arg_f;
            proxy_pass http://127.0.0.1:8081;
        }

        location /more {
            optcache_key m$arg_a-$arg_b-$arg_c-$arg_d-$arg_e-$arg_f-$arg_g-$arg_h-$arg_i;
            proxy_pass http://127.0.0.1:8081;
        }

        location /one {
            optcache_key $mapped;
            optcache_user u$arg_u;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $n = 0;

$t->run_http_backend(8081, sub { [200, [], $n++] });
$t->run();

###############################################################################

is(said('/text/1'), 'MISS', 'a text');
is(said('/text/2'), 'HIT', 'is the same always');

is(said('/braces?a=1&b=2'), 'MISS', 'braces');
is(said('/braces?b=2&a=1&c=3'), 'HIT', 'the same');
is(said('/braces?a=1b&b=2'), 'MISS', 'another');
is(said('/braces?a=1'), 'MISS', 'without the last');
is(said('/braces?b='), 'MISS', 'without both');

is(said('/capture/x/1'), 'MISS', 'a capture');
is(said('/capture/x/2'), 'HIT', 'the same');
is(said('/capture/y/1'), 'MISS', 'another');

is(said('/many?a=1&f=2'), 'MISS', 'many parts');
is(said('/many?f=2&a=1'), 'HIT', 'the same');
is(said('/many?a=1&f=3'), 'MISS', 'another last');

is(said('/more?a=1&i=2'), 'MISS', 'more than many');
is(said('/more?i=2&a=1'), 'HIT', 'the same');
is(said('/more?a=1&i=3'), 'MISS', 'another last');

is(said('/one?a=1&u=x'), 'MISS', 'a variable alone');
is(said('/one?a=1&u=x'), 'HIT', 'the same');
is(said('/one?a=1&u=y'), 'MISS', 'of another user');

###############################################################################

sub said {
    return header(http_get($_[0]), 'X-Cache');
}

###############################################################################
