#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The worker that reads the outbox is killed, or leaves: another one goes on
# from there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(14);
my $pg = $t->run_postgres();

install($t, $pg);
gateway($t, workers => 3, postgres => $pg->conninfo());
$t->run();

###############################################################################

ok(listens($t), 'listens');
is(backends(), 1, 'one of them');

$pg->query(tags('a'));
is(rows($t, 1), '1', 'at first');

for my $n (2 .. 3) {
    $t->kill_worker(reader());
    $pg->query(tags("b$n"));
    is(rows($t, $n), join(' ', 1 .. $n), 'killed');
    is(backends(), 1, 'another one');
}

# held up: two do it, and no harm is done

my $reader = reader();
kill 'STOP', $reader;
$pg->query(tags('c'));
is(rows($t, 4), '1 2 3 4', 'held up');
kill 'CONT', $reader;
ok(wait_for(sub { backends() == 1 }), 'and gives it up');

ok($t->reload(wait_old => 1), 'reloaded');
$pg->query(tags('d'));
like(rows($t, 5), qr/^1 2 3 4( 4)? 5$/, 'another one');
is(backends(), 1, 'one of them');

# its session is ended: the log tells by whom, not just that it is

$pg->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    . " WHERE application_name = 'nginx'");
ok($t->wait_for_log(
    qr/is not there: 57P01 terminating connection due to administrator/),
    'ended by hand');
$pg->query(tags('e'));
like(rows($t, 6), qr/ 6$/, 'and another begins');

###############################################################################

# Connections to the server but one's own.

sub backends {
    return $pg->query("SELECT count(*) FROM pg_stat_activity"
                      . " WHERE application_name = 'nginx'");
}


# The worker that began to read last.

sub reader {
    my @pids = $t->error_log() =~ /(\d+)#\d+: optcache postgres reads from/g;
    return $pids[-1];
}

###############################################################################
