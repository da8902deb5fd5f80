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
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(8);
my $pg = $t->run_postgres();
my $line = line($t, $pg, 5433);

install($t, $pg);

$pg->query($_) for (
    'CREATE ROLE nginx LOGIN',
    'GRANT USAGE ON SCHEMA optcache TO nginx',
    'GRANT SELECT ON optcache.outbox, optcache.outbox_cleaned TO nginx',
    'GRANT EXECUTE ON FUNCTION optcache.outbox_identity(),'
        . ' optcache.cleanup(interval) TO nginx',
);

$pg->set_traps('nginx');

my $conninfo = 'host=127.0.0.1 dbname=postgres user=nginx sslmode=disable';

open my $role, '-|', 'psql', '-XAtq', "$conninfo port=" . $pg->port_number(),
    '-c', 'SELECT length(left($$abc$$, 2))' or die "psql: $!\n";
my @answer = <$role>;
close $role;

isnt($pg->trapped('nginx'), '', 'there are traps');
$pg->query('TRUNCATE public.called');

gateway($t, postgres => "$conninfo port=" . port(5433));
$t->run();

###############################################################################

ok(listens($t), 'listens');

# that which was read is of the first page and another one

$pg->query(tags(1 .. 300));
is(scalar(split / /, rows($t, 300)), 300, 'reads');

ok(wait_for(sub {
    $pg->query('SELECT count(*) FROM optcache.outbox_mark')
}), 'cleans up');

# what is asked by one that has read before

$line->set('cut');
ok($t->wait_for_log(qr/is not there/), 'cut');
$line->set('open');
ok(listens($t, 2), 'listens again');
$pg->query(tags('b'));
like(rows($t, 301), qr/ 301$/, 'reads on');

is($pg->trapped('nginx'), '', 'calls none of them');

###############################################################################
