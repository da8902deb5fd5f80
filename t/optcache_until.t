#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_until: no response outlives it, in shared memory and in Redis; the
# end of a verified token is the default, where there are tokens.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(26);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:1m;
    optcache c;
    optcache_user $http_x_user;
    optcache_key $uri;

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;

        location / {
            optcache_until $http_x_until;
            proxy_pass http://127.0.0.1:8081;
        }

        location /upstream/ {
            optcache_until $upstream_http_x_until;
            proxy_pass http://127.0.0.1:8081;
        }

        location /token/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /none/ {
            optcache_until "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $until = time() + 500;
    my $age = $req->{uri} =~ /aged/ ? 100 : 0;

    return [200, ['Cache-Control: public, max-age=6000', "Age: $age",
                  "X-Until: $until"], "$req->{uri} $req->{count}"];
});

$t->run();

###############################################################################

# how long it is kept shows in Redis

my $now = time();

near(left('/a', $now + 1000), 1000, 'shorter than the lifetime');
near(left('/b', $now + 9000), 6000, 'longer');
near(left('/c', ''), 6000, 'empty');
near(left('/d', 'never'), 6000, 'no number');
near(left('/e', '12x'), 6000, 'no number after all');
near(left('/f', ($now + 1000) . '.5'), 1000, 'a fraction');
near(left('/g', '9' x 30), 6000, 'no time');
near(left('/aged', $now + 1000), 1000, 'of a response that has an age');
near(left('/upstream/'), 500, 'what the upstream says');

# in the past

for my $until (0, 1, $now, $now - 1, -1, '-5000.5') {
    http_get('/past', headers => { 'X-Until' => $until });
    is(cache(http_get('/past', headers => { 'X-Until' => $until })), 'MISS',
        "over at $until: not stored");
}

# a hit is not asked when it ends

http_get('/asked', headers => { 'X-Until' => time() + 1000 });
is(cache(http_get('/asked', headers => { 'X-Until' => 1 })), 'HIT',
    'a hit belongs to who stored it');

# when it is over

my $soon = time() + 3;

http_get('/soon', headers => { 'X-Until' => $soon });
my $r = http_get('/soon');
ok(cache($r) eq 'HIT' || time() >= $soon, 'up to its end it is used');

ok(wait_for(sub {
    $r = http_get('/soon', headers => { 'X-Until' => 1 });
    return cache($r) ne 'HIT';
}), 'then not any more');
is(body($r), '/soon 2', 'but asked for again');

# tokens

my %token = (headers => bearer($key->token({ exp => time() + 700 })));

near(left('/token/a', undef, %token), 700, 'a token');
near(left('/none/a', undef, %token), 6000, 'turned off');
near(left('/token/b'), 6000, 'no token');

%token = (headers => bearer($key->token({ sub => 'a' })));
near(left('/token/c', undef, %token), 6000, 'one without an end');

$t->stop();

# without the other module there is no such variable

my $alone = Test::Nginx->new(
    modules => [$t->build_dir() . '/ngx_http_optcache_module.so']);

$alone->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

SKIP: {
    skip 'linked statically', 3 if $t->is_static();

    $alone->run();

    is(cache(http_get('/alone')), 'MISS', 'without tokens');
    is(cache(http_get('/alone')), 'HIT', 'without a bound');

    # whoever gives it
    my ($rc, $out) = $alone->conf_check(
        http => 'optcache_zone d:1m; optcache d;'
                . ' map $http_x_exp $token_exp { default $http_x_exp; }');
    is($rc, 0, 'a variable of this name') or diag($out);
}

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


# Seconds that a response is kept from now on.

sub left {
    my ($uri, $until, %o) = @_;

    $redis->forget();

    my $r = http_get($uri,
                     headers => { defined $until ? ('X-Until' => $until) : () },
                     %o);
    die "bad answer\n$r" if cache($r) ne 'MISS';

    wait_for(sub { $redis->entries() == 1 });

    return $redis->cmd('TTL', $redis->entry_names()->[0]);
}


# Never more, and less only by what a slow machine takes.

sub near {
    my ($got, $wanted, $name) = @_;

    ok($got <= $wanted && $got > $wanted - 120, $name)
        or diag("$got instead of $wanted");
}

###############################################################################
