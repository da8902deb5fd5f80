#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Parts of a page, and pages that nginx changes on their way, come out of the
# cache as they came out of the upstream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_ssi http_sub http_addition http_charset /)
        ->plan(32);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 1m;
    optcache_gzip on;
    optcache_gzip_min_length 1;

    proxy_http_version 1.1;

    charset_map koi8-r windows-1251 {
        C1 E0;
        C2 E1;
    }

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            optcache off;
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /ssi/ {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sub/ {
            sub_filter secret public;
            sub_filter_types *;
            sub_filter_once off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /added/ {
            add_after_body /tail;
            addition_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /charset/ {
            charset windows-1251;
            source_charset koi8-r;
            charset_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /both/ {
            gzip on;
            gzip_types *;
            gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# worth compressing, all of it

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $type = 'Content-Type: text/plain';

    $type .= '; charset=utf-8' if $req->{uri} =~ /utf/;

    my $body = $req->{uri} =~ m{^/charset/} ? "\xc1\xc2" x 500
             : $req->{uri} eq '/tail' ? 'tail' x 100
             : $req->{uri} eq '/page/a' ? 'head <!--#include virtual="/part" -->'
             : $req->{uri} =~ /^.ssi/ ? 'x' x 900 . '<!--#echo var="uri" -->'
             : 'secret ' x 300;

    return [200, [$type], $body] if $req->{uri} !~ /chunked/;

    my $s = $req->{socket};
    print $s "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n$type\r\n\r\n",
             sprintf("%x\r\n", length $body), "$body\r\n0\r\n\r\n";
    return undef;
});

$t->run();

###############################################################################

my $gzip = { 'Accept-Encoding' => 'gzip' };

for my $n (1 .. 3) {
    my $r = http_get('/page/a', headers => $gzip);
    is(body($r), 'head ' . 'secret ' x 300, "a part of a page, $n");
}

is($backend->count(qr{ /part$}), 1, 'which was cached');

my @cases = (
    ['/ssi/a', qr/x$|uri/, 'a page of parts'],
    ['/ssi/chunked', qr/#echo/, 'a page of parts, in chunks'],
    ['/sub/a', qr/secret/, 'a substitution'],
    ['/sub/chunked', qr/secret/, 'a substitution, in chunks'],
    ['/added/a', undef, 'an addition'],
    ['/charset/a', qr/[\xc1\xc2]/, 'another charset'],
    ['/charset/utf', qr/[\xe0\xe1]/, 'a charset that is left alone'],
);

for my $case (@cases) {
    my ($uri, $not, $name) = @$case;

    my $first = text(http_get($uri, headers => $gzip));
    my $hit = http_get($uri, headers => $gzip);

    ok(text($hit) eq $first, "$name is the same from the cache");
    unlike($first, $not, 'and done') if $not;
    is(header($hit, 'X-Cache'), 'HIT', 'by a hit');
    ok(body(http_get($uri)) eq $first, 'and for who does not take gzip');
}

my $r = http_get('/both/a', headers => $gzip);
is(text(http_get('/both/a', headers => $gzip)), text($r), 'gzip of nginx too');

###############################################################################

sub text {
    my ($r) = @_;

    my $body = body($r);
    return (header($r, 'Content-Encoding') // '') eq 'gzip'
           ? gunzip($body) // 'BROKEN' : $body;
}

###############################################################################
