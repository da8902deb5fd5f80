#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A stream reaches the client piece by piece, as it comes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;

use Test::More;
use Test::Nginx;

my @ways = ('/', '/gzip/', '/buffered/');
my @kinds = qw/ events chunks close /;

my $t = Test::Nginx->new()->has('http_proxy')->plan(3 * @ways * @kinds);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    proxy_http_version 1.1;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_valid 1m;

        location / {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            proxy_buffering off;
            optcache_gzip on;
            optcache_gzip_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /buffered/ {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# the next piece comes only when the test has seen the last one

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my $chunked = $req->{uri} !~ /close/;

    print $s "HTTP/1.1 200 OK\r\n"
        . ($req->{uri} =~ /buffered/ ? "X-Accel-Buffering: no\r\n" : '')
        . ($chunked ? "Transfer-Encoding: chunked\r\n"
                    : "Connection: close\r\n")
        . ($req->{uri} =~ /events/ ? "Content-Type: text/event-stream\r\n" : '')
        . "\r\n";

    for my $n (1 .. 3) {
        print $s $chunked ? "7\r\ndata: $n\r\n" : "data: $n";
        wait_for(sub { -e "$req->{headers}{'x-file'}.$n" }, 20);
    }

    print $s "0\r\n\r\n" if $chunked;
    return undef;
});

$t->run();

###############################################################################

for my $way (@ways) {
    for my $kind (@kinds) {
        my $uri = "$way$kind";

        is(stream($uri), '123', "pieces as they come: $uri");

        my $r = http_get($uri, headers => { 'X-File' => file($uri) });

        # chunks that ended are a response like any other
        is(header($r, 'X-Cache'), $kind eq 'chunks' ? 'HIT' : 'MISS',
            'what is stored of it');
        is(join('', (body($r) // '') =~ /data: (\d)/g), '123', 'afterwards');
    }
}

###############################################################################

sub file { return $t->testdir() . '/seen' . ($_[0] =~ tr{/}{_}r) }


sub stream {
    my ($uri) = @_;

    my $s = http_get($uri, headers => { 'X-File' => file($uri) }, start => 1);
    my $data = '';

    for my $n (1 .. 3) {
        while ($data !~ /data: $n/) {
            return "nothing after $data" if !IO::Select->new($s)->can_read(10);
            return "end after $data"
                if !sysread $s, $data, 65536, length $data;
        }

        $t->write_file(file($uri) . ".$n", '');
    }

    $data .= http_end($s);
    return join '', $data =~ /data: (\d)/g;
}

###############################################################################
