#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A table that somebody has changed may hold anything: what cannot be
# a revocation is ignored, and how many these are is logged once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(24);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query($_) for (
    'ALTER TABLE optcache.token_blacklist DROP CONSTRAINT'
        . ' token_blacklist_key_check',
    'ALTER TABLE optcache.token_blacklist DROP CONSTRAINT'
        . ' token_blacklist_key_key',
    'ALTER TABLE optcache.token_blacklist ALTER key DROP NOT NULL',
    'ALTER TABLE optcache.token_blacklist ALTER expires DROP NOT NULL',
);

gateway($t, postgres => '"' . $pg->conninfo() . '"',
    server => 'token_blacklist_key "blacklist:$token_digest";'
              . 'token_blacklist_key "user:$arg_user";');
$t->run();

enters('good');

###############################################################################

# one at a time, with a good one behind each

my $n = 0;

for my $case (
    ['NULL', 'now() + interval \'1 hour\'', 'no key'],
    ["''", 'now() + interval \'1 hour\'', 'an empty key'],
    ["repeat('blacklist:x', 100)", 'now() + interval \'1 hour\'', 'too long'],
    ["'blacklist:' || repeat(md5(random()::text), 90000)",
        'now() + interval \'1 hour\'', 'huge'],
    ["'blacklist:never'", 'NULL', 'no time'],
    ["'rl:{fleet}'", 'now() + interval \'1 hour\'', 'a key of the limiter'],
    ["'session:1'", 'now() + interval \'1 hour\'', 'a key of others'],
    ["'blacklist'", 'now() + interval \'1 hour\'', 'nearly a key'],
) {
    my ($key, $expires, $name) = @$case;

    $n++;
    $pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
        . " VALUES ($key, $expires), ('" . key("good$n")
        . "', now() + interval '1 hour')");

    ok(wait_for(sub { $redis->cmd('EXISTS', key("good$n")) }),
        "what is beside: $name");
    ok(wait_for(sub {
        $t->log_count(qr/1 rows of optcache.token_blacklist are ignored/) == $n
    }), "ignored: $name");
}

is_deeply([grep { !/^(rl:.postgres.*|blacklist:[0-9a-f]{64})$/ }
           @{ $redis->cmd('KEYS', '*') }], [], 'nothing else is written');

# of any bytes a key is taken literally

$pg->query("INSERT INTO optcache.token_blacklist (key, expires) VALUES"
    . " (E'user:a\\r\\nSET x y\\r\\n''\"\\\\%s\\u00e9', 'infinity'),"
    . " ('user:b', '294276-01-01'), ('user:c', '-infinity'),"
    . " ('user:d', '4713-01-01 BC')");

ok(wait_for(sub { $redis->cmd('EXISTS', 'user:b') }), 'any bytes');
is($redis->cmd('EXISTS',
    "user:a\r\nSET x y\r\n'\"\\%s\xc3\xa9"), 1, 'literally');
is($redis->cmd('EXISTS', qw/ x user:c user:d /), 0, 'and no more');

# all at once, when all is written again

my $rows = $pg->query('SELECT count(*) FROM optcache.token_blacklist');
$redis->cmd('FLUSHALL');
is(enters('good9'), 'refused', 'believed again');
is($t->log_count(qr/$n rows of optcache.token_blacklist are ignored/), 1,
    'ignored again');
ok(wait_for(sub {
    $pg->query('SELECT count(*) FROM optcache.token_blacklist') == $rows - 2
}, 20), 'expired ones are deleted');

my @told = $t->error_log() =~ /token_blacklist .*? (md5|session|never)/g;
is(scalar @told, 0, 'no key is logged');

###############################################################################
