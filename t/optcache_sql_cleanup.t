#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: who may not clean the outbox does not keep others from it;
# of several that do, one deletes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Handle;
use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has_program('postgres')->plan(4);
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query($_) for (
    'CREATE ROLE app', 'GRANT USAGE ON SCHEMA optcache TO app',
    "SELECT optcache.invalidate('tag', 'a')", "SELECT optcache.cleanup('0')",
);

###############################################################################

# somebody who may do nothing, with all the locks he can get

my $oid = $pg->query("SELECT 'optcache.outbox'::regclass::oid");
my $app = session('SET ROLE app;'
    . " SELECT pg_advisory_lock(hashtext('optcache'), $oid);");

like(refused('SET ROLE app; LOCK TABLE optcache.outbox_mark'
        . ' IN ACCESS SHARE MODE'), qr/permission denied/, 'no lock for all');

$pg->query("SELECT optcache.invalidate('tag', 'b')");
mark();
is($pg->query("SELECT optcache.cleanup('0')"), 1, 'deleted');

close $app;

# another one that cleans

$pg->query("SELECT optcache.invalidate('tag', 'c')");
mark();

my $other = session("BEGIN; SELECT optcache.cleanup('0');");

is($pg->query("SELECT optcache.cleanup('0')"), 0, 'not both at once');

print $other "COMMIT;\n";
close $other;

is($pg->query('SELECT count(*) FROM optcache.outbox'), 0, 'but one of them');

###############################################################################

# What is visible now will be taken for old.

sub mark {
    $pg->query('DELETE FROM optcache.outbox_mark;'
               . ' INSERT INTO optcache.outbox_mark (snapshot)'
               . ' SELECT txid_current_snapshot()');
}


# psql that has done this, and waits.

sub session {
    my ($sql) = @_;

    open my $session, '|-', 'psql', '-XAtq', $pg->conninfo()
        or die "psql: $!\n";
    $session->autoflush(1);
    print $session "\\o /dev/null\n$sql SELECT pg_notify('done', '');\n";

    wait_for(sub {
        $pg->query("SELECT count(*) FROM pg_stat_activity"
                   . " WHERE state LIKE 'idle%' AND query LIKE '%done%'"
                   . ' AND pid <> pg_backend_pid()');
    });

    return $session;
}


sub refused {
    my ($sql) = @_;

    return eval { $pg->query($sql); 1 } ? '' : $@;
}

###############################################################################
