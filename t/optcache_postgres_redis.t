#!/usr/bin/perl

# Copyright (C) The Optcache authors

# With Redis, what a transaction has changed is invalidated on all hosts, also
# on those that do not read the outbox; several that do tell of it once.  A
# host that begins uses nothing of Redis that was invalidated before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my @hosts = map { Test::Nginx->new() } 1 .. 3;
my @ports = (8080, 8081, 8082);
my $t = $hosts[0]->has('debug')->has_program(qw/ redis-server postgres /)
                 ->plan(15);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

my $n = 0;

$t->run_http_backend(8090, sub {
    return [200, ['Cache-Control: max-age=600'], 'SEE-THIS'];
});

for my $i (0 .. 2) {
    gateway($hosts[$i], port => $ports[$i],
        postgres => $i < 2 ? $pg->conninfo() : undef,
        http => 'optcache_user ""; optcache_redis_server'
                . ' redis://127.0.0.1:6379 timeout=1s;');
    $hosts[$i]->run();
    $i == 2 || listens($hosts[$i]) or die "nobody listens\n";
}

wait_for(sub { cached('/warm') eq 'HIT HIT HIT' }) or die "no cache\n";

###############################################################################

cached('/a');
cached('/b');
is(cached('/a'), 'HIT HIT HIT', 'stored');

my $events = events();

$pg->query("SELECT optcache.invalidate('uri', '/a')");
rows($_, 1) for @hosts[0, 1];
ok(wait_for(sub { events() == $events + 1 }), 'told');
ok(wait_for(sub { status_at(2, '/a') eq 'MISS' }),
    'also to who does not read it');
is(status_at(0, '/a'), 'HIT', 'stored again');
is(cached('/b'), 'HIT HIT HIT', 'and nothing else');

# many, more than wait for Redis

$pg->query("SELECT optcache.invalidate('tag', 't' || i)"
    . ' FROM generate_series(1, 3000) AS i');
ok(wait_for(sub { events() == $events + 3001 }, 30), 'many, and once');
rows($_, 3001) for @hosts[0, 1];
is(events(), $events + 3001, 'each');
is(cached('/b'), 'HIT HIT HIT', 'and nothing else');

# Redis is away

$redis->suspend();
$pg->query("SELECT optcache.invalidate('uri', '/b')");
rows($_, 3002) for @hosts[0, 1];
is(rows($hosts[0]) =~ tr/ //, 3001, 'Redis is away');
is(status_at(0, '/b', 'only-if-cached'), '504', 'but here it is in force');
$redis->resume();
ok(wait_for(sub { events() >= $events + 3002 }, 20), 'told later');

# no host was there

wait_for(sub { cached('/c') eq 'HIT HIT HIT' });
$_->stop() for @hosts;
$pg->query("SELECT optcache.invalidate('uri', '/c')");
$events = events();
$hosts[0]->run();
ok(listens($hosts[0], 2), 'a host begins');
ok(wait_for(sub { rows($hosts[0]) =~ / 3003$/ }, 30), 'and reads all');
is(status_at(0, '/c'), 'MISS', 'which Redis has, but it is no good');
is(events(), $events + 1, 'the others were told before');

###############################################################################

sub status_at {
    my ($i, $uri, $control) = @_;

    my $r = http_get($uri, port => $ports[$i],
                     headers => $control ? { 'Cache-Control' => $control }
                                         : {});

    return $control ? status($r) : header($r, 'X-Cache');
}


# Asks all hosts, twice.

sub cached {
    my ($uri) = @_;

    status_at($_, $uri) for 0 .. 2;

    return join ' ', map { status_at($_, $uri) } 0 .. 2;
}


# Events in the stream that say something.

sub events {
    my $events = $redis->cmd(qw/ XRANGE oc:invalidate - + /);

    return scalar grep { $_->[1][0] eq 'mark' } @$events;
}

###############################################################################
