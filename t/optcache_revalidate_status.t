#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A 304 says that the answer would be a 2xx (RFC 9110, 13.2.1): what else is
# stored is not validated by it, whatever validators it has.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @others = (301, 302, 308, 403, 404, 410, 500, 503);

my $t = Test::Nginx->new()->has('http_proxy')->plan(3 * @others + 9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;

    server {
        listen 127.0.0.1:8080;
        proxy_redirect off;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# there is a page from the second request on, and it is older than what said
# that there was none; an upstream as it should be

my $none = 'Tue, 02 Jan 2001 00:00:00 GMT';
my $page = 'Mon, 01 Jan 2001 00:00:00 GMT';

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my ($status) = $req->{uri} =~ m{/(\d+)};
    my @stale = $req->{uri} =~ /no-cache/ ? 'Cache-Control: no-cache'
                : $req->{uri} =~ /update/
                ? 'Cache-Control: max-age=0, stale-while-revalidate=60'
                : ('Cache-Control: max-age=60', 'Age: 100');

    # the second is asked in any case

    push @stale, 'Cache-Control: stale-if-error=1000' if $req->{uri} =~ /held/;

    return [$status, [@stale, "Last-Modified: $none", 'ETag: "none"'],
            $status == 204 ? '' : 'none']
        if $req->{count} == 1;

    return [304, ['Cache-Control: max-age=60'], '']
        if ($h->{'if-modified-since'} // '') eq $none
           || ($h->{'if-none-match'} // '') eq '"none"';

    return [200, ['Cache-Control: max-age=60', "Last-Modified: $page"],
            'page'];
});

$t->run();

###############################################################################

for my $status (@others) {
    get("/$status/held");
    is(get("/$status/held"), 'EXPIRED 200 page', "a page after a $status");
    is(get("/$status/held"), 'HIT 200 page', 'is stored');

    # what can be of no use is not

    get("/$status/no-cache");
    is(get("/$status/no-cache"), 'MISS 200 page', 'after no-cache, too');
}

for my $status (200, 203, 204) {
    my $body = $status == 204 ? '' : 'none';

    get("/$status");
    is(get("/$status"), "REVALIDATED $status $body", "a 304 after a $status");
    get("/$status/no-cache");
    is(get("/$status/no-cache"), "REVALIDATED $status $body", 'and no-cache');
}

# behind the client's back

get('/404/update');
is(get('/404/update'), 'UPDATING 404 none', 'a 404 that is updated');

my $r;

for (1 .. 100) {
    $r = get('/404/update');
    last if $r !~ /^UPDATING/;
    select undef, undef, undef, 0.05;
}

is($r, 'HIT 200 page', 'is a page');
is($backend->count(qr{/404/update}), 2, 'after one request');

###############################################################################

sub get {
    my ($uri) = @_;

    my $r = http_get($uri);

    return join ' ', header($r, 'X-Cache'), status($r), body($r) // '';
}

###############################################################################
