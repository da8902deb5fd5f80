#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a hit could not be of is not stored: a response whose Connection takes
# away what tells what its body is (RFC 9110, 7.6.1), or whose charset is said to
# nginx alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Compress::Zlib ();

use Test::More;
use Test::Nginx;

my @refused = (
    'Content-Encoding', 'content-type', 'close, Content-Encoding', 'ETag',
    'Content-Language', 'X-Other,Vary', "X-Other ,\tCache-Control", 'Expires',
    'Last-Modified', 'Date', 'Location', 'Set-Cookie',
);

my @stored = ('X-Other', 'close', 'keep-alive, X-Other', 'Upgrade', ', ,',
              'X-Content-Encoding', 'Content-');

my $t = Test::Nginx->new()->has(qw/ http_proxy http_charset /)
        ->plan(@refused * 2 + @stored + 7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;

    charset_map iso-8859-1 utf-8 {
        FC C3BC;
    }

    charset utf-8;
    source_charset iso-8859-1;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /ignored/ {
            proxy_ignore_headers X-Accel-Charset;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $packed = Compress::Zlib::memGzip('packed');

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Cache-Control: max-age=60', 'Content-Type: text/plain');

    return [200, [@fields, 'X-Accel-Charset: iso-8859-1'], "a\xfcb"]
        if $req->{uri} =~ /charset/;

    my ($kind, $n) = $req->{uri} =~ m{^/(\w+)/(\d+)};

    push @fields, 'Connection: ' . ($kind eq 'no' ? \@refused : \@stored)->[$n];

    return [200, [@fields, 'Content-Encoding: gzip'], $packed];
});

$t->run();

###############################################################################

my %gzip = (headers => { 'Accept-Encoding' => 'gzip' });

for my $i (0 .. $#refused) {
    http_get("/no/$i", %gzip);
    my $r = http_get("/no/$i", %gzip);
    is(header($r, 'X-Cache'), 'MISS', "Connection: $refused[$i]");
    is(header($r, 'Content-Encoding'), 'gzip', 'nothing is missing');
}

for my $i (0 .. $#stored) {
    http_get("/yes/$i", %gzip);
    is(header(http_get("/yes/$i", %gzip), 'X-Cache'), 'HIT',
        "Connection: $stored[$i]");
}

for my $name ('MISS', 'MISS') {
    my $r = http_get('/charset');
    is(header($r, 'X-Cache'), $name, 'X-Accel-Charset');
    is(header($r, 'Content-Type') . ' ' . body($r),
       "text/plain; charset=iso-8859-1 a\xfcb", 'is heeded');
}

for my $name ('MISS', 'HIT') {
    my $r = http_get('/ignored/charset');
    is(header($r, 'X-Cache') . ' ' . body($r), "$name a\xc3\xbcb", 'or ignored');
}

is(header(http_get('/charset'), 'X-Accel-Charset'), undef, 'not shown');

###############################################################################
