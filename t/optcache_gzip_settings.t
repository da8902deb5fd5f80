#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is compressed and what is left as it came.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(36);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_gzip on;

    proxy_http_version 1.1;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_gzip off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /types/ {
            optcache_gzip_types text/x-own;
            proxy_pass http://127.0.0.1:8081;
        }

        location /any/ {
            optcache_gzip_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /min/ {
            optcache_gzip_min_length 100;
            proxy_pass http://127.0.0.1:8081;
        }

        location /fast/ {
            optcache_gzip_level 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /best/ {
            optcache_gzip_level 9;
            proxy_pass http://127.0.0.1:8081;
        }

        # what nginx does by itself stays possible

        location /nginx/ {
            optcache_gzip off;
            gzip on;
            gzip_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /both/ {
            gzip on;
            gzip_vary on;
            gzip_types *;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# words that compress, and noise that does not

srand(1);
my $words = join '', map { ('a', 'bc', 'def', ' ')[rand 4] } 1 .. 20000;
my $noise = join '', map { chr rand 256 } 1 .. 4000;

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($type) = $req->{uri} =~ /type=([^&]+)/;
    my ($size) = $req->{uri} =~ /size=(\d+)/;
    my ($more) = $req->{uri} =~ /more=([^&]+)/;
    my @fields = ('Cache-Control: max-age=60' . ($more ? ", $more" : ''));

    push @fields, "Content-Type: $type" if $type;
    push @fields, "$1: sha-256=:YQ==:" if $req->{uri} =~ /digest=([^&]+)/;

    my $body = $req->{uri} =~ /noise/ ? $noise
               : substr $words, 0, $size // 4000;

    return [200, \@fields, $body] if $req->{uri} !~ /chunked/;

    my $s = $req->{socket};
    print $s join "\r\n", 'HTTP/1.1 200 OK', @fields,
                          'Transfer-Encoding: chunked', '', '';
    printf $s "%x\r\n%s\r\n0\r\n\r\n", length $body, $body;
    return undef;
});

$t->run();

###############################################################################

is(coding('/?type=text/html'), 'gzip', 'text/html');
is(coding('/?type=application/json'), 'gzip', 'application/json');
is(coding('/?type=application/json;charset=utf-8'), 'gzip', 'with a charset');
is(coding('/?type=Application/JSON'), 'gzip', 'types have no case');
is(coding('/?type=image/png'), 'plain', 'not image/png');
is(coding('/?type=text/htmlx'), 'plain', 'not nearly text/html');
is(coding('/?x'), 'plain', 'not what has no type');

is(coding('/off/?type=text/html'), 'plain', 'off');
is(coding('/types/?type=text/x-own'), 'gzip', 'types of a choice');
is(coding('/types/?type=application/json'), 'plain', 'and no others');
is(coding('/any/?type=image/png'), 'gzip', 'any type');

is(coding('/?type=text/html&size=1023'), 'plain', 'too short');
is(coding('/?type=text/html&size=1024'), 'gzip', 'long enough');
is(coding('/min/?type=text/html&size=99'), 'plain', 'too short, as said');
is(coding('/min/?type=text/html&size=100'), 'gzip', 'long enough, as said');
is(coding('/?type=text/html&size=500&chunked'), 'gzip', 'of unknown length');
is(coding('/?type=text/html&size=0'), 'plain', 'nothing');

is(coding('/?type=text/html&more=no-transform'), 'plain', 'no-transform');
is(coding("/?type=text/html&digest=$_"), 'plain', $_)
    for qw/ Content-Digest repr-digest /;
is(coding('/?type=text/html&noise'), 'plain', 'what does not get smaller');
is(coding('/?type=text/html&noise&chunked'), 'plain', 'of any length');

my $fast = '/fast/?type=text/html&size=20000';
my $best = '/best/?type=text/html&size=20000';
is(coding($fast) . coding($best), 'gzipgzip', 'levels');
cmp_ok(size($best), '<', size($fast), 'differ');

is(coding('/nginx/?type=text/html'), 'gzip', 'the gzip of nginx, on hits');
is(coding('/both/?type=text/html'), 'gzip', 'both');
is(coding('/both/?type=image/png'), 'gzip', 'what ours leaves, nginx may take');

my $r = http_get('/both/?type=text/html',
                 headers => { 'Accept-Encoding' => 'gzip' });
is(scalar(() = header($r, 'Content-Encoding')), 1, 'one coding');
is(scalar(() = header($r, 'Vary')), 1, 'one Vary');

# Vary where both forms are there, and only there

for my $uri ('/?type=text/html&vary', '/?type=text/html&vary&chunked') {
    is(header(http_get($uri), 'Vary'), 'Accept-Encoding', "Vary, $uri");
    is(header(http_get($uri), 'Vary'), 'Accept-Encoding', 'on a hit too');
}

is(header(http_get('/off/?type=text/html'), 'Vary'), undef, 'no Vary when off');
is(header(http_get('/?type=image/png'), 'Vary'), undef, 'nor for other types');
is(header(http_get('/?type=text/html&more=no-transform'), 'Vary'), undef,
    'nor with no-transform');

###############################################################################

sub coding {
    my ($uri) = @_;

    my $plain = body(http_get($uri));
    my $r = http_get($uri, headers => { 'Accept-Encoding' => 'gzip' });
    my $body = body($r);

    return 'no hit' if header($r, 'X-Cache') ne 'HIT';
    return $body eq $plain ? 'plain' : 'wrong plain'
        if !defined header($r, 'Content-Encoding');

    return gunzip($body) eq $plain ? 'gzip' : 'wrong gzip';
}


sub size {
    return length body(http_get($_[0],
                                headers => { 'Accept-Encoding' => 'gzip' }));
}

###############################################################################
