#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Revocations are in PostgreSQL too: rows reach Redis, and what is revoked here
# becomes a row.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(25);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg) for 1 .. 2;
$pg->query(revoke('before'));

gateway($t, workers => 2, postgres => '"' . $pg->conninfo() . '"');
$t->run();

###############################################################################

is(enters('good', 'before'), 'refused', 'a row of before');

is($redis->cmd('GET', key('before')), 1, 'its key');
cmp_ok($redis->cmd('TTL', key('before')), '>', 3500, 'its time');
cmp_ok($redis->cmd('TTL', key('before')), '<=', 3601, 'and no longer');

my @markers = @{ $redis->cmd('KEYS', 'rl:{postgres}:*') };
is(scalar @markers, 1, 'a marker');
is($redis->cmd('GET', $markers[0]), $redis->info('run_id'), 'of this run');
cmp_ok($redis->cmd('TTL', $markers[0]), '>', 86000, 'that lives');

# new rows

is(status(get('/x', 'later')), 200, 'before the row');
$pg->query(revoke('later'));
ok(wait_for(sub { status(get('/x', 'later')) == 401 }), 'a new row');

$pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
    . " VALUES ('" . key('plain') . "', 'infinity')");
ok(wait_for(sub { status(get('/x', 'plain')) == 401 }), 'an insert');
cmp_ok($redis->cmd('TTL', key('plain')), '>', 300_000_000, 'for very long');

# a row that lasts for longer

$pg->query("UPDATE optcache.token_blacklist SET expires = now() + '1 day'"
    . " WHERE key = '" . key('later') . "'");
ok(wait_for(sub { $redis->cmd('TTL', key('later')) > 80000 }), 'an update');

# and never for less than what others say

$redis->cmd('SET', key('forever'), 'x');
$redis->cmd('HSET', key('hash'), 'by', 'admin');
$redis->cmd('SETEX', key('long'), 7200, 'x');
$pg->query(join ';', map { revoke($_) } qw/ forever hash long last /);
ok(wait_for(sub { $redis->cmd('EXISTS', key('last')) }), 'all were written');
is($redis->cmd('TTL', key('forever')), -1, 'for ever');
is($redis->cmd('TYPE', key('hash')), 'hash', 'a key of any type');
cmp_ok($redis->cmd('TTL', key('long')), '>', 7000, 'for longer');
is($redis->cmd('GET', key('long')), 'x', 'as it was');

# a deleted row is not forgotten by Redis

$pg->query("DELETE FROM optcache.token_blacklist WHERE key = '"
    . key('later') . "'");
is(status(get('/x', 'later')), 401, 'a deleted row');

# what is revoked here

is(status(post('/logout', 'here')), 204, 'logout');
ok(wait_for(sub { rows($pg, 'here') == 1 }), 'becomes a row');
cmp_ok($pg->query("SELECT count(*) FROM optcache.token_blacklist"
    . " WHERE expires BETWEEN now() + interval '29 days 23 hours'"
    . " AND now() + interval '30 days'"), '==', 1, 'for a month');
is(status(post('/logout', 'here')), 204, 'logout again');
is(status(post('/logout', 'there')), 204, 'and of another');
ok(wait_for(sub { rows($pg, 'there') == 1 }), 'is a row');
is(rows($pg, 'here'), 1, 'and one is enough');

###############################################################################
