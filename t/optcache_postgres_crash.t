#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server whose processes were killed gives away numbers of transactions again
# that it had not written down: what is invalidated by them is not missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(5);
my $pg = $t->run_postgres(args => ['-c', 'wal_writer_delay=10s']);

install($t, $pg);

my $line = line($t, $pg, 5433);
my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");
$t->run();

###############################################################################

ok(listens($t), 'reads');

$pg->query(tags('a'));
is(rows($t, 1), '1', 'told of a row');

my $looks = $t->log_count(qr/optcache postgres looks/);

$pg->lose_numbers(200, 'optcache');
ok(wait_for(sub {
    $t->log_count(qr/optcache postgres looks/) > $looks
}), 'looked');
sleep 1;

$line->set('cut');
$pg->crash();

$pg->query(tags('b'));
$pg->lose_numbers(300, 'other');
$line->set('open');

like(rows($t, 3), qr/^1 1 \d+$/, 'told of all, and of another');
unlike($t->error_log(), qr/all is invalidated/, 'and of no more');

###############################################################################
