#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Values larger than any buffer on the way, and larger than what is kept in
# memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @sizes = (0, 1, 4096, 65536, 900000, 1048576);

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(3 * @sizes + 3);
my $other = Test::Nginx->new();

host($_->[0], $_->[1], $_->[2])
    for [$t, 8080, '4m'], [$other, 8090, '4m'];

sub host {
    my ($nginx, $port, $size) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache_zone tiny:32k;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    optcache_valid 1m;
    add_header X-Layer \$optcache_layer;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /tiny/ {
            optcache tiny;
            optcache_gzip on;
            optcache_gzip_types *;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis();

# bytes that do not repeat, with all that could end a reply

srand(1);
my $bytes = join '', map { chr rand 256 } 1 .. 65536;
$bytes = join "\r\n", map { "$_$bytes" } 1 .. 17;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    my ($size) = $req->{uri} =~ m{/(\d+)$};

    return [200, { 'Content-Type' => 'text/plain' }, substr $bytes, 0, $size];
});

$_->run() for $t, $other;

###############################################################################

for my $size (@sizes) {
    http_get("/$size");
    wait_for(sub { $redis->calls('set') >= 1 + grep { $_ < $size } @sizes });

    my $r = http_get("/$size", port => 8090);
    is(header($r, 'X-Layer'), 'L2', "$size bytes from Redis");
    ok(body($r) eq substr($bytes, 0, $size), 'all of them');
    ok(body(http_get("/$size", port => 8090)) eq substr($bytes, 0, $size),
        'and from memory');
}

# no room in memory: it comes from Redis each time

http_get('/tiny/900000');
wait_for(sub { 2 == grep { int($_ / 1000) == 900 } lengths() });

for my $name ('an entry larger than the zone', 'each time') {
    my $r = http_get('/tiny/900000');
    is((header($r, 'X-Layer') // '')
       . (body($r) eq substr($bytes, 0, 900000)), 'L21', $name);
}

# many at once

my @s = map { http_get('/tiny/900000', start => 1) } 1 .. 8;
is(scalar(grep { length body(http_end($_)) == 900000 } @s), 8, 'many at once');

###############################################################################

sub lengths {
    return map { $redis->cmd('STRLEN', $_) } @{ $redis->cmd('KEYS', 'oc:*') };
}
