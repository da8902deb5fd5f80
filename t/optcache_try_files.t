#!/usr/bin/perl

# Copyright (C) The Optcache authors

# try_files chooses what is sent, maybe by what is in no key: the cache is asked
# when it has chosen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ sleep /;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite http_map /)
    ->plan(23);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone   c:1m;
    optcache_valid  any 1m;
    optcache        c;

    map $http_accept $webp {
        default         "";
        "~image/webp"   .webp;
    }

    server {
        listen 127.0.0.1:8080;

        root %%TESTDIR%%;

        location /img/ {
            try_files $uri$webp $uri =404;
        }

        location /alias/ {
            alias %%TESTDIR%%/img/;
            try_files $uri$webp $uri =404;
        }

        location /app/ {
            try_files /img/none /img/only$webp @app;
        }

        location @app {
            proxy_pass http://127.0.0.1:8081;
        }

        # what is found goes on to the content handler of the location

        location /proxied/ {
            try_files $uri$webp /img/a.png;
            proxy_pass http://127.0.0.1:8081$uri$is_args$args;
            optcache_key $scheme$host$request_uri$optcache_body;
            optcache_methods GET HEAD POST;
        }

        location /mirrored/ {
            mirror /mirror;
            try_files /img/a.png =404;
        }

        location = /mirror {
            internal;
            optcache off;
            proxy_pass http://127.0.0.1:8081/mirror;
        }

        location /stale/ {
            optcache_use_stale updating;
            try_files $uri$webp =404;
            proxy_pass http://127.0.0.1:8081$uri;
        }
    }
}

EOC

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'max-age=1' },
            "$req->{uri} $req->{count}"] if $req->{uri} =~ /stale/;

    return "$req->{method} $req->{uri} $req->{count}";
});

for my $dir (qw/ img proxied stale /) {
    mkdir $t->testdir() . "/$dir";
    $t->write_file("$dir/a.png", 'png');
    $t->write_file("$dir/a.png.webp", 'webp');
}

$t->write_file('img/only.webp', 'only');
$t->run();

my %webp = (headers => { Accept => 'image/webp' });

###############################################################################

# each gets what was chosen for it, whoever comes first

for my $place (qw/ img alias /) {
    is(ask("/$place/a.png"), 'MISS png', "$place, one choice");
    is(ask("/$place/a.png", %webp), 'MISS webp', 'another one');
    is(ask("/$place/a.png"), 'HIT png', 'the first one is found');
    is(ask("/$place/a.png", %webp), 'HIT webp', 'and the other one');
}

# once in all, wherever it leads

is(ask('/app/a'), 'MISS GET /app/a 1', 'a named location');
is(ask('/app/a', %webp), 'MISS only', 'not what is chosen for others');
is(ask('/app/a'), 'HIT GET /app/a 1', 'is found again');
is(ask('/app/a', %webp), 'HIT only', 'as is that');

is(ask('/img/none.png'), 'none 404', 'nothing found');

is(ask('/proxied/a.png'), 'MISS GET /proxied/a.png 1', 'to a handler');
is(ask('/proxied/a.png', %webp), 'MISS GET /proxied/a.png.webp 1', 'each');
is(ask('/proxied/a.png'), 'HIT GET /proxied/a.png 1', 'is found again');

is(post('/proxied/a.png', 'q'), 'MISS POST /proxied/a.png 1', 'a POST');
is(post('/proxied/a.png', 'q'), 'HIT POST /proxied/a.png 1', 'is found');
is(post('/proxied/a.png', 'q', %webp), 'MISS POST /proxied/a.png.webp 1',
    'what was chosen for it');

# mirror comes before try_files, and so before the cache

ask('/mirrored/a');
is(ask('/mirrored/a'), 'HIT png', 'a mirrored request');
ok(wait_for(sub { $backend->count(qr{/mirror}) == 2 }),
    'is mirrored though it is a hit');

# an update goes on from where the client was answered

ask('/stale/a.png', %webp);
sleep 2.1;
is(ask('/stale/a.png', %webp), 'UPDATING /stale/a.png.webp 1', 'stale');

ok(wait_for(sub { $backend->count(qr{/stale/a.png.webp}) == 2 }), 'updated');

###############################################################################

sub ask {
    my ($uri, %extra) = @_;

    return result(http_get($uri, %extra));
}

sub post {
    my ($uri, $body, %extra) = @_;

    return result(http_post($uri, body => $body, %extra));
}

sub result {
    my ($r) = @_;

    return 'none ' . status($r) unless status($r) == 200;
    return (header($r, 'X-Cache') // 'none') . ' ' . body($r);
}

###############################################################################
