#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The status tells what is in the zones, what was invalidated and how Redis
# does; health tells whether anything is amiss.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(51);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone a:1m;
    optcache_zone b:2m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=500ms
                          connect_timeout=500ms;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache a;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api write=on;
        }

        location /read/ {
            optcache_api write=off health=200;

            location /read/within/ {
                return 204;
            }
        }

        location /strict/ {
            optcache_api health=503;
        }

        location /if/ {
            optcache_api health=503;

            if ($arg_x) {
                add_header X-If yes always;
            }
        }

        location /except/ {
            optcache_api;

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }

        location /cached/ {
            optcache b;
            optcache_valid 200 1h;
            optcache_api;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=3600'], 'x' x 1000];
});

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $s;

ok(wait_for(sub { state() eq 'up' }), 'Redis is there');

$s = get('/api/status');
is($s->{version}, '0.1.0', 'version');
like($s->{nginx}, qr/^\d+\.\d+\.\d+$/, 'of nginx');

# zones

is(join(' ', map { $_->{name} } @{ $s->{zones} }), 'a b', 'all zones');
is(join(' ', map { $_->{size} } @{ $s->{zones} }), '1048576 2097152', 'sizes');
is(join(' ', map { $_->{entries} } @{ $s->{zones} }), '0 0', 'are empty');
is(join(' ', map { $_->{evicted} } @{ $s->{zones} }), '0 0', 'none left');
ok($s->{zones}[0]{attached}, 'the worker has a place');

for (@{ $s->{zones} }) {
    cmp_ok($_->{used} + $_->{free}, '<', $_->{size}, "$_->{name}: room");
    cmp_ok($_->{free}, '>', $_->{size} / 2, "$_->{name}: most of it");
}

my $used = $s->{zones}[0]{used};

http_get("/x$_") for 1 .. 3;

$s = get('/api/status');
is(join(' ', map { $_->{entries} } @{ $s->{zones} }), '3 0', 'three entries');
cmp_ok($s->{zones}[0]{used} - $used, '>=', 3000, 'take room');

http_get("/y$_") for 1 .. 1500;

$s = get('/api/status');
cmp_ok($s->{zones}[0]{evicted}, '>', 100, 'more than there is room for');
is($s->{zones}[0]{evicted} + $s->{zones}[0]{entries}, 1503,
    'are there or left');
like($s->{zones}[0]{oldest}, qr/^\d+$/, 'the age of those that leave next');
is($s->{zones}[1]{oldest}, undef, 'where there is one');

# Redis

is($s->{redis}{servers}[0], 'redis://127.0.0.1:' . $redis->port_number(),
    'its server');
cmp_ok($s->{redis}{worker}{commands}, '>=', 3, 'commands');
cmp_ok($s->{redis}{worker}{replies}, '>', 0, 'replies');
is($s->{redis}{worker}{outages}, 0, 'no outage');

# invalidation

my ($clock, $events) = @{ $s->{invalidation} }{qw/ clock events /};

http_post('/api/purge', body => '{"tags":["a","b"]}',
          headers => ['Content-Type: application/json']);

$s = get('/api/status');
is($s->{invalidation}{clock}, $clock + 2, 'two invalidations');
is($s->{invalidation}{events}, $events + 2, 'are counted');
like($s->{invalidation}{stream}{position}, qr/^\d+-\d+$/, 'a position');
is($s->{invalidation}{stream}{gaps}, 0, 'no gaps');
is($s->{invalidation}{stream}{failed}, 0, 'all understood');

$redis->cmd(qw/ XADD oc:invalidate * nonsense x /);
ok(wait_for(sub { stream('failed') == 1 }), 'one that is not');
is(stream('gaps'), 0, 'which is no gap');

$redis->cmd(qw/ DEL oc:invalidate /);
ok(wait_for(sub { stream('gaps') == 1 }), 'a stream that is gone');
is(join(' ', body(http_get('/api/metrics'))
             =~ /^optcache_stream_(?:gaps|failed)_total (\d+)$/mg),
    '1 1', 'to Prometheus, too');
ok(wait_for(sub { health('read') eq '200 healthy 0' }),
    'what was told is told again');

# documents like any other

my $r = http_get('/api/status');
is(header($r, 'Content-Type'), 'application/json', 'its type');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is(header($r, 'X-Content-Type-Options'), 'nosniff', 'nor to be guessed at');

$r = http_head('/api/status');
is(status($r) . body($r), '200', 'HEAD');

is(status(http_get('/read/status')), 200, 'without write=on');
is(status(http_get('/read/within/status')), 204, 'not inherited');
like(http_get('/if/health?x=1'), qr/ 200 .*X-If: yes/s, 'but by "if"');
is(status(http_get('/except/status')), 200, 'and limit_except');
is(status(http_get('/read/nosuch')), 404, 'nothing there');
is(status(http_get('/read/metrics')), 200, 'what Prometheus asks for');

http_get('/cached/status');
is(scalar(header(http_get('/cached/status'), 'X-Cache')), undef,
    'the cache has nothing to do with it');

# health

ok(wait_for(sub { health('read') eq '200 healthy 0' }), 'healthy');
is(health('strict'), '200 healthy 0', 'with health=503, too');

$redis->kill();

http_get("/z$_") for 1 .. 3;

ok(wait_for(sub { state() eq 'down' }), 'Redis is away');
like(health('read'), qr/^200 degraded [12]$/, 'degraded');
like(health('strict'), qr/^503 degraded [12]$/, 'with health=503');
like(health('if'), qr/^503 /, 'inherited with the API');
like(body(http_get('/read/health')), qr/"redis: it does not answer"/, 'why');
cmp_ok(get('/api/status')->{redis}{worker}{outages}, '>', 0, 'is counted');

###############################################################################

sub get { return decode_json(body(http_get($_[0]))) }


sub stream { return get('/api/status')->{invalidation}{stream}{$_[0]} }


sub state { return get('/api/status')->{redis}{state} }


sub health {
    my $r = http_get("/$_[0]/health");
    my $health = decode_json(body($r));
    return join ' ', status($r), $health->{status},
                     scalar @{ $health->{reasons} };
}

###############################################################################
