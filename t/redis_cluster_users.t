#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Revocations and the cache's second layer are found in a cluster, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

use Digest::SHA qw/ sha256_hex /;

my @hosts = map { Test::Nginx->new() } 1 .. 2;

$hosts[0]->has('http_proxy')->has_program('redis-server')->plan(8);

for my $i (0, 1) {
    my $port = 8080 + $i;

    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;
    optcache_redis_server  redis://127.0.0.1:7001 cluster
                           timeout=5s connect_timeout=5s;
    optcache_zone c:4m;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8090;
        }

        location /token {
            token_blacklist on;
            token_blacklist_key "blacklist:\$token_digest";
            token_blacklist_key "user:\$arg_user";
        }

        location /logout {
            token_blacklist on;
            token_revoke;
        }
    }
}

EOF

    $hosts[$i]->write_file('token', 'SEE-THIS');
}

my $cluster = $hosts[0]->run_redis_cluster(ports => [7000 .. 7002]);

my $backend = $hosts[0]->run_http_backend(8090, sub {
    my ($req) = @_;
    return [200, { 'Cache-Control' => 'max-age=60' }, "at $req->{uri}"];
});

$_->run() for @hosts;

###############################################################################

# several tokens, so that all servers are asked

my @tokens = map { "opaque-$_" } 1 .. 12;

is(join(' ', map { status(token($_)) } @tokens), join(' ', (200) x 12),
    'none is revoked');

# as an application does it, at whatever server it is told to

for my $token (@tokens[0 .. 5]) {
    my $key = 'blacklist:' . sha256_hex($token);

    $cluster->master($cluster->slot($key))->cmd('SETEX', $key, 60, 1);
}

ok(wait_for(sub {
    join(' ', map { status(token($_)) } @tokens)
        eq join(' ', (401) x 6, (200) x 6);
}), 'revoked by an application');

# as the module does it; the other host hears of it

is(join(' ', map { status(token($_, uri => '/logout')) } @tokens[6 .. 11]),
    join(' ', (204) x 6), 'revoked by their users');

ok(wait_for(sub {
    join(' ', map { status(token($_, port => 8081)) } @tokens)
        eq join(' ', (401) x 12);
}), 'everywhere');

my $user = $cluster->slot('user:7');
$cluster->master($user)->cmd('SETEX', 'user:7', 60, 1);

is(status(token('opaque-99', uri => '/token?user=7')), 401,
    'keys of one request may be at different servers');

# the cache

my @uris = map { "/page$_" } 1 .. 12;

http_get($_) for @uris;


wait_for(sub {
    my $n = 0;
    $n += $_->cmd('DBSIZE') for $cluster->nodes();
    return $n >= 12 + 12 + 1;
});

is(join(' ', map { header(scalar http_get($_, port => 8081), 'X-Layer') // '' }
             @uris),
    join(' ', ('L2') x 12), 'what one host has stored, the other finds');
is($backend->count(qr{ /page}), 12, 'and does not ask for');

my $spread = grep { $_->cmd('DBSIZE') > 1 } $cluster->nodes();
is($spread, 3, 'all servers have some of it');

###############################################################################

sub token {
    my ($token, %o) = @_;

    my $uri = delete $o{uri} || '/token';

    return http_request($uri eq '/logout' ? 'POST' : 'GET', $uri, %o,
        headers => { Authorization => "Bearer $token" });
}

###############################################################################
