#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A body that lies in memory in several pieces: a range that begins and ends in
# any of them is cut out, and several ranges, which nginx cuts out of one
# buffer only, get all of the body.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(20);

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
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $large = join '', map { sprintf '%07d.', $_ } 0 .. 37_499;
my $small = substr $large, 0, 3000;

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=60', 'ETag: "a"'],
            $req->{uri} =~ /large/ ? $large : $small];
});

$t->run();

###############################################################################

get($_) for '/large', '/small';

my $last = length($large) - 1;

for (['0-0', 0, 0], ['5-9', 5, 9], ['65000-66000', 65000, 66000],
     ['131071-131072', 131071, 131072], ['10-299989', 10, 299989],
     ['299999-', 299999, $last], ['-70000', $last - 69999, $last])
{
    my ($range, $from, $to) = @$_;
    my $r = get('/large', "Range: bytes=$range");

    is(header($r, 'Content-Range'),
       "bytes $from-$to/" . length $large, "$range of pieces");
    ok(body($r) eq substr($large, $from, $to - $from + 1), 'is right');
}

for ('0-1,3-4', '10-20,200000-200010') {
    my $r = get('/large', "Range: bytes=$_");

    is(status($r), 200, "$_ of pieces");
    ok(body($r) eq $large, 'is all of it');
}

my $r = get('/small', 'Range: bytes=0-1,8-9');

is(status($r), 206, 'of one piece it is not');
like(body($r), qr/\r\n\r\n00\r\n.*\r\n\r\n00\r\n--/s, 'but what was asked for');

###############################################################################

sub get {
    my ($uri, @fields) = @_;

    return http_get($uri,
                    headers => { map { split /: /, $_, 2 } @fields });
}

###############################################################################
