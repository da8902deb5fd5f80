#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Fields that nginx itself looks at are known to it on a hit as they are when
# they come from an upstream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_auth_request /)->plan(45);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 1m;
    optcache_valid 401 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /server {
            proxy_pass_header Server;
            proxy_pass http://127.0.0.1:8081;
        }

        location /nobody {
            proxy_pass_header Server;
            proxy_pass http://127.0.0.1:8081;
        }

        location /secret {
            optcache off;
            auth_request /auth;
        }

        location = /auth {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /expires {
            expires 1h;
            add_header Last-Modified "";
            add_header ETag "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $old = 'Cache-Control: max-age=60';

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    my $uri = $req->{uri};

    return [200, ['Server: theirs'], 'x'] if $uri =~ /server/;

    return [304, [$uri =~ /named/ ? 'Server: late' : ()]]
        if $uri =~ /nobody/ && $req->{headers}{'if-none-match'};

    return [200, ['ETag: "a"', $uri =~ /stale/ ? 'Cache-Control: max-age=0'
                                               : $old,
                  $uri =~ /empty/ ? 'Server:' : ()], 'x']
        if $uri =~ /nobody/;

    return [401, ['WWW-Authenticate: Basic realm="a"',
                  'WWW-Authenticate: Bearer', 'Cache-Control: public'], 'x']
        if $uri =~ /auth/;

    my @fields = ('ETag: "a"', 'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT',
                  'Expires: Fri, 01 Jan 2100 00:00:00 GMT',
                  $old);

    return [200, \@fields, 'x'] if $uri =~ /expires/;

    return [304, [$old, 'ETag: "a"', 'Age: 100']]
        if $req->{headers}{'if-none-match'};

    return [200, [$old, 'ETag: "a"', 'Age: 100',
                  "Location: http://$req->{headers}{host}$uri/there"], 'x'];
});

$t->run();

###############################################################################

my $r;

for my $name ('MISS', 'HIT', 'HIT') {
    $r = http_get('/server');
    is(header($r, 'X-Cache'), $name, 'Server');
    is(join(',', header($r, 'Server')), 'theirs', "of a $name");

    $r = http_get('/secret');
    is(status($r), 401, 'WWW-Authenticate');
    like(join(',', header($r, 'WWW-Authenticate')),
         qr/^Basic realm="a"(,Bearer)?$/, "of a $name");

    $r = http_get('/expires');
    is(header($r, 'X-Cache'), $name, 'expires and add_header');
    is(join(',', header($r, 'Cache-Control')), 'max-age=3600', "of a $name");
    is(scalar(my @x = header($r, 'Expires')), 1, 'Expires once');
    is(header($r, 'ETag') // header($r, 'Last-Modified'), undef,
        'no validator');
}

# who passes the Server on says none where the upstream says none

for my $case (['/nobody', 'MISS', undef], ['/nobody', 'HIT', undef],
              ['/nobody/stale', 'MISS', undef],
              ['/nobody/stale', 'REVALIDATED', undef],
              ['/nobody/stale', 'REVALIDATED', undef],
              ['/nobody/stale/named', 'MISS', undef],
              ['/nobody/stale/named', 'REVALIDATED', 'late'],
              ['/nobody/empty', 'MISS', ''],
              ['/nobody/empty', 'HIT', undef])
{
    my ($uri, $name, $server) = @$case;

    $r = http_get($uri);
    is(header($r, 'X-Cache'), $name, "$uri, Server of nobody");
    is(header($r, 'Server'), $server, "of a $name");
}

# a Location that proxy_redirect has changed gets the name of the host

for my $name ('MISS', 'REVALIDATED', 'REVALIDATED') {
    $r = http_get('/old');
    is(header($r, 'X-Cache') . ' ' . header($r, 'Location'),
       "$name http://localhost:" . port(8080) . '/old/there', "$name, Location");
}

###############################################################################
