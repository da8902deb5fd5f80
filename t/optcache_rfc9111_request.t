#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a client asks of caches (RFC 9111, 5.2.1): who wants a younger answer, or
# one that lasts, or none but a stored one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_auth_request /)->plan(37);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /guarded/ {
            auth_request /auth;
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            internal;
            optcache c;
            optcache_user "";
            optcache_key auth;
            proxy_pass http://127.0.0.1:8081/auth;
        }

        location /bypass/ {
            optcache c;
            optcache_bypass 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# an answer is 30 seconds old when it comes, and fresh for 30 more

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: s-maxage=60'], "auth $req->{count}"]
        if $req->{uri} =~ m{^/auth};

    return [200, ['Age: 30', 'Cache-Control: max-age=60'],
            "answer $req->{count}"];
});

$t->run();

###############################################################################

http_get('/');

is(asked('max-age=600'), 'HIT', 'max-age: young enough');
is(asked('max-age=29'), 'EXPIRED', 'max-age: too old');

is(asked('min-fresh=10'), 'HIT', 'min-fresh: lasts');
is(asked('min-fresh=31'), 'EXPIRED', 'min-fresh: does not');
is(asked('min-fresh=x'), 'EXPIRED', 'min-fresh of nothing known');

is(asked('max-stale'), 'HIT', 'max-stale: fresh as well');
is(asked('max-stale=0, no-transform, x-y="max-age=0"'), 'HIT',
    'nothing that matters');
is(asked('public, private, s-maxage=0, must-revalidate'), 'HIT',
    'what is for responses');

is(asked('MAX-AGE="29"'), 'EXPIRED', 'in any case, in quotes');
is(asked('max-age=600', 'max-age=29'), 'EXPIRED', 'in two lines');
is(asked('max-age=600, max-age=29'), 'EXPIRED', 'the smaller of two');
is(asked('max-age=later'), 'EXPIRED', 'of no number');

# an answer that was asked for anew is stored in place of the old one

my ($old) = http_get('/') =~ /answer (\d+)/;
is(asked('no-cache'), 'BYPASS', 'no-cache');
my ($new) = http_get('/') =~ /answer (\d+)/;
is($new, $old + 1, 'what it brought is stored');
is(asked(), 'HIT', 'and found');

is(asked('max-age=0, no-cache'), 'BYPASS', 'as browsers reload');
is(asked('no-cache=x'), 'BYPASS', 'no-cache of a field is no less');

# Pragma, where nothing else is said

is(cache(http_get('/', headers => { Pragma => 'no-cache' })), 'BYPASS',
    'Pragma: no-cache');
is(cache(http_get('/', headers => { Pragma => 'x, No-Cache' })), 'BYPASS',
    'Pragma in a list');
is(cache(http_get('/', headers => { Pragma => 'x' })), 'HIT',
    'another Pragma');
is(cache(http_get('/', headers => { Pragma => 'no-cache',
                                    'Cache-Control' => 'max-age=600' })),
    'HIT', 'Cache-Control goes before Pragma');

# only-if-cached

my $only = { headers => { 'Cache-Control' => 'only-if-cached' } };

my $r = http_get('/only', %$only);
is(status($r), 504, 'only-if-cached: nothing is stored');
is(cache($r), 'MISS', 'which is a miss');
unlike($r, qr/answer/, 'the origin is not asked');

http_get('/only');
$r = http_get('/only', %$only);
is(status($r), 200, 'only-if-cached: something is');
is(cache($r), 'HIT', 'a hit');

is(status(http_get('/only', headers =>
        { 'Cache-Control' => 'only-if-cached, max-age=29' })), 504,
    'only-if-cached: too old');
is(status(http_get('/only', headers =>
        { 'Cache-Control' => 'only-if-cached, no-cache' })), 504,
    'only-if-cached and no-cache leave nothing');
is(status(http_get('/only', headers =>
        { 'Cache-Control' => 'only-if-cached, max-age=600' })), 200,
    'only-if-cached: young enough');
is(status(http_get('/only', %$only, version => '1.0')), 200,
    'of HTTP/1.0');

is(status(http_get('/off/', %$only)), 200, 'nobody keeps anything here');
is(status(http_get('/bypass/', %$only)), 200, 'nor looks here');
is(status(http_request('DELETE', '/only', %$only)), 200,
    'a DELETE goes through');

# what auth_request asks is not what the client asks

http_get('/guarded/');

for my $value ('no-cache', 'max-age=0', 'only-if-cached') {
    my $r = http_get('/guarded/', headers => { 'Cache-Control' => $value });
    isnt(status($r), 500, "auth_request and $value");
}

is($backend->count(qr{ /auth$}), 1, 'it was answered once for all');

###############################################################################

sub asked {
    my @lines = map { "Cache-Control: $_" } @_;

    return cache(http_get('/', headers => \@lines));
}


sub cache {
    my ($r) = @_;

    return header($r, 'X-Cache');
}

###############################################################################
