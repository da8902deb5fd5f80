#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Zones: several side by side, full ones, and ones too small for anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_proxy')->plan(23);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone one:1m;
    optcache_zone two:1m;
    optcache_zone tiny:32k;
    optcache_zone unused:1m;
    optcache_zone full:512k;

    optcache_valid any 10m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache one;
            optcache_key same;
            proxy_pass http://127.0.0.1:8081;
        }

        location /two {
            optcache two;
            optcache_key same;
            proxy_pass http://127.0.0.1:8081;
        }

        location /tiny/ {
            optcache tiny;
            proxy_pass http://127.0.0.1:8081;
        }

        location /full/ {
            optcache full;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    my ($size) = $req->{uri} =~ m{/(\d+)$};

    return $size ? 'x' x $size : "$req->{uri} $req->{count}";
});

$t->run();

###############################################################################

# two zones share nothing

http_get('/');
http_get('/two');
is(body(http_get('/')), '/ 1', 'one zone');
is(body(http_get('/two')), '/two 1', 'and the other');

# too large for the zone

for (1 .. 3) {
    my $r = http_get('/tiny/900000');
    is(header($r, 'X-Cache'), 'MISS', 'too large for the zone');
    is(length body($r), 900000, 'but served');
}

http_get('/tiny/100');
http_get('/tiny/900000');
is(header(http_get('/tiny/100'), 'X-Cache'), 'HIT',
    'what can have no room drives nobody out');

# full: who was asked for longest ago leaves

http_get("/full/$_/10000") for 1 .. 30;
is(hits(1 .. 30), 30, 'not full yet');

for my $n (31 .. 200) {
    http_get("/full/$n/10000");
    http_get('/full/1/10000');
}

is(header(http_get('/full/1/10000'), 'X-Cache'), 'HIT', 'asked for, kept');
is(header(http_get('/full/200/10000'), 'X-Cache'), 'HIT', 'new, kept');
is($backend->count(qr{/full/1/10000}), 1, 'all the time');
is(header(http_get('/full/2/10000'), 'X-Cache'), 'MISS', 'old, gone');
cmp_ok(my $kept = hits(170 .. 200), '>=', 20, 'the newest are there');

# all sizes, again and again: nothing is lost of the memory

for my $round (1 .. 3) {
    for my $size (1, 100, 3000, 5000, 50000, 130000, 300000) {
        http_get("/full/r$round-$_/$size") for 1 .. 5;
    }
}

http_get("/full/after$_/10000") for 1 .. 30;
is(scalar(grep { header(http_get("/full/after$_/10000"), 'X-Cache') eq 'HIT' }
    1 .. 30), 30, 'as many have room as in the beginning');

http_get('/full/huge/400000');
is(header(http_get('/full/huge/400000'), 'X-Cache'), 'HIT',
    'one that needs nearly all of it');
is(length body(http_get('/full/huge/400000')), 400000, 'whole');

http_get("/full/last$_/10000") for 1 .. 30;
is(scalar(grep { header(http_get("/full/last$_/10000"), 'X-Cache') eq 'HIT' }
    1 .. 30), 30, 'and as many after it');

# what is removed gives its room back

for my $n (1 .. 60) {
    http_get("/full/p/10000");
    http_post("/full/p/10000");
}

is(header(http_get('/full/p/10000'), 'X-Cache'), 'MISS', 'removed');
is(header(http_get('/full/p/10000'), 'X-Cache'), 'HIT', 'and stored again');
cmp_ok(scalar(grep {
    header(http_get("/full/last$_/10000"), 'X-Cache') eq 'HIT';
} 1 .. 30), '>=', 25, 'beside the others');

is($t->log_count(qr/could not allocate|no memory/), 0, 'no cry about memory');

###############################################################################

sub hits {
    return scalar grep {
        header(http_get("/full/$_/10000"), 'X-Cache') eq 'HIT';
    } @_;
}

###############################################################################
