#!/usr/bin/perl

# Copyright (C) The Optcache authors

# HTTP/3: what a client asks for is the host of its :authority, of which nginx
# makes no Host: for Vary, for Location, and for who writes by an API.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP3;

my $t = Test::Nginx->new()->has(qw/ http_v3 http_proxy /)
    ->has_program('openssl');
my $h3 = Test::Nginx::HTTP3->new(8443);

$t->plan(17);
$t->make_cert('localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate %%TESTDIR%%/localhost.crt;
    ssl_certificate_key %%TESTDIR%%/localhost.key;

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8443 quic;
        listen 127.0.0.1:8080;

        proxy_redirect off;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /one/ {
            optcache c;
            optcache_key $request_uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api write=on;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [201, ["Location: $req->{body}"], 'done']
        if $req->{method} eq 'POST';

    return [200, ['Cache-Control: max-age=600',
                  ($req->{uri} =~ /vary/ ? 'Vary: Host' : ())],
            "answer $req->{count}"];
});

$t->run();
$h3->connect();

###############################################################################

# a key without a host, and an answer that depends on it

is(cache($h3->get('/one/vary', host => 'a.example')), 'MISS', 'Vary: Host');
is(cache($h3->get('/one/vary', host => 'b.example')), 'MISS', 'another host');
is(cache($h3->get('/one/vary', host => 'a.example:81')), 'MISS', 'a port');
is(cache($h3->get('/one/vary', host => 'a.example')), 'HIT', 'the same host');
is(cache($h3->get('/one/vary', host => 'a.example',
                  headers => { Host => 'a.example' })), 'HIT', 'and a Host');
is(cache(http_get('/one/vary', host => 'a.example')), 'HIT', 'by HTTP/1.1');
is(cache(http_get('/one/vary', host => 'c.example')), 'MISS',
    'and another one');

# what an answer to a POST names

is(written('https://a.example/x'), 'MISS', 'Location with the host');
is(written('https://a.example:443/x'), 'MISS', 'and the port of https');
is(written('//A.EXAMPLE/x'), 'MISS', 'without a scheme');
is(written('https://b.example/x'), 'HIT', 'another host');
is(written('https://a.example:81/x'), 'HIT', 'another port');
is(written('https://a.example:81/x', 'a.example:81'), 'MISS', 'that was asked');

# who writes

is(purge('https://a.example', 'a.example'), 200, 'a page of the same origin');
is(purge('https://a.example:81', 'a.example:81'), 200, 'with a port');
is(purge('https://a.example', 'a.example:81'), 403, 'a page of another port');
is(purge('https://b.example', 'a.example'), 403, 'a page of another host');

$h3->close();

###############################################################################

sub cache { return header($_[0], 'X-Cache') }


# What /x of a.example is after a POST.

sub written {
    my ($location, $host) = @_;

    $h3->get('/x', host => 'a.example');
    $h3->get('/post', method => 'POST', body => $location,
             host => $host // 'a.example');

    return cache($h3->get('/x', host => 'a.example'));
}


sub purge {
    my ($origin, $host) = @_;

    return status($h3->get('/api/purge', method => 'POST', host => $host,
        headers => { 'Content-Type' => 'application/json',
                     'Origin' => $origin },
        body => '{"uri": "/nothing"}'));
}
