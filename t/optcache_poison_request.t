#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Requests that can be read in two ways, or that are none: whoever sends one,
# with a name or without, the next who asks properly gets a proper answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $long = 'evil' x 5000;

# what is sent, and the statuses it may get; URI is another one each time

my @requests = (
    ['a second Host', "GET URI HTTP/1.1\nHost: localhost\nHost: evil", 400],
    ['a first Host', "GET URI HTTP/1.1\nHost: evil\nHost: localhost", 400],
    ['twice the same Host', "GET URI HTTP/1.1\nHost: localhost\n"
                            . "Host: localhost", 400],
    ['a Host with space before its colon', "GET URI HTTP/1.1\n"
                            . "Host: localhost\nHost : evil", 400],
    ['a Host on two lines', "GET URI HTTP/1.1\nHost: localhost\n evil", 400],
    ['a Host within', "GET URI HTTP/1.1\nX: y\n Host: evil\n"
                      . "Host: localhost", 400],
    ['a Host of two', "GET URI HTTP/1.1\nHost: localhost, evil", 400],
    ['a Host with a path', "GET URI HTTP/1.1\nHost: localhost/evil", 400],
    ['a Host with a user', "GET URI HTTP/1.1\nHost: evil\@localhost",
        '200|400'],
    ['a Host with a query', "GET URI HTTP/1.1\nHost: localhost?evil",
        '200|400'],
    ['a Host with a port', "GET URI HTTP/1.1\nHost: localhost:1337", 200],
    ['a port that is none', "GET URI HTTP/1.1\nHost: localhost:evil",
        '200|400'],
    ['a Host with a dot', "GET URI HTTP/1.1\nHost: localhost.", 200],
    ['no Host', "GET URI HTTP/1.0\nX: evil", 200],
    ['an empty Host', "GET URI HTTP/1.1\nHost:", '200|400'],

    ['another host in the URI', "GET http://localhostURI HTTP/1.1\n"
                                . "Host: evil", 200],
    ['another host beside the URI', "GET http://evilURI HTTP/1.1\n"
                                    . "Host: localhost", 200],
    ['a longer host beside it', "GET http://localhostURI HTTP/1.1\n"
                                . "Host: localhost.evil", 200],
    ['a port beside it', "GET http://localhostURI HTTP/1.1\n"
                         . "Host: localhost:evil", '200|400'],
    ['a port in the URI', "GET http://localhost:1337URI HTTP/1.1\n"
                          . "Host: localhost", 200],
    ['a user in the URI', "GET http://evil\@localhostURI HTTP/1.1\n"
                          . "Host: localhost", '200|400'],
    ['another scheme', "GET evil://localhostURI HTTP/1.1\nHost: localhost",
        200],
    ['no path', "GET http://localhost?URI HTTP/1.1\nHost: localhost", 200],

    ['a GET with a body', "GET URI HTTP/1.1\nHost: localhost\n"
                          . "Content-Length: 4\n\nevil", 200],
    ['a GET in chunks', "GET URI HTTP/1.1\nHost: localhost\n"
                        . "Transfer-Encoding: chunked\n\n4\nevil\n0\n", 200],
    ['a HEAD with a body', "HEAD URI HTTP/1.1\nHost: localhost\n"
                           . "Content-Length: 4\n\nevil", 200],
    ['a GET with a form', "GET URI HTTP/1.1\nHost: localhost\n"
                          . "Content-Type: application/x-www-form-urlencoded"
                          . "\nContent-Length: 6\n\na=evil", 200],
    ['two lengths', "GET URI HTTP/1.1\nHost: localhost\nContent-Length: 0\n"
                    . "Content-Length: 4\n\nevil", 400],
    ['twice the same length', "GET URI HTTP/1.1\nHost: localhost\n"
                              . "Content-Length: 4\nContent-Length: 4"
                              . "\n\nevil", 400],
    ['a length of two', "GET URI HTTP/1.1\nHost: localhost\n"
                        . "Content-Length: 4, 4\n\nevil", 400],
    ['a length with a sign', "GET URI HTTP/1.1\nHost: localhost\n"
                             . "Content-Length: +4\n\nevil", 400],
    ['a length and chunks', "GET URI HTTP/1.1\nHost: localhost\n"
                            . "Content-Length: 4\nTransfer-Encoding: chunked"
                            . "\n\n4\nevil\n0\n", 400],
    ['an unknown coding', "GET URI HTTP/1.1\nHost: localhost\n"
                          . "Transfer-Encoding: evil, chunked\n\n0\n", 501],
    ['a request in the body', "GET URI HTTP/1.1\nHost: localhost\n"
                              . "Content-Length: 40\n\n"
                              . "GET URI HTTP/1.1\nHost: evil\nX: evil\n",
        200],

    ['two credentials', "GET URI HTTP/1.1\nHost: localhost\n"
                        . "Authorization: a\nAuthorization: evil", 400],
    ['no credential and one', "GET URI HTTP/1.1\nHost: localhost\n"
                              . "Authorization:\nAuthorization: evil", 400],
    ['a credential and none', "GET URI HTTP/1.1\nHost: localhost\n"
                              . "Authorization: evil\nAuthorization:", 400],
    ['a credential on two lines', "GET URI HTTP/1.1\nHost: localhost\n"
                                  . "Authorization:\n evil", 400],
    ['a credential with space before its colon', "GET URI HTTP/1.1\n"
                                  . "Host: localhost\nAuthorization : evil",
        400],
    ['a credential in other letters', "GET URI HTTP/1.1\nHost: localhost\n"
                                      . "aUTHORIZATION: evil", 200],
    ['a credential after a tab', "GET URI HTTP/1.1\nHost: localhost\n"
                                 . "Authorization:\tevil", 200],
    ['a credential for proxies', "GET URI HTTP/1.1\nHost: localhost\n"
                            . "Connection: Authorization, close\n"
                            . "Authorization: evil", 200],

    ['a name with underscore', "GET URI HTTP/1.1\nHost: localhost\n"
                               . "X_Echo: evil", 200],
    ['a name that is none', "GET URI HTTP/1.1\nHost: localhost\n"
                            . "X\@Echo: evil", '200|400'],
    ['a line that is none', "GET URI HTTP/1.1\nHost: localhost\nevil",
        '200|400'],
    ['a NUL', "GET URI HTTP/1.1\nHost: localhost\nX-Echo: a\0evil", 400],
    ['a bare CR', "GET URI HTTP/1.1\nHost: localhost\nX: a\rX-Echo: evil",
        '200|400'],
    ['a field too long', "GET URI HTTP/1.1\nHost: localhost\n"
                         . "X-Echo: $long", 400],
    ['many fields', "GET URI HTTP/1.1\nHost: localhost\n"
                    . join("\n", ("X-Echo: $long") x 9), 400],
    ['a URI too long', "GET URI?$long HTTP/1.1\nHost: localhost", 414],
    ['a URI that is long', 'GET URI?' . 'evil' x 1500 . " HTTP/1.1\n"
                           . 'Host: localhost', 200],
    ['a fragment', "GET URI#evil HTTP/1.1\nHost: localhost", 200],

    ['a method in other letters', "get URI HTTP/1.1\nHost: localhost", 400],
    ['a method of its own', "EVIL URI HTTP/1.1\nHost: localhost", 200],
    ['OPTIONS', "OPTIONS URI HTTP/1.1\nHost: localhost", 200],
    ['TRACE', "TRACE URI HTTP/1.1\nHost: localhost", 405],
    ['POST', "POST URI HTTP/1.1\nHost: localhost\nContent-Length: 4\n\nevil",
        200],
    ['HTTP/1.2', "GET URI HTTP/1.2\nHost: localhost", 200],
    ['HTTP/2.0', "GET URI HTTP/2.0\nHost: localhost", 505],
    ['HTTP/0.9', 'GET URI', 200],
    ['two spaces', "GET  URI HTTP/1.1\nHost: localhost", '200|400'],
    ['a WebSocket', "GET URI HTTP/1.1\nHost: localhost\n"
                    . "Upgrade: websocket\nConnection: close", 200],
    ['an expectation', "GET URI HTTP/1.1\nHost: localhost\nExpect: evil", 200],
    ['nothing but the cache', "GET URI HTTP/1.1\nHost: localhost\n"
                              . "Cache-Control: only-if-cached", 504],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(@requests + 5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;
    optcache_valid any 1m;
    proxy_http_version 1.0;

    server {
        listen 127.0.0.1:8080;
        server_name localhost;

        location / {
            proxy_set_header Host $host;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # all of Host is told, so all of it is in the key

    server {
        listen 127.0.0.1:8090;
        server_name localhost;

        optcache_key $scheme://$http_host$request_uri;

        location / {
            proxy_set_header Host $http_host;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # and here the key has one host, and upstream may be told another

    server {
        listen 127.0.0.1:8091;
        server_name localhost;

        location / {
            proxy_set_header Host $http_host;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# it says all it was told, and does not like all of it

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my $told = join '|', $req->{method}, $req->{uri}, $req->{version},
                         (map { $_ // '' } @$h{qw/ host authorization x-echo
                                                   x_echo expect /}),
                         $req->{body};

    return [405, {}, $told] if $req->{method} eq 'TRACE';
    return $told;
});

$t->run();

###############################################################################

my $n = 0;

for my $request (@requests) {
    my ($name, $bytes, $status) = @$request;
    my @wrong;

    for my $port (8080, 8090) {
        for my $more ('', 'Authorization: Bearer attacker', 'Cookie: a=b') {
            my $uri = '/' . ++$n;
            my $sent = $bytes =~ s/URI/$uri/gr;

            next if $more =~ /Auth/ && $sent =~ /authorization/i;

            $sent =~ s/\n/\n$more\n/ if $more;
            $sent =~ s/\n/\r\n/g;
            $sent =~ s/\r\n/\r\nConnection: close\r\n/
                if $sent !~ /Connection:/;

            # twice, so that what might be kept is found
            my $r;
            $r = http("$sent\r\n\r\n", port => $port) for 1 .. 2;

            push @wrong, "$port $more: " . status($r)
                if $name ne 'HTTP/0.9' && status($r) !~ /^($status)$/;

            push @wrong, "$port $more: $_" for others($uri, $port);
        }
    }

    is(join("\n", @wrong), '', $name);
}

# they are told by what they are told, not by its absence

http_get('/seen');
is(header(http_get('/seen'), 'X-Cache'), 'HIT', 'there is a cache');

# what upstream was told of one host is not kept as what another one says

my $evil = http("GET http://localhost/two HTTP/1.1\r\nHost: evil\r\n"
                . "Connection: close\r\n\r\n", port => 8091);
like($evil, qr/\|evil\|/, 'a host beside that of the URI');
like(http_get('/two', port => 8091), qr/\|localhost\|/, 'is nobody else\'s');

# a host and a path that look the same one after the other

for my $port (8080, 8090) {
    http_get('/q', host => 'localhost?evil', port => $port);
    my $r = http("GET http://localhost?evil/q HTTP/1.1\r\nHost: localhost\r\n"
                 . "Connection: close\r\n\r\n", port => $port);
    like($r, qr/\|localhost\|/, 'a query in a host is no query');
}

###############################################################################

# What strangers and users get that was not made for them.

sub others {
    my ($uri, $port) = @_;
    my @wrong;

    for my $user ('', 'Bearer victim') {
        my $r = http_get($uri, port => $port, headers => $user
                         ? { Authorization => $user } : {});
        my $body = body($r) // '';

        push @wrong, $r
            if $body ne "GET|$uri|1.0|localhost|$user||||";
    }

    return @wrong;
}

###############################################################################
