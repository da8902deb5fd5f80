#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of several hosts one that says nothing, as if its packets were lost, does not
# keep the others from being tried: not from the beginning, nor when it was the
# one that was read.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(6);
my $pg = $t->run_postgres();
my $first = line($t, $pg, 5433);
my $third = line($t, $pg, 5435);

# the second one is a standby, if anybody asks it

$pg->save();
install($t, $pg);

my $standby = $pg->copy(5434);
$t->write_file("$standby->{data}/standby.signal", '');
$standby->launch();

my $ports = join ',', map { port($_) } 5433, 5434, 5435;

gateway($t, postgres => "host=127.0.0.1,127.0.0.1,127.0.0.1 port=$ports"
    . ' user=postgres dbname=postgres sslmode=disable connect_timeout=1'
    . ' target_session_attrs=read-write');

$first->set('stall');

###############################################################################

$t->run();

ok(listens($t), 'the first one says nothing');
like($t->error_log(), qr/is not there: connecting timed out/, 'which is told');
$pg->query(tags('a'));
is(rows($t, 1), '1', 'another one is read');

# now that one

$first->set('open');
$third->set('stall');
ok(listens($t, 2), 'it says nothing any more');
$pg->query(tags('b'));
is(rows($t, 2), '1 2', 'the first one is read');

is($t->log_count(qr/all is invalidated/), 0, 'nothing is lost');

###############################################################################
