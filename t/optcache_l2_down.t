#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis comes and goes; requests are answered all the time, and what is in
# memory is served without it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=200ms;

    optcache_valid 1m;
    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /reader/ {
            optcache c;
            optcache_key $arg_key;
            optcache_no_store 1;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub { return 'answer' });
$t->run();

###############################################################################

# absent at start

is(served('absent', 20), 20, 'without Redis at start');
is(header(http_get('/absent/1'), 'X-Layer'), 'L1', 'memory does its part');

# it comes

my $redis = $t->run_redis();

ok(comes_back('new'), 'Redis that comes is used');

# killed under load

my @s = map { http_get("/load/$_", start => 1) } 1 .. 30;
$redis->kill();
push @s, map { http_get("/load/b$_", start => 1) } 1 .. 30;

is(scalar(grep { status(http_end($_)) eq '200' } @s), 60,
    'killed under load');
is(served('dead', 20), 20, 'dead');
is(header(http_get('/load/1'), 'X-Layer'), 'L1', 'memory does its part');

$redis->restart();
ok(comes_back('again'), 'Redis that comes back is used');

# frozen under load: it takes connections and never says a word

$redis->suspend();

@s = map { http_get("/frozen/$_", start => 1) } 1 .. 30;
is(scalar(grep { status(http_end($_)) eq '200' } @s), 30,
    'frozen under load');
is(served('ice', 20), 20, 'frozen');
is(header(http_get('/frozen/1'), 'X-Layer'), 'L1', 'memory does its part');
is(status(http_post('/frozen/1')), 200, 'a POST does not wait for it');

$redis->cont();
ok(comes_back('thawed'), 'Redis that goes on is used');

# a reload while it is away, and one while it is frozen

$redis->kill();
ok($t->reload(wait_old => 1), 'reload without Redis');
is(served('reload', 20), 20, 'and without trouble');

$redis->restart();
comes_back('reloaded');
$redis->suspend();
@s = map { http_get("/held/$_", start => 1) } 1 .. 10;
ok($t->reload(wait_old => 1), 'reload with Redis frozen');
is(scalar(grep { status(http_end($_)) eq '200' } @s), 10,
    'and requests that wait for it');

$redis->cont();

###############################################################################

# How many of n requests for something new are answered.

sub served {
    my ($name, $n) = @_;

    return scalar grep {
        my $r = http_get("/$name/$_");
        status($r) eq '200' && body($r) eq 'answer';
    } 1 .. $n;
}


# Whether, within bounds, something new is stored there.

sub comes_back {
    my ($name) = @_;

    my $n = 0;

    return wait_for(sub {
        $n++;
        http_get("/$name/$n");
        return $redis->entries() > 0;
    }, 20);
}

###############################################################################
