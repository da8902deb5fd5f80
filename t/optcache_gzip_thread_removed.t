#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is removed or replaced while a thread still compresses it does not come
# back when the thread is done: not here, not in Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy', 'threads')->plan(19);

my $redis = $t->run_redis();

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/REDIS/$redis->port_number()/er);

%%TEST_GLOBALS%%

# one after the other

thread_pool default threads=1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_redis_server redis://127.0.0.1:REDIS;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_bypass $http_x_fresh;
            optcache_gzip on;
            optcache_gzip_level 9;
            optcache_max_size 8m;

            proxy_set_header Accept-Encoding "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# zlib takes its time for this one

srand 1;
my $slow = join '', map { rand() < .5 ? 'a' : 'b' } 1 .. 300_000;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Content-Type: text/plain', 'Cache-Control: max-age=60');

    return [200, \@fields, 'done'] if $req->{method} eq 'POST';
    return [200, \@fields, $slow] if $req->{uri} =~ /slow/;
    return [200, \@fields, text($req->{headers}{'x-fresh'} ? 'new' : 'old')];
});

$t->run();

###############################################################################

get('/slow');

for my $uri ('/removed', '/replaced', '/kept') {
    is(body(get($uri)), text('old'), "stored, $uri");
}

is(status(http_post('/removed')), 200, 'changed');
is(body(get('/replaced', 'X-Fresh: 1')), text('new'), 'stored anew');

SKIP: {
    skip 'the thread was too quick', 12
        if header(get('/slow', 'Accept-Encoding: gzip'), 'Content-Encoding');

    my $r = get('/replaced');
    is(header($r, 'X-Cache'), 'HIT', 'a hit');
    is(body($r), text('new'), 'of the new one');

    ok(compressed('/slow'), 'the slow one is done');
    ok($r = compressed('/kept'), 'and what came after the others');
    is(gunzip(body($r)), text('old'), 'of the right bytes');

    ok($r = compressed('/replaced'), 'and the new one');
    is(gunzip(body($r)), text('new'), 'which is the new one');

    # the slow one, what was replaced, what was kept; not what was removed

    ok(wait_for(sub { $redis->entries() >= 3 }, 10), 'they are in Redis');
    is($redis->entries(), 3, 'and no more');

    $r = get('/removed', 'Accept-Encoding: gzip');
    is(header($r, 'X-Cache'), 'MISS', 'what was removed is not there');
    is(body($r), text('old'), 'but asked for');
    is($backend->count(qr{^GET /removed}), 2, 'again');
}

ok($backend->count(qr{^GET /slow}) == 1, 'the others are not');
is($backend->count(qr{^GET /kept}), 1, 'asked for again');

###############################################################################

sub get {
    my ($uri, @fields) = @_;
    return http_get($uri, headers => \@fields);
}


# The same length, whatever it says.

sub text {
    my ($word) = @_;
    return join '', map { "$word line $_\n" } 1 .. 8000;
}


sub compressed {
    my ($uri) = @_;

    return Test::Nginx::wait_for(sub {
        my $r = get($uri, 'Accept-Encoding: gzip');
        return (header($r, 'Content-Encoding') // '') eq 'gzip' ? $r : '';
    }, 30);
}

###############################################################################
