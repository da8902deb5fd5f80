#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A 304 may say another thing of the query than what it validates, which is
# found by that from then on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_no_vary_search on;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Cache-Control: max-age=100', 'ETag: "x"');

    # the first one is stale when it comes

    return [200, [@fields, 'Age: 200', 'No-Vary-Search: params=("u")'],
            $req->{uri}]
        if $req->{uri} eq '/a?u=1' && $req->{count} == 1;

    push @fields, 'No-Vary-Search: params=("w")';

    return [304, \@fields, ''] if $req->{headers}{'if-none-match'};
    return [200, \@fields, $req->{uri}];
});

$t->run();

###############################################################################

is(get('/a?u=1'), 'MISS /a?u=1', 'stale at once');
is(get('/a?u=1'), 'REVALIDATED /a?u=1', 'validated');
is(get('/a?u=1&w=2'), 'HIT /a?u=1', 'by what it says now');
is(get('/a?u=2'), 'MISS /a?u=2', 'and nothing else');
is(get('/a?u=1'), 'HIT /a?u=1', 'found');

$t->finish();

###############################################################################

sub get {
    my ($uri, %headers) = @_;

    my $r = http_get($uri, headers => \%headers);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
