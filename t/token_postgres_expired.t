#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Expired rows are deleted, not too many at once, and beside each other by all
# hosts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(6);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
    . " SELECT 'blacklist:' || i, now() - interval '1 minute'"
    . " FROM generate_series(1, 2500) i");
$pg->query(revoke('good'));

# how many each statement has deleted; one row cannot be had

$pg->query($_) for (
    'CREATE TABLE deleted (n bigint)',
    'CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN'
        . ' INSERT INTO deleted SELECT count(*) FROM old; RETURN NULL; END $$',
    'CREATE TRIGGER note AFTER DELETE ON optcache.token_blacklist'
        . ' REFERENCING OLD TABLE AS old'
        . ' FOR EACH STATEMENT EXECUTE FUNCTION note()',
);

open my $session, '|-', 'psql', '-XAtq', $pg->conninfo() or die "psql: $!\n";
$session->autoflush(1);
print $session "BEGIN;\n\\o /dev/null\nSELECT 1 FROM optcache.token_blacklist"
               . " WHERE key = 'blacklist:7' FOR UPDATE;\n";
wait_for(sub {
    $pg->query("SELECT count(*) FROM pg_stat_activity"
               . " WHERE state = 'idle in transaction' AND query LIKE '%7%'");
});

gateway($t, postgres => '"' . $pg->conninfo() . '"');
$t->run();

###############################################################################

ok(wait_for(sub {
    $pg->query('SELECT count(*) FROM optcache.token_blacklist') == 2
}, 20), 'all are deleted, but what somebody has, and what has not expired');

is($pg->query('SELECT n FROM deleted WHERE n > 0'), "1000\n1000\n499",
    'some at a time');

is(status(get('/x', 'good')), 401, 'a good one stays');
is($redis->cmd('EXISTS', map { "blacklist:$_" } 1 .. 2500), 0,
    'Redis is not told of expired ones');

print $session "COMMIT;\n";
close $session;

ok(wait_for(sub {
    $pg->query('SELECT count(*) FROM optcache.token_blacklist') == 1
}, 30), 'the last one');
is(rows($pg, 'good'), 1, 'a good one stays');

###############################################################################
