#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever may create functions and operators where nginx's role would look for
# them first has none of them called by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(8);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query($_) for (
    'CREATE ROLE nginx LOGIN',
    'GRANT USAGE ON SCHEMA optcache TO nginx',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON optcache.token_blacklist'
        . ' TO nginx',
    revoke('row'),
    'INSERT INTO optcache.token_blacklist (key, since, expires) VALUES'
        . " ('blacklist:a', now(), 'infinity'),"
        . " ('blacklist:b', '-infinity', now() + interval '1 hour'),"
        . " ('blacklist:c', 'infinity', now() + interval '1 hour'),"
        . " ('blacklist:d', NULL, now())",
);

# what token_revoke() itself compares is not nginx's business

$pg->set_traps('nginx', '>(timestamptz,timestamptz)');

gateway($t, postgres => '"host=127.0.0.1 port=' . $pg->port_number()
    . ' dbname=postgres user=nginx sslmode=disable"');
$t->run();

###############################################################################

is(enters('good', 'row'), 'refused', 'all rows are read');

$pg->query(revoke('later'));
ok(wait_for(sub { $redis->cmd('EXISTS', key('later')) }), 'and a new one');

is(status(post('/logout', 'here')), 204, 'logout');
ok(wait_for(sub { rows($pg, 'here') }), 'stored');
ok(wait_for(sub {
    !$pg->query("SELECT count(*) FROM optcache.token_blacklist"
                . " WHERE key = 'blacklist:d'")
}, 20), 'what has expired is deleted');

cmp_ok($redis->cmd('PTTL', key('later')), '<=', 3601000, 'for an hour');
cmp_ok($redis->cmd('PTTL', key('later')), '>', 3500000, 'for no less');

is($pg->trapped('nginx'), '', 'calls none of them');

###############################################################################
