#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A range that cannot be satisfied is answered by an error page (416), wherever
# the response comes from.  The page is neither stored nor held back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(33);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        optcache c;

        location /files/ {
            optcache_valid 1m;
        }

        location /forced/ {
            proxy_force_ranges on;
            proxy_set_header Range "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /stale/ {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($how) = $req->{uri} =~ m{^/\w+/(\w*)};
    my @old = ('Cache-Control: max-age=60, stale-if-error=600', 'Age: 100',
               'ETag: "a"');

    return [200, ['Cache-Control: max-age=60'], 'y' x $1]
        if $req->{uri} =~ /\?(\d+)$/;

    if ($req->{headers}{'if-none-match'}) {
        return [304, [@old]] if $how =~ /^revalidated/;
        return [503, [], 'an error'] if $how eq 'error';
        return undef;
    }

    return [200, [@old], $how =~ /empty/ ? '' : '0123456789'];
});

mkdir $t->testdir() . '/files';

$t->write_file('files/a', 'x');

$t->run();

###############################################################################

my $r = get('/files/a', 'bytes=5-');
is(status($r), 416, 'a file');
is(header($r, 'Content-Range'), 'bytes */1', 'its length');
is(scalar(my @x = header($r, 'X-Cache')), 1, 'X-Cache once');

# what is as long as the page

my $page = body($r);
my $body = 'y' x length $page;

$t->write_file('files/b', $body);

for my $uri ('/files/b', '/forced/?' . length $page) {
    is(body(get($uri, 'bytes=5000-')), $page, "$uri, a page");
    is(told($r = get($uri)), 'MISS 200', 'that is not stored');
    is(body($r), $body, 'in place of the body');
    is(told(get($uri)), 'HIT 200', 'which is');
    is(told(get($uri, 'bytes=5000-')), 'HIT 416', 'a page on a hit');
}

# in place of another answer

my %name = (revalidated => 'REVALIDATED', error => 'STALE');

for my $how (sort keys %name) {
    get("/stale/$how");

    my $s = http_connect();
    $r = get("/stale/$how", 'bytes=10-', socket => $s, keepalive => 1);
    is(told($r) . ' ' . body($r), "$name{$how} 416 $page", "$how");
    is(scalar(@x = header($r, 'X-Cache')), 1, 'X-Cache once');

    $r = get("/stale/$how", 'bytes=2-4', socket => $s, keepalive => 1);
    is(told($r) . ' ' . body($r), "$name{$how} 206 234", 'the next is its own');

    $r = http2_get("/stale/$how", port => 8082,
                   headers => { Range => 'bytes=10-' });
    is(told($r) . ' ' . body($r), "$name{$how} 416 $page", 'HTTP/2');
}

get('/stale/revalidated_empty');
is(told(get('/stale/revalidated_empty', 'bytes=3-20')), 'REVALIDATED 416',
    'of nothing');

# in place of a page of nginx there is no other, so the range is left out

get('/stale/closed');

for my $range ('10-', '10-12', '5-3', '-0', 'x', '3-x', '99999999999999999999-')
{
    is(told(get('/stale/closed', "bytes=$range")), 'STALE 200',
        "bytes=$range without an upstream");
}

my $s = http_connect();
is(told(get('/stale/closed', 'bytes=10-', socket => $s, keepalive => 1)),
    'STALE 200', 'on a connection');
$r = get('/stale/closed', 'bytes=2-4', socket => $s, keepalive => 1);
is(told($r) . ' ' . body($r), 'STALE 206 234', 'a range that is there');
is(body(get('/stale/closed', 'bytes=8-')), '89', 'from there on');

get('/stale/closed_empty');
is(told(get('/stale/closed_empty', 'bytes=0-')), 'STALE 200', 'of nothing');

###############################################################################

sub get {
    my ($uri, $range, @o) = @_;
    return http_get($uri, headers => { $range ? (Range => $range) : () }, @o);
}


sub told {
    my ($r) = @_;
    return (header($r, 'X-Cache') // '') . ' ' . status($r);
}

###############################################################################
