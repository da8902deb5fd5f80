#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Clients that do not read what they asked for keep that in memory, but they
# do not keep the zone from taking anything else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_proxy')->plan(3);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:48m;
    optcache_valid 10m;

    server {
        listen 127.0.0.1:8080 sndbuf=32k;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    return $_[0]->{uri} =~ m{/(.)$} ? $1 x 300000 : 'x' x 300000;
});

$t->run();

###############################################################################

# the oldest entries of all are the ones that are being read

my @slow;

for my $n (1 .. 100) {
    http_get("/slow/$n/a");
    push @slow, http_get("/slow/$n/a", start => 1);
    wait_for(sub { sysread $slow[-1], my $start, 4000 });
}

http_get("/fill/$_") for 1 .. 80;

my @new = grep {
    http_get("/new/$_/b");
    header(http_get("/new/$_/b"), 'X-Cache') eq 'HIT'
} 1 .. 10;

cmp_ok(scalar @new, '>=', 8, 'what is new is stored');

# and what is being read is whole

my $r = http_end($slow[0]);
ok(length $r > 290000 && $r !~ /[^a]/, 'nothing but its own');

close $_ for @slow;

is(scalar(grep {
    http_get("/more/$_/c");
    header(http_get("/more/$_/c"), 'X-Cache') eq 'HIT'
} 1 .. 10), 10, 'when they are gone too');

###############################################################################
