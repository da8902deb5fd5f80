#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where the modules answer themselves, by an API, a logout or to PURGE, nothing
# is cached, counted or invalidated, whatever is inherited.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(36);

my $conf = $t->expand(<<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $remote_addr zone=r:1m rate=100r/m;
    optcache_zone c:1m;

    optcache c;
    optcache_valid any 1m;
    optcache_purge $http_x_purge;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /cache/ {
            optcache_api write=on;

            location /cache/within/ {
                proxy_pass http://127.0.0.1:8081;
            }

            if ($arg_if) {
                add_header X-If yes;
            }

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }

        location /limits/ {
            ratelimit_redis_api write=on;
            optcache c;

            if ($arg_if) {
                add_header X-If yes;
            }

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }

        location = /logout {
            token_revoke;

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub { [200, {}, 'body'] });

# the one module is merged before the other, or after it

for my $order ('in order', 'in the other order') {
    $t->write_file('nginx.conf', $conf)->run();

    looks($order);

    $t->stop();

    $conf =~ s/^(load_module .*;)\n(load_module .*;)$/$2\n$1/m;
}

###############################################################################

sub looks {
    my ($order) = @_;

    my $name = $order =~ s/ /-/gr;
    my %token = (headers => { Authorization => "Bearer $name" });
    my $told = told();

    is(cached(http_get("/$name")), '200 MISS', "$order: there is a cache");
    is(cached(http_get("/cache/within/$name")), '200 MISS', 'within an API as well');

    my $counted = requests();
    cmp_ok($counted, '>=', 2, 'these are counted');

    is(cached(http_get($_)), '200', "not for $_")
        for '/cache/health', '/cache/health?if=1', '/cache/metrics',
            '/limits/zones', '/limits/zones?if=1';
    is(cached(http_head('/cache/status')), '200', 'nor for HEAD');

    is(cached(http_request('DELETE', '/limits/subjects/r/x')), '204',
        'nor for DELETE');
    is(cached(http_post('/logout', %token)), '204', 'nor for a logout');
    is(cached(http_get('/logout')), '405', 'or what it refuses');
    is(told() - $told, 0, 'which invalidates nothing');

    is(cached(http_post('/cache/purge', body => '{"tags":["x"]}',
                        headers => { 'Content-Type' => 'application/json' })),
        '200', 'nor for a purge by the API');
    is(told() - $told, 1, 'which invalidates what it names');
    is(cached(http_request('PURGE', '/b', headers => { 'X-Purge' => 1 })),
        '200', 'nor for PURGE');
    is(told() - $told, 2, 'which does as well');

    is(requests() - $counted, 0, 'none of which is counted');
}


sub cached {
    my ($r) = @_;
    return join ' ', status($r), header($r, 'X-Cache');
}


# invalidations that other hosts are told of

sub told { $redis->cmd('XLEN', 'oc:invalidate') }


sub requests {
    my ($sum) = (0);

    for (split /\n/, http_get('/cache/metrics')) {
        $sum += $1 if /^optcache_requests_total\{.*\} (\d+)/;
    }

    return $sum;
}

###############################################################################
