#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a subject with three windows costs shared memory: at most 160 bytes
# beyond its key.  More subjects than a zone holds drive out the oldest, and no
# request fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Load;

my $t = Test::Nginx->new(log => 'info')->plan(15);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    ratelimit_redis_zone $arg_k zone=fixed:1m rate=60r/m rate=500r/h
                         rate=2000r/d;
    ratelimit_redis_zone $arg_k zone=sliding:1m rate=60r/m rate=500r/h
                         rate=2000r/d algorithm=sliding_window;
    ratelimit_redis_zone $arg_k zone=gcra:1m rate=60r/m rate=500r/h
                         rate=2000r/d algorithm=gcra burst=10;

    server {
        listen 127.0.0.1:8080;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->run();

###############################################################################

# addresses are this long: "192.168.000.001"

my @keys = map { sprintf 'key-%011d', $_ } 1 .. 12000;

for my $name (qw/ fixed sliding gcra /) {

    # as many as the zone is to hold, and a few for its own use

    my $promised = int(1024 * 1024 / (160 + length $keys[0]) * 0.995);

    is(passed($name, @keys[0 .. $promised - 1]), $promised,
        "$name: what it is to hold");
    like(subjects($name), qr/"used":$promised,"evicted":0/,
        "$name: none had to leave");

    is(passed($name, @keys), scalar @keys, "$name: more than it can hold");

    my ($held, $left) = subjects($name) =~ /"used":(\d+),"evicted":(\d+)/;

    cmp_ok($left, '>', 1000, "$name: the oldest have left");
    cmp_ok(1024 * 1024 / $held - length $keys[0], '<=', 160,
        "$name: bytes of a subject");

    note("$name: ", int(1024 * 1024 / $held - length($keys[0]) + 0.5),
         ' bytes beyond the key');
}

###############################################################################

sub passed {
    my ($name, @keys) = @_;

    return Test::Nginx::Load->run(
        ports => [8080], uris => [map { "/$name?k=$_" } @keys], n => @keys + 0,
    )->{passed};
}


sub subjects {
    my ($name) = @_;

    my ($zone) = body(http_get('/api/zones')) =~ /"name":\s*"$name"(.*)/s;

    $zone =~ s/\s+//g;
    return $zone =~ /"subjects":\{([^}]*)/ ? $1 : '';
}

###############################################################################
