#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A URI that was purged is not answered by what was stored before, also where
# that is found by several URIs and was stored for another one; on a host that
# has it, and on one that gets it from Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ encode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(20);
my $other = Test::Nginx->new();

host($_->[0], $_->[1]) for [$t, 8080], [$other, 8090];

sub host {
    my ($nginx, $port) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_no_vary_search on;
    optcache_key \$uri\$is_args\$args;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    add_header X-Layer \$optcache_layer;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /vary/ {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api write=on;
        }
    }
}

EOC
}

$t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @vary = $req->{uri} =~ /vary/ ? ('Vary: X-A') : ();

    return [200, ['Cache-Control: max-age=100', @vary,
                  'No-Vary-Search: params=("u")'], $req->{uri}];
});

$_->run() for $t, $other;

###############################################################################

# in memory: that of the other URI stays as it is until there is a newer one

for my $x ('/a', '/vary/a') {
    is(get("$x?u=1"), "MISS $x?u=1", 'stored');
    is(get("$x?u=2"), "HIT $x?u=1", 'found by another URI');

    purge(8080, { uri => "$x?u=2" });

    is(get("$x?u=1"), "HIT $x?u=1", 'that it was stored for is not purged');
    is(get("$x?u=2"), "MISS $x?u=2", 'the other one is');
    is(get("$x?u=1"), "HIT $x?u=2", 'and has a newer one for both');
}

purge(8080, { uri => '/a?u=2' });
is(get('/a?u=1'), 'MISS /a?u=1', 'purged by what it was stored for');

purge(8080, { uri => '/a?u=3', soft => JSON::PP::true });
is(get('/a?u=2'), 'HIT /a?u=1', 'and a soft purge of another one');
is(get('/a?u=3'), 'UPDATING /a?u=1', 'makes it stale');

purge(8080, { prefix => '/a?' });
is(get('/a?u=4'), 'MISS /a?u=4', 'a prefix is of all of them');

# in Redis: the other host knows what it was found by here

is(get('/b?i=1&u=1'), 'MISS /b?i=1&u=1', 'stored');
ok(wait_for(sub { get('/b?i=' . rand() . '&u=1', 8090);
                  get('/b?i=1&u=1', 8090) eq 'HIT /b?i=1&u=1' }, 20),
    'found by the other host');

is(get('/b?i=2&u=1'), 'MISS /b?i=2&u=1', 'stored');
purge(8090, { uri => '/b?i=2&u=2' });

is(get('/b?i=2&u=1', 8090), 'HIT /b?i=2&u=1', 'found by the other host');
is(get('/b?i=2&u=2', 8090), 'MISS /b?i=2&u=2', 'and not by what was purged');
ok(wait_for(sub { get('/b?i=2&u=2') eq 'HIT /b?i=2&u=2' }, 20),
    'as here, where the newer one is found');

###############################################################################

sub get {
    my ($uri, $port) = @_;

    my $r = http_get($uri, port => port($port || 8080));

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}


sub purge {
    my ($port, $what) = @_;

    return http_post('/api/purge', body => encode_json($what),
                     port => port($port),
                     headers => ['Content-Type: application/json']);
}
