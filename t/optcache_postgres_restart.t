#!/usr/bin/perl

# Copyright (C) The Optcache authors

# PostgreSQL restarts, or cannot be reached, for a while or without a word:
# rows that are committed meanwhile are told when it is back, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(16);
my $pg = $t->run_postgres();
my $line = line($t, $pg, 5433);

install($t, $pg);

my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");
$t->run();

###############################################################################

ok(listens($t), 'listens');

# a restart leaves out some numbers

my @ids;

change('a');
is(rows($t, 1), "@ids", 'at first');

# restarted

$pg->stop();
$pg->launch();
change('b');
is(rows($t, 2), "@ids", 'restarted');

# cut

$line->set('cut');
ok($t->wait_for_log(qr/\[error\].*"optcache_postgres" is not there/), 'cut');
change('c');
change('d');
$line->set('open');
is(rows($t, 4), "@ids", 'what was committed meanwhile');

# silent

$line->set('stall');
change('e');
ok($t->wait_for_log(qr/"optcache_postgres" is not there: a query timed out/,
    30), 'silent');
$line->set('open');
is(rows($t, 5), "@ids", 'what was committed meanwhile');
is($t->log_count(qr/is back/), 3,
    'the end of each outage is told of');
is($t->log_count(qr/all is invalidated/), 0, 'nothing was missed');

# rows were deleted that were not read

$line->set('cut');
$pg->query(tags('f'));
$pg->query('SELECT optcache.cleanup()');
$pg->query("SELECT optcache.cleanup('0')");
is($pg->query('SELECT count(*) FROM optcache.outbox'), 0, 'deleted');
$line->set('open');
ok($t->wait_for_log(qr/were not read are deleted: all is invalidated/),
    'which is found out');
change('g');
is(rows($t, 6), "@ids", 'and on from there');

# the table is as it was at an earlier time

$line->set('cut');
$pg->query('DELETE FROM optcache.outbox');
$line->set('open');
ok($t->wait_for_log(qr/rows that were read are not there: all is/, 20),
    'rows are gone');

# or another one

$line->set('cut');
$pg->query('DROP SCHEMA optcache CASCADE');
install($t, $pg);
$pg->query(tags('h'));
$line->set('open');
ok($t->wait_for_log(qr/the table is another one: all is/, 20), 'another one');
change('i');
is(rows($t, 7), "@ids", 'and on from there');
is($t->log_count(qr/all is invalidated/), 3, 'three times');

###############################################################################

sub change {
    $pg->query(tags(@_));
    push @ids, $pg->query('SELECT max(id) FROM optcache.outbox');
}

###############################################################################
