#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Limits of stage=precontent come before the cache, in whatever order the
# modules are loaded: an answer that is there is counted, and refused, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_auth_request /);

plan(skip_all => 'modules are linked in') if $t->is_static();

$t->plan(12);

my @modules = map { $t->build_dir() . "/ngx_http_${_}_module.so" }
              qw/ ratelimit_redis optcache /;

my $conf = $t->expand(<<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    ratelimit_redis_zone $user zone=user:1m rate=3r/h
                         charge=$upstream_http_x_tokens;

    server {
        listen 127.0.0.1:8080;

        set $user "";

        location / {
            auth_request /auth;
            auth_request_set $user $upstream_http_x_user;

            ratelimit_redis zone=user stage=precontent;
            ratelimit_redis zone=all;

            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            proxy_pass http://127.0.0.1:8081;
        }
    }

    ratelimit_redis_zone $arg_all zone=all:1m rate=3r/h;
}

EOF

$conf =~ s/^load_module .*\n//mg;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, { 'X-User' => 'one' }, ''] if $req->{uri} eq '/auth';
    return [200, { 'Cache-Control' => 'max-age=60', 'X-Tokens' => 2 },
            'SEE-THIS'];
});

###############################################################################

for my $order ([@modules], [reverse @modules]) {
    my $how = ', ' . join ' then ', map { m{ngx_http_(\w+)_} } @$order;

    $t->write_file('nginx.conf',
                   join '', (map { "load_module $_;\n" } @$order), $conf);
    $t->run();

    my @r = map { http_get("/$how?n=$order->[0]" =~ s/[ ,]+/-/gr) } 1 .. 3;

    is(join(' ', map { header($_, 'X-Cache') } @r), 'MISS HIT HIT',
        'answered by the cache' . $how);
    is(join(' ', map { header($_, 'X-RateLimit-Remaining') } @r), '3 1 1',
        'what it has is free' . $how);

    http_get('/other');

    my $r = http_get('/other');
    is(status($r), 429, 'and refused' . $how);
    is(header($r, 'X-Cache'), undef, 'before the cache is asked' . $how);

    @r = map { http_get('/all?all=1') } 1 .. 4;

    is(join(' ', map { status($_) } @r), '429 429 429 429',
        'both stages' . $how);

    $t->stop();
}

isnt($backend->count(qr/other/), 0, 'asked');
is($backend->count(qr/all=/), 0, 'a refusal asks nobody');

###############################################################################
