#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A 103 has nginx forget what it has taken over from who redirected: then all
# fields of the answer are its own, and are stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
        ->has_version('1.29.0')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /file {
            proxy_pass http://127.0.0.1:8081;
        }

        location /internal/ {
            internal;
            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ["X-Accel-Redirect: /internal$req->{uri}",
                  'Content-Disposition: inline', 'Cache-Control: max-age=9'],
            '']
        if $req->{uri} =~ m{^/file};

    print { $req->{socket} } "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        if $req->{uri} =~ /hints/;

    return [200, ['Content-Encoding: br',
                  "Content-Security-Policy: default-src 'none'",
                  'Cache-Control: max-age=1000'], 'text'];
});

$t->run();

###############################################################################

for my $way (qw/ plain hints /) {
    my %o = (headers => { 'Accept-Encoding' => 'br' });

    http_get("/file/$way", %o);
    my $r = http_get("/file/$way", %o);

    like($r, qr/^X-Cache: HIT/m, "stored, $way");
    like($r, qr/^Content-Encoding: br/m, 'with its coding');
    like($r, qr/^Content-Security-Policy/m, 'and its policy');
}

###############################################################################
