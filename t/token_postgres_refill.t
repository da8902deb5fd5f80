#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that has lost revocations, or some of them, is not believed before it
# has been told of all: nobody who was revoked is let in meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(22);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

# more than are written at once

$pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
    . " SELECT 'blacklist:' || i, now() + interval '1 hour'"
    . " FROM generate_series(1, 1000) i");

$pg->query(revoke($_)) for qw/ a b /;

gateway($t, workers => 2, postgres => '"' . $pg->conninfo() . '"');
$t->run();

###############################################################################

is(enters('good', qw/ a b /), 'refused', 'at first');
is($redis->cmd('DBSIZE'), 1003, 'all of them, and the marker');

# emptied

for (1 .. 3) {
    $redis->cmd('FLUSHALL');
    is(enters("good$_", qw/ a b /), 'refused', 'emptied');
    is($redis->cmd('DBSIZE'), 1003, 'all of them are back');
}

# emptied while it is written

for my $round (1 .. 10) {
    $redis->cmd('FLUSHALL');
    wait_for(sub { $redis->cmd('DBSIZE') > 100 * ($round - 1) });
}

$redis->cmd('FLUSHALL');
is(enters('good0', qw/ a b /), 'refused', 'emptied again and again');
is($redis->cmd('DBSIZE'), 1003, 'all of them are back');

# killed, and empty

$redis->restart();
is(enters('good4', qw/ a b /), 'refused', 'restarted');
is($redis->cmd('DBSIZE'), 1003, 'all of them are back');

# with an old snapshot: the marker is there, the youngest revocation is not

$redis->cmd('SAVE');
$pg->query(revoke('young'));
ok(wait_for(sub { status(get('/x', 'young')) == 401 }), 'a young one');
$redis->restart();
is($redis->cmd('EXISTS', key('a')), 1, 'a snapshot');
is(enters('good5', qw/ a young /), 'refused', 'without it');
is($redis->cmd('EXISTS', key('young')), 1, 'which is back');

# the marker alone

my ($marker) = @{ $redis->cmd('KEYS', 'rl:{postgres}:*') };
$redis->cmd('DEL', $marker);
is(status(get('/x', 'young')), 401, 'what is there refuses');
is(status(get('/x', 'other')), 503, 'what is not says nothing');
is(status(get('/allow', 'other2')), 200, 'and is let in if that is asked for');
is(enters('good6', 'a'), 'refused', 'until the marker is back');

# the data of another server

$redis->cmd('SET', $marker, 'f' x 40);
ok(wait_for(sub { $redis->cmd('GET', $marker) eq $redis->info('run_id') }),
    'a marker of another run');

$redis->cmd('EVAL', "redis.call('DEL', KEYS[1])"
    . " return redis.call('LPUSH', KEYS[1], 'x')", 1, $marker);
ok(wait_for(sub { $redis->cmd('TYPE', $marker) eq 'string' }),
    'a marker of another type');

###############################################################################
