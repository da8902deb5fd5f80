#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Conditions and ranges are answered from what is stored, as they would be by
# a server that has it; on a miss they do not spoil what is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(49);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /none/expires {
            optcache c;
            expires modified 1h;
            proxy_pass http://127.0.0.1:8081;
        }

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $modified = 'Mon, 01 Jan 2001 00:00:00 GMT';
my $before = 'Sun, 31 Dec 2000 00:00:00 GMT';
my $far = 'Fri, 01 Jan 2100 00:00:00 GMT';
my $after = 'Tue, 02 Jan 2001 00:00:00 GMT';

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my @fields = ('Cache-Control: max-age=60', 'X-Own: a',
                  'Content-Digest: sha-256=:YQ==:');

    push @fields, 'Cache-Control: stale-if-error=60';
    push @fields, 'ETag: "a"' unless $req->{uri} =~ /date/;
    push @fields, 'Last-Modified: yesterday' if $req->{uri} =~ /bad/;
    push @fields, "Last-Modified: $modified" unless $req->{uri} =~ /none|bad/;

    return [304, \@fields, ''] if ($h->{'if-none-match'} // '') eq '"a"';
    return [412, \@fields, 'failed'] if ($h->{'if-match'} // '') eq '"z"'
        || ($h->{'if-unmodified-since'} // '') eq $before;
    return [500, [], 'down'] if ($h->{'if-match'} // '') eq '"down"';
    return [206, [@fields, 'Content-Range: bytes 0-3/10'], '0123']
        if ($h->{range} // '') eq 'bytes=0-3';

    return [404, \@fields, '0123456789'] if $req->{uri} =~ /404/;
    return [200, \@fields, '0123456789'];
});

$t->run();

###############################################################################

# before anything is stored

is(body(get('/x', 'Range: bytes=0-3')), '0123', 'a range of a miss');
is(status(get('/x', 'If-None-Match: "a"')), 304, 'a condition of a miss');
is(status(get('/x', 'If-Match: "z"')), 412, 'that fails');
my $r = get('/x');
is(status($r) . body($r), '2000123456789', 'none of them was stored as it is')
    or diag($r);

# conditions

get($_) for '/a', '/none', '/date', '/404', '/bad';

is(status(get('/a', 'If-None-Match: "a"')), 304, 'ETag');
is(status(get('/a', 'If-None-Match: W/"a"')), 304, 'weak ETag');
is(status(get('/a', 'If-None-Match: "x", "a"')), 304, 'one of some');
is(status(get('/a', 'If-None-Match: *')), 304, 'any');
is(status(get('/a', 'If-None-Match: "x"')), 200, 'another ETag');
is(status(get('/a', 'If-None-Match: "x"', "If-Modified-Since: $after")), 200,
    'which counts before the date');
is(status(get('/a', "If-Modified-Since: $modified")), 304, 'date');
is(status(get('/a', "If-Modified-Since: $before")), 200, 'before that');
is(status(get('/none', "If-Modified-Since: $modified")), 200, 'of no date');
is(status(get('/date', 'If-None-Match: "a"')), 200, 'of no ETag');

# what has no Last-Modified has a Date

get('/none/expires');

unlike(get('/none/expires', "If-Modified-Since: $far"),
       qr/^Expires: .* 2100 /m, 'not that of the client');

$r = header(get('/none'), 'Date');

is(status(get('/none', "If-Modified-Since: $r")), 304, 'the Date instead');
is(status(get('/none', "If-Modified-Since: $far")), 304, 'or later');
is(header(get('/none', "If-Modified-Since: $far"), 'Last-Modified'), undef,
    'which is not told as another');
is(header(get('/none', "If-Modified-Since: $far"), 'ETag'), '"a"',
    'but the ETag');
is(status(get('/none', "If-Modified-Since: $far", 'If-None-Match: "x"')), 200,
    'which counts before it, too');
is(status(get('/none', 'Range: bytes=2-4', "If-Range: $far",
              "If-Modified-Since: $far")), 200,
    'or a strong one');
is(status(get('/bad', "If-Modified-Since: $far")), 200,
    'nor counts where Last-Modified is no date');
is(status(get('/404', "If-Modified-Since: $far")), 404, 'or for an error');

is(status(get('/404', 'If-None-Match: "a"')), 404, 'of an error');

# what is the origin's to evaluate (RFC 9111, 4.3.2)

is(told('/a', 'If-Match: "z"'), '412 failed EXPIRED', 'If-Match');
is(told('/a', 'If-Match: "x"'), '200 0123456789 EXPIRED', 'that is met there');
is(told('/a', "If-Unmodified-Since: $before"), '412 failed EXPIRED',
    'If-Unmodified-Since');
is(told('/a', 'If-Match: "down"'), '200 0123456789 STALE',
    'is not evaluated where upstream cannot');
is(told('/a'), '200 0123456789 HIT', 'and nothing is stored of a 412');

$r = get('/a', 'If-None-Match: "a"');

is(body($r), '', 'nothing but a header');
is(header($r, 'X-Cache'), 'HIT', 'of a hit');
is(header($r, 'ETag'), '"a"', 'with ETag');
like(header($r, 'Age'), qr/^\d+$/, 'with Age');
is(header($r, 'Cache-Control'), 'max-age=60', 'with Cache-Control');
ok(defined header($r, 'Date'), 'with Date');

# ranges

is(body(get('/a', 'Range: bytes=2-4')), '234', 'a range');
is(body(get('/a', 'Range: bytes=-3')), '789', 'from the end');
is(body(get('/a', 'Range: bytes=7-')), '789', 'to the end');
is(status(get('/a', 'Range: bytes=20-')), 416, 'beyond');
like(body(get('/a', 'Range: bytes=0-1,8-9')), qr/01.*89/s, 'two');
is(body(get('/a', 'Range: lines=1-2')), '0123456789', 'of another kind');
is(body(get('/a', 'Range: bytes=2-4', 'If-Range: "a"')), '234', 'If-Range');
is(body(get('/a', 'Range: bytes=2-4', 'If-Range: "b"')), '0123456789',
    'of something else');
is(status(get('/404', 'Range: bytes=2-4')), 404, 'of an error');

$r = get('/a', 'Range: bytes=2-4');
is(header($r, 'Content-Range'), 'bytes 2-4/10', 'what it is a range of');
is(scalar(() = header($r, 'Accept-Ranges')), 0, 'is said there');
is(scalar(() = header(get('/a'), 'Accept-Ranges')), 1, 'and once elsewhere');
is(header($r, 'Content-Digest'), undef, 'a digest of all is not said of it');
is(header(get('/a'), 'Content-Digest'), 'sha-256=:YQ==:', 'but elsewhere');

###############################################################################

sub told {
    my $r = get(@_);
    return join ' ', status($r), body($r), header($r, 'X-Cache') // '-';
}


sub get {
    my ($uri, @fields) = @_;
    return http_get($uri, headers => \@fields);
}

###############################################################################
