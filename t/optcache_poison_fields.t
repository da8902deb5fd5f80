#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Fields that change an answer and are in no key: in the partition of a user
# they hurt nobody else; in the shared one it is the upstream that must not
# hear of them, or hear what the cache says, or they are in the key.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @fields = qw/
    X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Scheme X-Forwarded-Port
    X-Forwarded-For X-Forwarded-Server X-Forwarded-Prefix X-Scheme X-Host
    Forwarded X-Original-URL X-Rewrite-URL X-Original-Host
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Real-IP
    X-Client-IP True-Client-IP X-WAP-Profile Accept Accept-Language Origin
    Referer User-Agent X-Requested-With Via Max-Forwards Proxy
/;

my $t = Test::Nginx->new()->has('http_proxy')->plan(@fields * 4 + 5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;

        # told everything: for users only

        location /told/ {
            proxy_pass http://127.0.0.1:8081;
        }

        # told what is listed

        location /asked/ {
            proxy_pass_request_headers off;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Authorization $http_authorization;
            proxy_pass http://127.0.0.1:8081;
        }

        # what is told is in the key

        location /keyed/ {
            optcache_key $request_uri|$http_x_forwarded_host|$http_accept;
            proxy_pass_request_headers off;
            proxy_set_header X-Forwarded-Host $http_x_forwarded_host;
            proxy_set_header Accept $http_accept;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# it answers by all it is told, to a GET and to what is called one

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my @evil = grep { $h->{$_} =~ /evil/ } sort keys %$h;
    my $status = $h->{'x-http-method-override'} ? 405
                 : $h->{accept} ? 406 : 200;

    return [$status, {}, "@evil"];
});

$t->run();

###############################################################################

my %attacker = (Authorization => 'Bearer attacker');
my %victim = (Authorization => 'Bearer victim');

for my $field (@fields) {
    my $uri = "/told/$field?utm_source=x";

    http_get($uri, headers => { $field => 'evil', %attacker }) for 1 .. 2;

    is(seen($uri), '', "$field of a user is told to nobody");
    is(seen($uri, %victim), '', 'nor to another');

    for my $where ('/asked', '/keyed') {
        $uri = "$where/$field";
        http_get($uri, headers => { $field => 'evil' }) for 1 .. 2;
        is(seen($uri), '', "$field of nobody, $where");
    }
}

# a query is all of it in the key, whatever a part of it is called

http_get('/asked/x?a=b&utm_content=evil');
is(header(http_get('/asked/x?a=b'), 'X-Cache'), 'MISS', 'a part of a query');

for my $uri ('/told/x', '/asked/y', '/keyed/x') {
    http_get($uri);
    is(header(http_get($uri), 'X-Cache'), 'HIT', "there is a cache, $uri");
}

is(header(http_get('/keyed/x', headers => { 'X-Forwarded-Host' => 'a' }),
    'X-Cache'), 'MISS', 'and a key');

###############################################################################

sub seen {
    my ($uri, %headers) = @_;

    my $r = http_get($uri, headers => \%headers);
    return status($r) == 200 ? body($r) : $r;
}

###############################################################################
