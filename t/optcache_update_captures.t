#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A background update asks for what its location's captures say, also if a
# regular expression is tried meanwhile and does not match; and so do the fields
# of the response that it came of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_map /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_use_stale updating;

    map $http_x_word $missed {
        volatile;
        "~^(a)(b)(c)$"  $2;
        default         "";
    }

    server {
        listen 127.0.0.1:8080;

        location ~ ^/(\w+)/(\w+)$ {
            optcache c;
            optcache_valid any 1s;
            proxy_set_header X-Path "$missed$1/$2";
            proxy_pass http://127.0.0.1:8081/$missed$2/$1;
            add_header X-Path "$missed$1/$2";
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [], "$req->{count} for $req->{headers}{'x-path'}"];
});

$t->run();

###############################################################################

is(get('/one/two'), 'MISS one/two 1 for one/two', 'stored');
ok(wait_for(sub { get('/one/two') =~ /^UPDATING one\/two/ }), 'sent stale');
ok(wait_for(sub { $backend->count(qr{}) > 1 }), 'updated');
ok(wait_for(sub { get('/one/two') =~ /([2-9]|\d\d) for one\/two$/ }),
    'by what it was stored for');

is($backend->count(qr{ /two/one$}), $backend->count(qr{}),
    'nothing else was asked for');

###############################################################################

sub get {
    my ($uri) = @_;

    my $r = http_get($uri, headers => ['X-Word: some']);

    return join ' ', header($r, 'X-Cache'), header($r, 'X-Path'), body($r);
}

###############################################################################
