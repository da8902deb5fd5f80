#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_set_cookie: what becomes of a response that sets cookies, in shared
# memory and in Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:1m;
    optcache c;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /strip {
            optcache_set_cookie strip;
            proxy_pass http://127.0.0.1:8081;
        }

        location /keep {
            optcache_set_cookie keep;
            proxy_pass http://127.0.0.1:8081;

            location /keep/not {
                optcache_set_cookie refuse;
                optcache_key $scheme://$host/keep/;
                proxy_pass http://127.0.0.1:8081;
            }
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $control = $req->{uri} =~ /named/
                  ? 'max-age=60, no-cache="Set-Cookie"' : 'max-age=60';

    return [200, ["Cache-Control: $control", "Set-Cookie: a=$req->{count}",
                  'set-cookie: b=1; HttpOnly', 'Set-Cookie2: c=1'],
            "$req->{uri} $req->{count}"];
});

$t->run();

###############################################################################

my $r = http_get('/refuse');
is(cookies($r), 'a=1|b=1; HttpOnly|c=1', 'refuse: the client gets the cookies');
is(cache(http_get('/refuse')), 'MISS', 'and nothing is stored');

$r = http_get('/strip');
is(cookies($r), 'a=1|b=1; HttpOnly|c=1', 'strip: so it does');

$r = http_get('/strip');
is(cache($r), 'HIT', 'the response is stored');
is(body($r), '/strip 1', 'whole');
is(cookies($r), '', 'but without cookies');

$r = http_get('/keep/');
is(cookies($r), 'a=1|b=1; HttpOnly|c=1', 'keep: so it does');

$r = http_get('/keep/');
is(cache($r), 'HIT', 'the response is stored');
is(cookies($r), 'a=1|b=1; HttpOnly|c=1', 'with its cookies');

http_get('/keep/', headers => { Authorization => 'A' });
is(cookies(http_get('/keep/', headers => { Authorization => 'A' })),
    'a=2|b=1; HttpOnly|c=1', 'those of a user');
is(cookies(http_get('/keep/')), 'a=1|b=1; HttpOnly|c=1', 'are his own');

http_get('/keep/named');
$r = http_get('/keep/named');
is(cache($r), 'HIT', 'no-cache that names the field');
is(cookies($r), 'c=1', 'goes before keep');

# the same by another way

$r = http_get('/keep/not');
is(cache($r), 'HIT', 'found where cookies are not kept');
is(cookies($r), '', 'it sets none');

# from Redis

wait_for(sub { $redis->entries() == 4 });

$t->stop();
$t->run();

$r = http_get('/keep/');
is(header($r, 'X-Layer'), 'L2', 'keep: from Redis');
is(cookies($r), 'a=1|b=1; HttpOnly|c=1', 'with cookies');

$r = http_get('/strip');
is(header($r, 'X-Layer') . cookies($r), 'L2', 'strip: without');

# kept for everybody

my ($rc, $out) = $t->conf_check(http => 'optcache_zone e:1m; optcache e;',
    location => 'optcache_user ""; optcache_set_cookie keep;');
like($out, qr/\[warn\].*gives the cookies of one client/, 'shared: warned of');

($rc, $out) = $t->conf_check(http => 'optcache_zone e:1m; optcache e;',
    location => 'optcache_user $arg_u; optcache_set_cookie keep;');
unlike($out, qr/\[warn\]/, 'a user: not');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub cookies {
    return join '|', map { $_->[1] } grep { $_->[0] =~ /^set-cookie2?$/i }
                     headers($_[0]);
}

###############################################################################
