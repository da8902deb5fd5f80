#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a response says about itself decides whether it is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $fresh = 'Cache-Control: max-age=60';
my $past = 'Expires: Mon, 01 Jan 2001 00:00:00 GMT';
my $future = 'Expires: Fri, 01 Jan 2100 00:00:00 GMT';

# name, status, fields, stored in the shared and in a user's partition

my @cases = (
    ['max-age', 200, [$fresh], 1, 1],
    ['a quoted max-age', 200, ['Cache-Control: max-age="60"'], 1, 1],
    ['in any case', 200, ['cache-control: MAX-AGE=60'], 1, 1],
    ['after unknown words', 200, ['Cache-Control: x, y="a, b", max-age=60'],
        1, 1],
    ['Expires', 200, [$future], 1, 1],
    ['s-maxage', 200, ['Cache-Control: s-maxage=60'], 1, 0],

    ['nothing about freshness', 200, [], 0, 0],
    ['max-age=0', 200, ['Cache-Control: max-age=0'], 0, 0],
    ['a wrong max-age', 200, ['Cache-Control: max-age=x'], 0, 0],
    ['Expires in the past', 200, [$past], 0, 0],
    ['Expires: 0', 200, ['Expires: 0'], 0, 0],
    ['an Age beyond its lifetime', 200, [$fresh, 'Age: 61'], 0, 0],

    ['max-age=0 with Expires', 200, ['Cache-Control: max-age=0', $future],
        0, 0],
    ['max-age with a past Expires', 200, [$fresh, $past], 1, 1],
    ['s-maxage=0 with max-age', 200,
        ['Cache-Control: s-maxage=0, max-age=60'], 0, 1],
    ['s-maxage with max-age=0', 200,
        ['Cache-Control: max-age=0, s-maxage=60'], 1, 0],

    ['no-store', 200, ['Cache-Control: no-store, max-age=60'], 0, 0],
    ['NO-STORE', 200, ['Cache-Control: NO-STORE, max-age=60'], 0, 0],
    ['no-store in a second field', 200, [$fresh, 'Cache-Control: no-store'],
        0, 0],
    ['no-store after a comma', 200, ['Cache-Control: max-age=60,,no-store'],
        0, 0],
    ['no-store only in quotes', 200,
        ['Cache-Control: max-age=60, x="no-store"'], 1, 1],
    ['private; with a wrong mark', 200,
        ['Cache-Control: max-age=60, private; x=1'], 0, 1],
    ['no-cache', 200, ['Cache-Control: no-cache, max-age=60'], 0, 0],
    ['no-cache and a status that says nothing of it', 302,
        ['Cache-Control: no-cache', 'ETag: "a"'], 0, 0],
    ['no-cache="field"', 200, ['Cache-Control: no-cache="a", max-age=60'],
        1, 1],
    ['no-cache="no field"', 200, ['Cache-Control: no-cache="a b", max-age=60'],
        0, 0],
    ['private', 200, ['Cache-Control: private, max-age=60'], 0, 1],
    ['private="field"', 200, ['Cache-Control: private="a", max-age=60'], 1, 1],
    ['private=""', 200, ['Cache-Control: private="", max-age=60'], 0, 1],

    ['Set-Cookie', 200, [$fresh, 'Set-Cookie: a=b'], 0, 0],
    ['public and Set-Cookie', 200,
        ['Cache-Control: public, max-age=60', 'Set-Cookie: a=b'], 0, 0],

    ['Vary: Accept-Encoding', 200, [$fresh, 'Vary: accept-encoding'], 1, 1],
    ['Vary: Accept-Language', 200, [$fresh, 'Vary: Accept-Language'], 1, 1],
    ['Vary: two', 200, [$fresh, 'Vary: Accept-Encoding, Cookie'], 1, 1],
    ['Vary: in a second field', 200,
        [$fresh, 'Vary: Accept-Encoding', 'Vary: Origin'], 1, 1],
    ['Vary: *', 200, [$fresh, 'Vary: *'], 0, 0],

    ['an event stream', 200,
        [$fresh, 'Content-Type: text/event-stream; charset=utf-8'], 0, 0],
    ['gRPC', 200, [$fresh, 'Content-Type: application/grpc'], 0, 0],
    ['gRPC and what it carries', 200,
        [$fresh, 'Content-Type: Application/grpc+proto'], 0, 0],
    ['gRPC-Web', 200,
        [$fresh, 'Content-Type: application/grpc-web+proto'], 1, 1],

    ['203', 203, [$fresh], 1, 1],
    ['204', 204, [$fresh], 1, 1],
    ['301', 301, [$fresh, 'Location: /x'], 1, 1],
    ['302', 302, [$fresh, 'Location: /x'], 1, 1],
    ['404', 404, [$fresh], 1, 1],
    ['410', 410, [$fresh], 1, 1],
    ['503', 503, [$fresh], 1, 1],
    ['299', 299, [$fresh], 1, 1],
    ['599', 599, [$fresh], 1, 1],
    ['599 to be understood', 599,
        ['Cache-Control: max-age=60, must-understand'], 0, 0],
    ['200 to be understood, else no-store', 200,
        ['Cache-Control: max-age=60, must-understand, no-store'], 1, 1],
    ['206', 206, [$fresh, 'Content-Range: bytes 0-3/10'], 0, 0],
    ['304', 304, [$fresh], 0, 0],
    ['412', 412, [$fresh], 0, 0],
    ['416', 416, [$fresh], 0, 0],
    ['417', 417, [$fresh], 0, 0],
    ['429', 429, [$fresh], 0, 0],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @cases);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($n) = $req->{uri} =~ m{/(\d+)$};
    my (undef, $status, $fields) = @{ $cases[$n] };

    return [$status, $fields, 'body'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($name, $status, $fields, $shared, $own) = @{ $cases[$n] };

    http_get("/$n");
    is(cache(http_get("/$n")), $shared ? "HIT $status" : "MISS $status",
        "$name, shared");

    my $user = { Authorization => 'a' };

    http_get("/$n", headers => $user);
    is(cache(http_get("/$n", headers => $user)),
        $own ? "HIT $status" : "MISS $status", "$name, of a user");
}

###############################################################################

sub cache {
    my ($r) = @_;

    # what was stored stale is as good as not stored
    return (header($r, 'X-Cache') // '') =~ s/EXPIRED/MISS/r
           . ' ' . status($r);
}

###############################################################################
