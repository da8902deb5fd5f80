#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where notifications do not come, because of somebody in between who lends
# connections by transactions, that is found out, said once, and the outbox is
# read each second.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(17);
my $pg = $t->run_postgres();
my $line = line($t, $pg, 5433);

install($t, $pg);

my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");

my $deaf = qr/\[warn\].*does not deliver notifications, is there a pooler/;
my $pooler = qr/\[warn\].*is behind a pooler, which may lose notifications/;
my $again = qr/\[notice\].*delivers notifications again after \d+ms/;

###############################################################################

# from the beginning

$line->set('deaf');
$t->run();

ok(listens($t), 'reads');
ok($t->wait_for_log($deaf), 'no notification comes');

$pg->query(tags('a'));
is(rows($t, 1), '1', 'it is read');
$pg->query(tags('b'));
is(rows($t, 2), '1 2', 'again and again');

# connected once more, it is not told again

$line->set('cut');
ok($t->wait_for_log(qr/is not there/), 'cut');
$line->set('deaf');
ok(listens($t, 2), 'connected once more');
$pg->query(tags('c'));
is(rows($t, 3), '1 2 3', 'it is read');
is($t->log_count($deaf), 1, 'said once');

# now it does

cut();
$line->set('open');
ok($t->wait_for_log($again), 'notifications come');

# not any more, without a word

$line->set('deaf');
$pg->query(tags('d'));
is(rows($t, 4), '1 2 3 4', 'looked for');
ok(wait_for(sub { $t->log_count($deaf) == 2 }), 'found out');

$line->set('open');
$pg->query(tags('e'));
ok(wait_for(sub { $t->log_count($again) == 2 }), 'notified');

# the server is not who it said it was

is($t->log_count($pooler), 0, 'no pooler yet');

my $n = $t->log_count(qr/optcache postgres reads from/);
cut();
$line->set('pool');
ok(listens($t, $n + 1), 'a pooler');
is($t->log_count($pooler), 1, 'which is told');

my $looks = $t->log_count(qr/optcache postgres looks/);
ok(wait_for(sub {
    $t->log_count(qr/optcache postgres looks/) >= $looks + 3
}, 4), 'is not trusted to notify');
is($t->log_count($deaf), 2, 'nothing is known to be lost');

###############################################################################

# Until the host has seen it, whatever it was told before.

sub cut {
    my $n = $t->log_count(qr/is not there/);

    $line->set('cut');
    wait_for(sub { $t->log_count(qr/is not there/) > $n }, 30);
}
