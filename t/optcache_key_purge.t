#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What was purged, or written to, is not answered by what was stored before,
# also where the key leaves out the host or some of the URI, so that it was
# stored for another URI than it is asked for by: on a host that has it, and on
# one that gets it from Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ encode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(28);
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
    optcache_zone m:1m;
    optcache_user \$http_x_user;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:$port;
        server_name one.example two.example;

        location / {
            optcache c;
            optcache_key \$scheme://\$host\$uri;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8084;
        }

        location /host/ {
            optcache c;
            optcache_key \$server_name\$request_uri;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8084;
        }

        location /whole/ {
            optcache c;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8084;
        }

        location /many/ {
            optcache m;
            optcache_key "\$host-\$uri";
            proxy_pass http://127.0.0.1:8084;
        }

        location /api/ {
            optcache_api write=on;
        }
    }

    server {
        listen 127.0.0.1:@{[$port + 1]};
        server_name one.example;

        location / {
            optcache c;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8084;
        }
    }
}

EOC
}

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8084, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=100'], $req->{uri}];
});

$_->run() for $t, $other;

###############################################################################

# some of the URI is left out

is(get('/%61'), 'MISS /%61', 'stored');
is(get('/a'), 'HIT /%61', 'found by another URI');
purge(8080, { uri => '/a' });
is(get('/a'), 'MISS /a', 'not once that is purged');

is(get('/b?utm=1'), 'MISS /b?utm=1', 'stored with arguments');
purge(8080, { uri => '/b' });
is(get('/b?utm=2'), 'HIT /b?utm=1', 'found by others after a purge');
is(get('/b'), 'MISS /b', 'of which nobody else makes it forgotten');

get('/%63/x');
purge(8080, { prefix => '/c/' });
get('/%63/x');
is(get('/c/x'), 'MISS /c/x', 'a prefix');

get('/%68/x');
purge(8080, { prefix => '/%68/' });
is(get('/h/x'), 'MISS /h/x', 'a prefix of what it was stored for');

get('/d');
purge(8080, { uri => '/d' });
is(get('/d?x'), 'MISS /d?x', 'what it was stored for');

# a write by another user

get('/e?x=1', 'X-User' => 'b');
is(get('/e', 'X-User' => 'b'), 'HIT /e?x=1', 'of a user');
http_post('/e', host => 'one.example', headers => ['X-User: a']);
is(get('/e', 'X-User' => 'b'), 'MISS /e', 'written to by another one');

# the host is left out

is(get('/host/', Host => 'two.example'), 'MISS /host/', 'of a host');
is(get('/host/', Host => 'one.example'), 'HIT /host/', 'found for another');
purge(8080, { uri => '/host/', host => 'one.example' });
is(get('/host/', Host => 'one.example'), 'MISS /host/', 'where it is purged');

# another key in the same zone

get('/f?utm=1');
purge(8080, { uri => '/f' });
is(get('/f', Port => 8081), 'MISS /f', 'purged for another server, too');

get('/g');
purge(8080, { uri => '/g?x=1' });
is(get('/g', Port => 8081), 'HIT /g', 'where another one is not purged');
is(get('/g?x=1'), 'MISS /g?x=1', 'which does not make it forgotten');

# HTTP/1.0 has no host: it is that of the server

like(old('/whole/a'), qr/X-Cache: MISS/, 'no host');
is(get('/whole/a', Host => 'one.example'), 'HIT /whole/a', 'is the first one');
purge(8080, { uri => '/whole/a', host => 'one.example' });
is(get('/whole/a', Host => 'one.example'), 'MISS /whole/a', 'and purged as it');

old('/whole/b');
purge(8080, { host => 'one.example' });
is(get('/whole/b', Host => 'one.example'), 'MISS /whole/b', 'as a whole');

old('/whole/c');
purge(8080, { host => 'two.example' });
is(get('/whole/c', Host => 'one.example'), 'HIT /whole/c', 'not as another');

# in Redis

get('/many/%61');
ok(wait_for(sub { $redis->entries() == 1 }), 'in Redis');
is(get('/many/a', Port => 8090), 'HIT /many/%61', 'another host has it');

get('/many/b?1');
ok(wait_for(sub { $redis->entries() == 2 }), 'in Redis');
purge(8080, { uri => '/many/b' });
ok(wait_for(sub { get('/many/b?' . rand(), Port => 8090) =~ /^HIT/ }),
    'found by one that is not purged');
is(get('/many/b', Port => 8090), 'MISS /many/b', 'and not by the one that is');
is(get('/many/b?2', Port => 8090), 'HIT /many/b', 'which has a newer one');

###############################################################################

sub get {
    my ($uri, %headers) = @_;

    my $port = port(delete $headers{Port} || 8080);
    my $host = delete $headers{Host} || 'one.example';

    my $r = http_get($uri, port => $port, host => $host, headers => \%headers);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}


sub old {
    my ($uri) = @_;

    return http("GET $uri HTTP/1.0\r\n\r\n");
}


sub purge {
    my ($port, $what) = @_;

    return http_post('/api/purge', body => encode_json($what),
                     port => port($port),
                     headers => ['Content-Type: application/json']);
}
