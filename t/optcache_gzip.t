#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response is compressed once, when it is stored: who takes gzip gets that,
# who does not gets the response as it came, ranges and validators stay right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(43);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_gzip on;
            proxy_set_header Accept-Encoding "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $text = join '', map { "line $_ of the text\n" } 1 .. 500;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Content-Type: text/plain', 'Cache-Control: max-age=60',
                  'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT');

    push @fields, $req->{uri} =~ /weak/ ? 'ETag: W/"a"' : 'ETag: "a"';

    return [200, \@fields, $text] if $req->{uri} !~ /chunked/;

    my $s = $req->{socket};
    print $s join "\r\n", 'HTTP/1.1 200 OK', @fields,
                          'Transfer-Encoding: chunked', '', '';
    printf $s "%x\r\n%s\r\n", length $1, $1 while $text =~ /(.{1,700})/gs;
    print $s "0\r\n\r\n";
    return undef;
});

$t->run();

###############################################################################

for my $uri ('/a', '/chunked') {
    my $miss = get($uri);

    is(body($miss), $text, "a miss is whole, $uri");

    # stored by who does not take gzip, served to who does

    my $r = get($uri, 'Accept-Encoding: gzip');

    is(header($r, 'X-Cache'), 'HIT', 'a hit');
    is(header($r, 'Content-Encoding'), 'gzip', 'in gzip');
    is(gunzip(body($r)), $text, 'of the whole');
    is(header($r, 'Content-Length'), length body($r), 'with its own length');
    cmp_ok(length body($r), '<', length($text) / 2, 'which is less');
    is(header($r, 'ETag'), 'W/"a"', 'with a weak ETag');
    is(join(', ', header($r, 'Vary')), 'Accept-Encoding', 'and Vary');

    $r = get($uri);
    is(header($r, 'Content-Encoding'), undef, 'without gzip, no coding');
    is(body($r), $text, 'and the whole');
    is(header($r, 'ETag'), '"a"', 'with the ETag it had');
    is(join(', ', header($r, 'Vary')), 'Accept-Encoding', 'and Vary');
    is($backend->count(qr{ $uri$}), 1, 'the upstream was asked once');
}

is(get('/a', 'Accept-Encoding: gzip') =~ s/^(Age|Date):.*\r\n//gmr,
   get('/a', 'Accept-Encoding: gzip') =~ s/^(Age|Date):.*\r\n//gmr,
   'always the same bytes');

# a miss of who takes gzip is stored for all

my $r = get('/b', 'Accept-Encoding: gzip');
is(gunzip(body($r)) // body($r), $text, 'a miss with gzip');
is(body(get('/b')), $text, 'is stored for all');
is(gunzip(body(get('/b', 'Accept-Encoding: gzip'))), $text, 'in both forms');

# a range is of the response as it came

$r = get('/a', 'Accept-Encoding: gzip', 'Range: bytes=5-24');
is(status($r), 206, 'a range');
is(header($r, 'Content-Encoding'), undef, 'of no coding');
is(body($r), substr($text, 5, 20), 'the right bytes');
is(header($r, 'ETag'), '"a"', 'with its strong ETag');

$r = get('/a', 'Accept-Encoding: gzip', 'Range: bytes=5-24', 'If-Range: "x"');
is(status($r), 200, 'a range of something else');
is(gunzip(body($r)) // body($r), $text, 'is the whole');

# validators

is(status(get('/a', 'If-None-Match: "a"')), 304, '304, plain');
is(status(get('/a', 'If-None-Match: W/"a"', 'Accept-Encoding: gzip')), 304,
    '304, gzip');
is(status(get('/a', 'If-None-Match: "b"', 'Accept-Encoding: gzip')), 200,
    'not for another ETag');

get('/weak');
is(header(get('/weak', 'Accept-Encoding: gzip'), 'ETag'), 'W/"a"',
    'a weak ETag stays as it is');

# HEAD

my $head = http_head('/a', headers => ['Accept-Encoding: gzip']);
is(header($head, 'Content-Encoding') . body($head), 'gzip', 'HEAD of gzip');
is(header(http_head('/a'), 'Content-Length'), length $text, 'and of plain');

$r = http_get('/a', version => '1.0', headers => ['Accept-Encoding: gzip']);
is(gunzip(body($r)) // body($r), $text, 'HTTP/1.0');

###############################################################################

sub get {
    my ($uri, @fields) = @_;
    return http_get($uri, headers => \@fields);
}

###############################################################################
