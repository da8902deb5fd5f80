#!/usr/bin/perl

# Copyright (C) The Optcache authors

# While the tables are locked by somebody else, processes of the server that
# nginx has left give up, rather than to wait for the lock with all those of
# later connections.  A limit that the role has is left alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')
                          ->has_program(qw/ redis-server postgres /)->plan(7);
my $pg = $t->run_postgres();

install($t, $pg);
$pg->query($t->read_file($t->source_dir() . '/docs/token_blacklist.sql'));
$pg->query('CREATE ROLE patient SUPERUSER LOGIN;'
    . " ALTER ROLE patient SET lock_timeout = '1h'");

$t->run_redis();

my $patient = $pg->conninfo() =~ s/user=\w+/user=patient/r;

gateway($t, postgres => $pg->conninfo() . ' application_name=outbox',
    http => 'ratelimit_redis_server redis://127.0.0.1:6379;'
        . " token_blacklist_postgres \"$patient application_name=tokens\";"
        . ' token_blacklist on;');
$t->run();

###############################################################################

ok(listens($t), 'reads');

open my $session, '|-', 'psql', '-Xq', $pg->conninfo() or die "psql: $!\n";
say_to($session, 'BEGIN;'
    . ' LOCK TABLE optcache.outbox, optcache.token_blacklist;');

my $first = wait_for(sub { (waiting('outbox'))[0] });
my $other = wait_for(sub { (waiting('tokens'))[0] });

ok($first, 'waits for the lock');
ok($other, 'as does another');
ok($t->wait_for_log(qr/"optcache_postgres" is not there: a query timed out/,
    20), 'is left');
ok(wait_for(sub { !grep { $_ == $first } waiting('outbox') }, 30), 'gives up');
ok((grep { $_ == $other } waiting('tokens')), 'but as the role has it');

say_to($session, 'ROLLBACK;');
close $session;

$pg->query(tags('a'));
is(rows($t, 1), '1', 'and then goes on');

###############################################################################

# Processes of the server that wait for a lock.

sub waiting {
    my ($name) = @_;

    return split /\n/, $pg->query('SELECT pid FROM pg_stat_activity'
        . " WHERE application_name = '$name' AND wait_event_type = 'Lock'");
}
