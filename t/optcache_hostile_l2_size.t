#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A value that a host with a larger optcache_max_size has stored does not cost
# the others their second level.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(7);
my $small = Test::Nginx->new();

host(@$_) for [$t, 8080, '4m'], [$small, 8090, '10k'];

sub host {
    my ($nginx, $port, $size) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache_max_size $size;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_valid 1m;

    add_header X-Layer \$optcache_layer;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    return $_[0]->{uri} =~ /large/ ? 'x' x 2000000 : 'small';
});

$_->run() for $t, $small;

###############################################################################

http_get($_) for '/large', map { "/$_" } 1 .. 5;
wait_for(sub { $redis->entries() == 6 });

# all on one connection

my @s = map { http_get($_, port => 8090, start => 1) }
            '/1', '/large', map { "/$_" } 2 .. 4;
my @r = map { http_end($_) } @s;

is(length body($r[1]), 2000000, 'the large one');
is(header($r[$_], 'X-Layer'), 'L2', "and one beside it, $_") for 0, 2, 3, 4;

http_get('/large', port => 8090) for 1 .. 6;
is(header(http_get('/5', port => 8090), 'X-Layer'), 'L2', 'and afterwards');
is($small->log_count(qr/\[error\]/), 0, 'without an error');

###############################################################################
