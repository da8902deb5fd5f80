#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A location that is found by the value of a variable: the same URI is another
# one's elsewhere, whoever asks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_version('1.31.5')->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_user "";
    optcache_valid any 1m;
    optcache_methods GET HEAD POST;
    optcache_key $request_uri$optcache_body;

    server {
        listen 127.0.0.1:8080;

        location $http_x_staff {
            proxy_set_header X-Of staff;
            proxy_pass http://127.0.0.1:8081;

            location /deep/ {
                proxy_set_header X-Of staff-deep;
                proxy_pass http://127.0.0.1:8081;
            }

            location $http_x_chief {
                proxy_set_header X-Of chief;
                proxy_pass http://127.0.0.1:8081;
            }
        }

        location $http_x_chief {
            proxy_set_header X-Of lone-chief;
            proxy_pass http://127.0.0.1:8081;
        }

        location / {
            proxy_set_header X-Of all;
            proxy_pass http://127.0.0.1:8081;
        }

        location /deep/ {
            proxy_set_header X-Of all-deep;
            proxy_pass http://127.0.0.1:8081;
        }

        location ^~ /api/ {
            optcache_api write=on;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [], "$req->{headers}{'x-of'} $req->{count}"];
});

$t->run();

###############################################################################

my ($staff, $chief) = ('X-Staff: 1', 'X-Chief: 1');

is(get('/a', $staff), 'MISS staff 1', 'one that a variable tells of');
is(get('/a'), 'MISS all 2', 'is not that of the others');
is(get('/a', $chief), 'MISS lone-chief 3', 'another variable');
is(get('/a', $staff, $chief), 'MISS chief 4', 'in one that was found so');
is(get('/a', $staff), 'HIT staff 1', 'each has its own');
is(get('/a'), 'HIT all 2', 'the same');
is(get('/a', $chief), 'HIT lone-chief 3', 'the same');
is(get('/a', $staff, $chief), 'HIT chief 4', 'the same');

is(get('/deep/a', $staff), 'MISS staff-deep 1', 'one by its URI, within');
is(get('/deep/a'), 'MISS all-deep 2', 'is not that of the others');
is(get('/deep/a', $staff), 'HIT staff-deep 1', 'each has its own');

is(post('/a', $staff), 'MISS staff 1', 'a body');
is(post('/a'), 'MISS all 2', 'is not that of the others');
is(post('/a', $staff), 'HIT staff 1', 'each has its own');

# who purges does not know of locations

http_post('/api/purge', body => '{"uri": "/a"}',
    headers => ['Content-Type: application/json']);

like(get('/a', $staff), qr/^MISS staff/, 'purged by its URI');
like(get('/a'), qr/^MISS all/, 'as all others');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}


sub post {
    my ($uri, @headers) = @_;

    my $r = http_post($uri, body => 'body', headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
