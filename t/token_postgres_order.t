#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rows are found by the transaction that wrote them: one that began early and
# is committed late is not missed, whatever its number is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Handle;
use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(16);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

gateway($t, postgres => '"' . $pg->conninfo() . '"');
$t->run();

is(enters('good'), 'refused', 'believed');

###############################################################################

my $slow = session();

say_to($slow, 'BEGIN; ' . revoke('slow') . ';');
ok(wait_for(sub { waiting() }), 'a transaction begins');

$pg->query(revoke('fast'));
ok(wait_for(sub { $redis->cmd('EXISTS', key('fast')) }), 'another is done');

# a look in between, and one more

sleep 2;
$pg->query(revoke('faster'));
ok(wait_for(sub { $redis->cmd('EXISTS', key('faster')) }), 'and one more');
is($redis->cmd('EXISTS', key('slow')), 0, 'not committed');

say_to($slow, 'COMMIT;');
ok(wait_for(sub { $redis->cmd('EXISTS', key('slow')) }), 'committed');

# more rows than are written at once, of one transaction, and without a word

$pg->query('ALTER TABLE optcache.token_blacklist'
    . ' DISABLE TRIGGER token_blacklist_notify');
$pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
    . " SELECT 'blacklist:' || i, now() + interval '1 hour'"
    . " FROM generate_series(1, 1000) i");
ok(wait_for(sub { $redis->cmd('DBSIZE') == 1004 }), 'not notified');

# of a transaction that is rolled back nothing is seen

say_to($slow, 'BEGIN; ' . revoke('never') . '; ROLLBACK;');
say_to($slow, revoke('end') . ';');
ok(wait_for(sub { $redis->cmd('EXISTS', key('end')) }), 'the next');
is($redis->cmd('EXISTS', key('never')), 0, 'rolled back');

# while a transaction is open for long, what was read since is let alone

say_to($slow, 'BEGIN; ' . revoke('open') . ';'
    . ' INSERT INTO optcache.token_blacklist (key, expires)'
    . " SELECT 'blacklist:open' || i, now() + interval '1 hour'"
    . ' FROM generate_series(1, 600) i;');
ok(wait_for(sub { waiting() }), 'one is open');

$pg->query("INSERT INTO optcache.token_blacklist (key, expires)"
    . " SELECT 'blacklist:since' || i, now() + interval '1 hour'"
    . " FROM generate_series(1, 5000) i");
wait_for(sub { $redis->cmd('EXISTS', 'blacklist:since5000') });

my $looked_at = looked_at();

for my $n (1 .. 10) {
    $pg->query(revoke("new$n"));
    wait_for(sub { $redis->cmd('EXISTS', key("new$n")) });
}

cmp_ok(looked_at() - $looked_at, '<', 5000, 'only new rows are looked at');

say_to($slow, 'COMMIT;');
ok(wait_for(sub { $redis->cmd('EXISTS', key('open')) }), 'it is committed');
ok(wait_for(sub {
    $redis->cmd('EXISTS', map { "blacklist:open$_" } 1 .. 600) == 600
}), 'all of it');

# rows that have the number of another server's transaction, and come without
# the trigger

$pg->query('ALTER TABLE optcache.token_blacklist'
    . ' DISABLE TRIGGER token_blacklist_stamp;'
    . ' INSERT INTO optcache.token_blacklist (key, expires, xact)'
    . " VALUES ('" . key('restored') . "', 'infinity', '99999999')");
ok(wait_for(sub { $redis->cmd('EXISTS', key('restored')) }), 'of a dump');
my $evals = $redis->calls('set');
sleep 3;
cmp_ok($redis->calls('set') - $evals, '<=', 1, 'is not written all the time');
$redis->cmd('FLUSHALL');
is(enters('good2', 'restored'), 'refused', 'but when all is');

###############################################################################

sub session {
    open my $fh, '|-', 'psql', '-XAtq', $pg->conninfo() or die "psql: $!\n";
    $fh->autoflush(1);
    return $fh;
}


sub say_to {
    my ($session, $text) = @_;
    print $session "\\o /dev/null\n$text\n";
}


# Counted for good when a session ends.

sub looked_at {
    my $nginx = "FROM pg_stat_activity WHERE application_name = 'nginx'";
    my ($pid) = split /\n/, $pg->query("SELECT pid $nginx");

    $pg->query("SELECT pg_terminate_backend($pid)");
    wait_for(sub { !$pg->query("SELECT count(*) $nginx AND pid = $pid") });

    return $pg->query('SELECT seq_tup_read + idx_tup_fetch'
        . ' FROM pg_stat_user_tables'
        . " WHERE relid = 'optcache.token_blacklist'::regclass");
}


sub waiting {
    return $pg->query("SELECT count(*) FROM pg_stat_activity"
                      . " WHERE state = 'idle in transaction'");
}

###############################################################################
