#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Clients that do not read what they asked for keep that in memory, but they
# do not keep the zone from taking anything else, and never have all of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP2;
use Test::Nginx::Prometheus;

my $t = Test::Nginx->new(log => 'info')->has(qw/ http_proxy http_v2 /)
    ->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:48m;
    optcache_zone d:8m;
    optcache_valid 10m;

    server {
        listen 127.0.0.1:8080 sndbuf=32k;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;
        listen 127.0.0.1:8090 http2;

        location / {
            optcache d;
            optcache_key $request_uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cache/ {
            optcache_api;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    return "short $_[0]->{count}" . 'x' x 5000 if $_[0]->{uri} =~ m{/short/};
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

# one connection with a stream for each, and a window of none

my %at = (port => 8082);

my $h2 = Test::Nginx::HTTP2->connect(port => 8090, initial => 0);
my @ids;

for my $n (1 .. 40) {
    http_get("/$n/a", %at);
    push @ids, $h2->send("/$n/a");
    $h2->head($ids[-1]);
}

cmp_ok(hits(map { "/short/$_" } 1 .. 100), '>=', 90,
    'what is short is stored and found');

my $before = $backend->count(qr{/large});
http_get('/large/b', %at);
$r = http_get('/large/b', %at);
is(header($r, 'X-Cache'), 'MISS', 'what is large is not found');
is(length body($r), 300000, 'but asked for');
is($backend->count(qr{/large}) - $before, 2, 'each time');

my $m = Test::Nginx::Prometheus->new(body(http_get('/cache/metrics', %at)));
cmp_ok($m->sum('optcache_misses_total', zone => 'd', reason => 'busy'), '>', 1,
    'which is counted');

$h2->widen($_) for @ids;
is(scalar(grep { body($h2->response($_)) eq 'a' x 300000 } @ids), 40,
    'and all streams end with all of it');
$h2->close();

is(header(http_get('/large/b', %at), 'X-Cache'), 'HIT', 'then it is found');

###############################################################################

sub hits {
    my (@uris) = @_;

    http_get($_, %at) for @uris;

    return scalar grep { header(http_get($_, %at), 'X-Cache') eq 'HIT' } @uris;
}

###############################################################################
