#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: an outbox that was restored into a cluster with lower
# numbers of transactions has no rows, marks or deletions of the future, and
# loses none of the present.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has_program('postgres')->plan(8);
my $pg = $t->run_postgres();
my $other = $t->run_postgres(port => 5433);

# an outbox that rows were deleted from, and its dump

install($t, $pg);
later(3000);
$pg->query("SELECT optcache.invalidate('tag', 'deleted')");
$pg->query('SELECT optcache.cleanup()');
aged($pg, 2);
$pg->query("SELECT optcache.invalidate('tag', 'dumped')");
$pg->query('SELECT optcache.cleanup()');
aged($pg, 2);

is(state($pg), '1 rows, 2 marks, 1 cleaned', 'before');

my $dump = $t->testdir() . '/dump.sql';
my $pg_dump = Test::Nginx::Postgres::program('pg_dump');

system("$pg_dump -d '" . $pg->conninfo() . "' >$dump") == 0
    or die "pg_dump failed\n";

restore($other, 'postgres');

###############################################################################

# in another cluster

cmp_ok($other->query('SELECT min(txid_snapshot_xmax(snapshot))'
        . ' - txid_snapshot_xmax(txid_current_snapshot())'
        . ' FROM optcache.outbox_mark'), '>', 1000, 'marks of the future');

$other->query("SELECT optcache.invalidate('tag', 'new')");
is($other->query("BEGIN; SELECT optcache.invalidate('tag', 'newer');"
        . ' SELECT optcache.cleanup(); COMMIT'), "\n0", 'what is new is kept');
is($other->query('SELECT string_agg(value, \' \' ORDER BY id)'
        . ' FROM optcache.outbox'), 'new newer', 'and nothing else');
is(state($other), '2 rows, 1 marks, 0 cleaned', 'nor anything of the future');

# as if many transactions had come and gone before anybody cleaned

$other->query('INSERT INTO optcache.outbox_mark (made, snapshot)'
    . " SELECT now() - interval '2 days', txid_current_snapshot()");
is($other->query('SELECT optcache.cleanup()'), 0,
    'a mark does not make a row older than it is');

# in another database of the same cluster

$pg->query('CREATE DATABASE copy TEMPLATE template0');
restore($pg, 'copy');
$pg->query("SELECT optcache.invalidate('tag', 'new')", 'copy');
is($pg->query('SELECT optcache.cleanup()', 'copy'), 1, 'of the same');
is($pg->query('SELECT value FROM optcache.outbox', 'copy'), 'new',
    'where marks are still good');

###############################################################################

# A cluster that has given away more numbers.

sub later {
    my ($n) = @_;

    $pg->query("DO 'BEGIN FOR i IN 1 .. $n LOOP PERFORM txid_current();"
               . " COMMIT; END LOOP; END'");
}


# Days go by.

sub aged {
    my ($pg, $days) = @_;

    $pg->query("UPDATE optcache.outbox SET created = created - interval '$days d';"
        . " UPDATE optcache.outbox_mark SET made = made - interval '$days d'");
}


sub restore {
    my ($pg, $database) = @_;

    system("psql -XAtq -v ON_ERROR_STOP=1 -f $dump '"
           . $pg->conninfo('tcp', $database) . "' >/dev/null") == 0
        or die "psql failed\n";
}


sub state {
    my ($pg) = @_;

    return $pg->query(
        "SELECT format('%s rows, %s marks, %s cleaned',"
        . ' (SELECT count(*) FROM optcache.outbox),'
        . ' (SELECT count(*) FROM optcache.outbox_mark),'
        . ' (SELECT count(*) FROM optcache.outbox_cleaned))');
}

###############################################################################
