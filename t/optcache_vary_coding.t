#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An upstream that compresses for who takes that: a client that does not, and
# asks first, has an answer of his own, and not one for all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(33);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:2m;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        # what is compressed here, the upstream is not asked to compress

        location /here/ {
            optcache_gzip on;
            optcache_gzip_types text/plain;
            proxy_set_header Accept-Encoding "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /some/ {
            optcache_gzip on;
            optcache_gzip_types text/css;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# as middleware of frameworks does: what could be compressed varies, also where
# it is too short

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my ($status) = $req->{uri} =~ m{/(404)};
    my $takes = ($h->{'accept-encoding'} // '') =~ /gzip(?!;q=0)/
                && $req->{uri} !~ /short/;

    # what comes first is liked better

    $takes = 0 if $takes && $h->{'accept-encoding'} =~ /^(identity|\*)/;

    my @fields = ('Cache-Control: max-age=60', 'Vary: Accept-Encoding');

    if ($req->{uri} =~ /stale/) {
        $fields[0] = 'Cache-Control: no-cache';
        push @fields, 'ETag: W/"a"';

        return [304, \@fields, ''] if $h->{'if-none-match'};
    }

    push @fields, 'Content-Type: text/plain; charset=utf-8';
    push @fields, 'Content-Encoding: gzip' if $takes;

    return [$status || 200, \@fields, $takes ? 'packed' : 'plain'];
});

$t->run();

###############################################################################

for my $first (undef, 'identity', 'deflate', 'gzip;q=0',
               'identity, gzip;q=0.5', '*, gzip;q=0.5')
{
    my $uri = '/' . unpack 'H*', $first // '';

    is(get($uri, $first), 'MISS plain', 'first "' . ($first // '') . '"');
    is(get($uri, 'gzip, br'), 'MISS packed', 'is not for who takes gzip');
    is(get($uri, 'gzip, br'), 'HIT packed', 'who has his own');
}

is(get('/'), 'HIT plain', 'nor the other way round');

get('/404');
is(get('/404', 'gzip'), 'MISS packed', 'an error');

get('/either', 'gzip');
is(get('/either', 'gzip, identity'), 'MISS packed', 'who names identity');
is(get('/either', 'gzip, identity'), 'HIT packed', 'has his own, too');

# what is not compressed for who would take it is so for all

get('/short', 'gzip');
is(get('/short'), 'HIT plain', 'what is too short');

# what is validated for one

get('/stale', 'gzip');
is(get('/stale'), 'MISS plain', 'no-cache');
is(get('/stale'), 'REVALIDATED plain', 'validated');
is(get('/stale', 'gzip'), 'REVALIDATED packed', 'each');

get('/stale/short', 'gzip');
is(get('/stale/short'), 'REVALIDATED plain', 'validated by another');
is(get('/stale/short', 'gzip'), 'MISS plain', 'whose own it is then');
is(get('/stale/short', 'gzip'), 'REVALIDATED plain', 'as is this');

# what is compressed here is one for all, whoever comes first

get('/here/');
is(get('/here/', 'gzip'), 'HIT plain', 'compressed here, if it were longer');
get('/here/stale', 'gzip');
is(get('/here/stale'), 'REVALIDATED plain', 'validated by who does not take it');
is(get('/here/stale', 'gzip'), 'REVALIDATED plain', 'which makes no difference');
get('/some/');
is(get('/some/', 'gzip'), 'MISS packed', 'but not of another type');

###############################################################################

sub get {
    my ($uri, $accept) = @_;

    my $r = http_get($uri, headers =>
                     [defined $accept ? "Accept-Encoding: $accept" : ()]);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
