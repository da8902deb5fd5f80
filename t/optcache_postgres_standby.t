#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A standby notifies nobody, which is said; when it takes over, with a new
# timeline, all rows that are kept are told again, and those that are new.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(8);
my $pg = $t->run_postgres();

install($t, $pg);
gateway($t, postgres => $pg->conninfo());
$t->run();

###############################################################################

ok(listens($t), 'listens');

$pg->query(tags('a'));
is(rows($t, 1), '1', 'at first');

$pg->stop();
$t->write_file("$pg->{data}/standby.signal", '');
$pg->launch();

ok($t->wait_for_log(qr/\[error\].*"optcache_postgres" is not there: it is a/,
    20), 'a standby');
is($pg->query('SELECT pg_promote()'), 't', 'promoted');
$pg->query(tags('b'));

ok($t->wait_for_log(qr/has a new timeline, or had a crash: all of optcache/,
    20), 'a new timeline');

like(rows($t, 3), qr/^1 1 \d+$/, 'all rows');

$pg->query(tags('c'));
is(scalar(split / /, rows($t, 4)), 4, 'and what is new');
is($t->log_count(qr/all is invalidated/), 0, 'nothing is lost');

###############################################################################
