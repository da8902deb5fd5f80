#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Which requests are answered from the cache, and which go past it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(31);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /get/ {
            optcache c;
            optcache_methods GET;
            proxy_pass http://127.0.0.1:8081;
        }

        location /head/ {
            optcache c;
            optcache_methods HEAD;
            proxy_pass http://127.0.0.1:8081;
        }

        location /upgrade/ {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    if (($req->{headers}{upgrade} // '') eq 'websocket') {
        print { $req->{socket} } "HTTP/1.1 101 Switching Protocols\r\n"
            . "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello";
        return undef;
    }

    if ($req->{uri} eq '/chunked') {
        print { $req->{socket} } "HTTP/1.1 200 OK\r\n"
            . "Transfer-Encoding: chunked\r\n\r\n"
            . ($req->{method} eq 'GET' ? "3\r\nGET\r\n0\r\n\r\n" : '');
        return undef;
    }

    if ($req->{uri} =~ m{^/head-(.*)}) {
        my $new = $req->{method} eq 'HEAD' ? $1 : 'same';

        return [200, ['Cache-Control: max-age=60',
                      $new eq 'etag' ? 'ETag: "b"' : 'ETag: "a"',
                      $new eq 'length' ? 'Content-Length: 5'
                                       : 'Content-Length: 4',
                      'Last-Modified: Mon, 01 Jan 200'
                      . ($new eq 'date' ? '7' : '1') . ' 00:00:00 GMT'],
                $req->{method} eq 'HEAD' ? '' : 'body'];
    }

    return "$req->{method} $req->{count}" . ($req->{body} // '');
});

$t->run();

###############################################################################

# HEAD

is(cache(http_head('/a')), 'MISS', 'HEAD of nothing');
is(cache(http_head('/a')), 'MISS', 'its answer is not stored');
is(body(http_get('/a')), 'GET 1', 'and is none to a GET');

http_head('/chunked');
is(body(http_get('/chunked')), 'GET', 'nor when it has no length');

my $get = http_get('/a');
my $head = http_head('/a');

is(cache($head), 'HIT', 'HEAD is answered from a stored GET');
is(body($head), '', 'without its body');
is(header($head, 'Content-Length'), 5, 'with its length');
is_deeply([names($head)], [names($get)], 'and with its fields');

# a range is of a GET only (RFC 9110, 14.2)

$head = http_head('/a', headers => { Range => 'bytes=0-1' });
is(status($head) . ' ' . header($head, 'Content-Length'), '200 5',
    'a HEAD has no range');
is(status(http_head('/a', headers => { Range => 'bytes=9-' })), 200,
    'nor one that is not there');

# one that tells of another body (RFC 9111, 4.3.5)

for my $head ('etag', 'length', 'date', 'same') {
    http_get("/head-$head");
    http_head("/head-$head", headers => { 'Cache-Control' => 'no-cache' });
    is(cache(http_get("/head-$head")), $head eq 'same' ? 'HIT' : 'MISS',
        "HEAD with another $head");
}

http_get('/get/');
is(cache(http_get('/get/')), 'HIT', 'methods: GET only');
is(cache(http_head('/get/')), 'BYPASS', 'HEAD is not one');

is(cache(http_get('/head/')), 'BYPASS', 'methods: HEAD only');

# others

for my $method (qw/ POST PUT PATCH DELETE OPTIONS PROPFIND /) {
    http_request($method, '/m', body => '');
    my $r = http_request($method, '/m', body => '');

    is(cache($r), 'BYPASS', "$method goes past");
    is(body($r), "$method 2", "and reaches the upstream") if $method eq 'POST';
}

# a GET with a body could be answered by what the body says

http_get('/fat');
my $r = http_request('GET', '/fat', body => 'evil');
is(cache($r), 'BYPASS', 'a GET with a body goes past');
like(body($r), qr/evil/, 'with its body');

http_request('GET', '/fat2', body => 'evil');
unlike(body(http_get('/fat2')), qr/evil/, 'and its answer is not stored');

http(chunked_get('/fat3'));
unlike(body(http_get('/fat3')), qr/evil/, 'as with a body in chunks');

# a connection that becomes something else

http_get('/upgrade/');
my @upgrade = ('Upgrade: websocket', 'Connection: Upgrade',
               'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA==');
my $up = http("GET /upgrade/ HTTP/1.1\r\nHost: localhost\r\n"
              . join("\r\n", @upgrade) . "\r\n\r\n");
like($up, qr{^HTTP/1.1 101 .*hello}s, 'a WebSocket handshake goes past');
is(cache(http_get('/upgrade/')), 'HIT', 'and changes nothing');

is(body(http_get('/a')), 'GET 1', 'all this while');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }
sub names { return sort map { $_->[0] } headers($_[0]) }


sub chunked_get {
    return "GET $_[0] HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
           . "Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n";
}

###############################################################################
