#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response that comes behind a client's back may say another thing of the
# query than the one it takes the place of: then it is none for those who ask by
# what that one has said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(9);

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

    my ($path) = $req->{uri} =~ /^([^?]*)/;
    my $first = $req->{uri} =~ /u=1/ && $req->{count} == 1;

    my @fields = ('Cache-Control: max-age=100, stale-while-revalidate=1000');

    # the first one is stale when it comes

    push @fields, 'Age: 200' if $first;
    push @fields, 'No-Vary-Search: params=("u")'
        if $first || $path eq '/same';

    return [200, \@fields, "$req->{uri} $req->{count}"];
});

$t->run();

###############################################################################

is(get('/same?u=1'), 'MISS /same?u=1 1', 'stale at once');
is(get('/same?u=1'), 'UPDATING /same?u=1 1', 'is used while it is updated');
ok(wait_for(sub { get('/same?u=1') eq 'HIT /same?u=1 2' }), 'updated');
is(get('/same?u=2'), 'HIT /same?u=1 2', 'the query is still no difference');

is(get('/a?u=1'), 'MISS /a?u=1 1', 'stale at once');
is(get('/a?u=1'), 'UPDATING /a?u=1 1', 'is used while it is updated');
ok(wait_for(sub { get('/a?u=1') eq 'HIT /a?u=1 2' }), 'updated');
is(get('/a?u=2'), 'MISS /a?u=2 1', 'the query is a difference now');
is(get('/a?u=1'), 'HIT /a?u=1 2', 'and the update is found');

$t->finish();

###############################################################################

sub get {
    my ($uri) = @_;

    my $r = http_get($uri);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
