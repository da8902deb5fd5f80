#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A location with "optcache_redis off" neither asks Redis nor stores there, but
# what it removes is removed there, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(13);
my $other = Test::Nginx->new();

host(@$_) for [$t, 8080, 8083], [$other, 8090, 8093];

sub host {
    my ($nginx, $port, $off) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

thread_pool default threads=1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid 10m;
    optcache_gzip on;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    optcache_key \$request_uri;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:$off;

        optcache_redis off;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8082;
        }

        location /on/ {
            optcache c;
            optcache_redis on;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF
}

my $redis = $t->run_redis();
my $large = 'words and more ' x 50000;

for my $port (8081, 8082) {
    $t->run_http_backend($port, sub {
        my ($req) = @_;

        return [200, { 'Content-Type' => 'text/plain' }, $large]
            if $req->{uri} =~ /large/;

        return $req->{uri} =~ /vary/
               ? [200, { Vary => 'X-A' }, "by $port"] : "by $port";
    });
}

$_->run() for $t, $other;

###############################################################################

# on one port of each host Redis is used, on the other it is not

is(cache(get(8080, '/a')), 'MISS ', 'a miss');
ok(wait_for(sub { entries() == 1 }), 'is stored in Redis');
is(cache(get(8093, '/a')), 'MISS ', 'where nobody looks who does not use it');
is(cache(get(8093, '/a')), 'HIT L1', 'but memory is used');

get(8083, $_) for '/b', '/vary';
get(8083, '/large', 'Accept-Encoding' => 'gzip');

# a thread has compressed it
ok(wait_for(sub {
    header(get(8083, '/large', 'Accept-Encoding' => 'gzip'),
           'Content-Encoding');
}), 'a large one');

is(cache(get(8090, '/b')), 'MISS ', 'nor is anything stored for others');
ok(wait_for(sub { entries() == 2 }), 'which is stored');
is(entries(), 2, 'and nothing else is');

# a location may use it where its server does not

is(cache(get(8080, '/on/a')), 'MISS ', 'a miss');
ok(wait_for(sub { entries() == 3 }), 'is stored');
is(cache(get(8093, '/on/a')), 'HIT L2', 'and found by a location');

# what is removed is removed there, too

http_post('/a', port => 8083);
ok(wait_for(sub { entries() == 2 }), 'removed from Redis');
is($redis->calls('del') > 0, 1, 'by DEL');

###############################################################################

sub get {
    my ($port, $uri, %headers) = @_;
    return http_get($uri, port => $port, headers => \%headers);
}


sub entries { return scalar @{ $redis->cmd('KEYS', 'oc:c:*') } }


sub cache {
    my ($r) = @_;
    return header($r, 'X-Cache') . ' ' . (header($r, 'X-Layer') // '');
}

###############################################################################
