#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Requests that are made to look like others: to have a private answer stored
# for everybody, or everybody given an answer of one's own making.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @look_alikes = (
    '/account/x.css', '/account;x.css', '/account%2fx.css', '/account%3bx.css',
    '/account%23x.css', '/account%3fx.css', '/account/..%2fstatic/x.css',
    '/static/../account', '/static/..%2faccount', '/static/%2e%2e/account',
    '//account', '/./account', '/account/', '/account%20', '/account%0a',
    '/account.css', '/account%2500', '/account\\x.css', '/account?x.css',
    '/account?', '/%61ccount', '/account#x', '/ACCOUNT',
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @look_alikes + 23);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid any 1m;
    merge_slashes off;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# it answers with who asked, to whatever URI, and says nothing about caching

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    return join '|', map { $_ // '' } $h->{authorization}, $h->{cookie},
                     @$h{qw/ x-forwarded-host x-original-url x-method-override
                             forwarded x-http-method-override /},
                     $req->{body};
});

$t->run();

###############################################################################

for my $uri (@look_alikes) {
    http_get($uri, headers => { Authorization => 'Bearer victim' });
    http_get($uri, headers => { Cookie => 'session=victim' });

    unlike(http_get($uri), qr/victim/, "nobody gets it by $uri");
    unlike(http_get($uri, headers => { Authorization => 'Bearer attacker' }),
        qr/victim/, 'nor does another');
}

# what nginx itself refuses is not stored either

for my $uri ('/account%00.css', '/../account', '/a b') {
    is(status(http_get($uri)), 400, "$uri is refused");
    is(header(http_get($uri), 'X-Cache'), undef, 'without the cache');
}

# two credentials, two hosts: refused or never mixed up

my $two = "GET /two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
          . "Authorization: Bearer victim\r\nAuthorization: Bearer attacker"
          . "\r\n\r\n";

http($two);
my $r = http($two);
unlike(http_get('/two', headers => { Authorization => 'Bearer attacker' }),
    qr/victim/, 'two credentials');
unlike(http_get('/two'), qr/victim|attacker/, 'are not none');
unlike(http($two =~ s/attacker/victim/r =~ s/victim/attacker/r), qr/victim\|/,
    'nor the same the other way round');

is(status(http("GET /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n"
               . "Connection: close\r\n\r\n")), 400, 'two hosts');
is(status(http("GET /h HTTP/1.1\r\nConnection: close\r\n\r\n")), 400,
    'no host');
is(status(http("GET /h HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n")),
    400, 'a host that is none');

# fields that no key has are for the one who sent them, if he is known

for my $field ('X-Forwarded-Host', 'X-Original-URL', 'X-Method-Override') {
    my $user = { Authorization => 'Bearer attacker', $field => 'evil' };

    http_get("/poison-$field", headers => $user);
    unlike(http_get("/poison-$field"), qr/evil/, "$field of a user");
    unlike(http_get("/poison-$field",
        headers => { Authorization => 'Bearer victim' }), qr/evil/,
        'is his own');
}

# a method that is none, a body where there should be none

http_request('get', '/case', headers => { 'X-Original-URL' => 'evil' });
unlike(http_get('/case'), qr/evil/, 'methods have a case');

http_request('GET', '/fat', body => 'evil');
unlike(http_get('/fat'), qr/evil/, 'a GET with a body');
http_request('HEAD', '/fat2', body => 'evil');
unlike(http_get('/fat2'), qr/evil/, 'a HEAD with a body');

# HTTP/0.9 has no fields, so no credential and no host

unlike(http("GET /account\r\n"), qr/victim/, 'HTTP/0.9');

# one line after another, which a careless reader would take for one request

$r = http("GET /smuggled HTTP/1.1\r\nHost: localhost\r\n"
          . "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"
          . "Connection: close\r\n\r\n0\r\n\r\nX");
is(status($r), 400, 'two lengths');

###############################################################################
