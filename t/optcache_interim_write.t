#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An interim response in front of the answer to an unsafe request is not taken
# for the answer: that comes after it, and says whether anything was changed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    proxy_http_version 1.1;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    print { $req->{socket} } "HTTP/1.1 102 Wait\r\nX-Hint: a\r\n\r\n"
        if $req->{method} ne 'GET';

    return [$h->{'x-status'} // 200, ['Cache-Control: max-age=60'],
            "$req->{method} $req->{body}"];
});

$t->run();

###############################################################################

http_get('/a');
is(header(http_get('/a'), 'X-Cache'), 'HIT', 'stored');

my $r = http_post('/a', body => 'of it');

like($r, qr{^HTTP/1\.1\ 102\ Wait\r\nX-Hint:\ a\r\n\r\nHTTP/1\.1\ 200\ }x,
    'the client gets it first');
like($r, qr/\r\nPOST of it$/, 'and then the answer');
is(header(http_get('/a'), 'X-Cache'), 'MISS', 'which invalidates');

$r = http_post('/a', headers => ['X-Status: 500']);
like($r, qr{^HTTP/1\.1\ 102.*?^HTTP/1\.1\ 500\ }msx, 'an error');
is(header(http_get('/a'), 'X-Cache'), 'HIT', 'which does not');

like(http_request('DELETE', '/a', version => '1.0'), qr{^HTTP/1\.1 200 },
    'a client of HTTP/1.0 gets the answer alone');
is(header(http_get('/a'), 'X-Cache'), 'MISS', 'which invalidates, too');

###############################################################################
