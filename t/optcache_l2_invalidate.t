#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Two hosts on one Redis: what one of them invalidates the other does not use
# either, be it in its own memory or in Redis, and what is stored in Redis
# after that it does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    optcache_user $http_x_user;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(19);
my $other = Test::Nginx->new();

$t->write_file_expand('nginx.conf', $conf);
$other->write_file_expand('nginx.conf', $conf =~ s/8080/8082/r);

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Cache-Group-Invalidation' =>
                   $req->{headers}{'x-groups'} // '' }, '']
        if $req->{method} ne 'GET';

    my $uri = $req->{uri};

    return [200, ['Cache-Control: max-age=100', 'Cache-Groups: "g", "h"',
                  $uri =~ /vary/ ? 'Vary: X' : ()], "$uri $req->{count}"];
});

$t->run();
$other->run();

###############################################################################

# both have it, by Redis

is(on($t, '/a'), 'MISS - 1', 'stored by one');
is(on($other, '/a'), 'HIT L2 1', 'found by the other');
is(on($other, '/a'), 'HIT L1 1', 'and kept');

# one that the other has in memory, and one it would find in Redis

on($t, $_) for '/b', '/group', '/other', '/vary', '/user';
on($t, '/user', 'u');

write_to($t, '/b');
write_to($t, '/a');

is(gone('/a'), 'MISS - 2', 'not from memory any more');
is(on($other, '/b'), 'MISS - 2', 'nor from Redis');
is(on($t, '/a'), 'HIT L2 2', 'but the new one, from Redis');
is(on($t, '/b'), 'HIT L2 2', 'by whoever has stored it');
is(on($other, '/other'), 'HIT L2 1', 'another one as before');

# all users

heard('/user');

is(on($other, '/user'), 'MISS - 3', 'that of all');
is(on($other, '/user', 'u'), 'MISS - 4', 'that of one');

# by a tag, which the value in Redis has

heard('/x', '"h"');

is(on($other, '/group'), 'MISS - 2', 'one of the group');
is(on($other, '/vary'), 'MISS - 2', 'one that varies');
is(on($other, '/vary'), 'HIT L1 2', 'stored anew');
is(on($t, '/vary'), 'HIT L2 2', 'and found');
is(on($other, '/other'), 'MISS - 2', 'one that was in memory');

# the host that has invalidated it finds nothing of before in Redis, either

on($other, '/own');
on($t, '/own');
write_to($t, '/own');
is(on($t, '/own'), 'MISS - 2', 'its own');
write_to($t, '/x', '"g"');
is(on($t, '/own'), 'MISS - 3', 'at once');

# a host that comes later reads what was before it came

on($t, '/late');
on($t, '/kept');
my %was = map { $_ => $redis->cmd('GET', $_) }
          grep { $redis->cmd('TYPE', $_) eq 'string' }
          @{ $redis->cmd('KEYS', '*') };
heard('/late');

$other->stop();

# what was removed is there again, as by a host that was slow

$redis->cmd('SET', $_, $was{$_}) for keys %was;

$other->run();

is(on($other, '/late'), 'MISS - 2', 'invalidated before it came');
is(on($other, '/kept'), 'HIT L2 1', 'not invalidated');

$other->stop();

###############################################################################

sub on {
    my ($host, $uri, $user) = @_;

    my $r = http_get($uri, port => $host == $t ? 8080 : 8082,
                     headers => [$user ? "X-User: $user" : ()]);
    settled();

    return join ' ', header($r, 'X-Cache'), header($r, 'X-Layer') || '-',
                     body($r) =~ / (\d+)$/;
}


sub write_to {
    my ($host, $uri, $groups) = @_;

    http_post($uri, port => $host == $t ? 8080 : 8082,
              headers => [$groups ? "X-Groups: $groups" : ()]);
}


# What was sent to Redis has been done there.

sub settled { select undef, undef, undef, .02 }


# The answer of the other host when it does not have one any more.

sub gone {
    my ($uri) = @_;

    my $r;

    wait_for(sub { $r = on($other, $uri); $r !~ /HIT/ });
    return $r;
}


# The same, told of something last that is looked for only to know that the
# other host has heard of all.

my $n;

sub heard {
    my ($uri, @groups) = @_;

    my $last = '/last' . ++$n;

    on($other, $last) for 1 .. 2;
    write_to($t, $uri, @groups);
    write_to($t, $last);
    gone($last);
}

###############################################################################
