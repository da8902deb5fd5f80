#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A cluster of which one server has lost its revocations: what that one says is
# not believed before it has been told of all again, what others say is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(20);

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);
my $pg = $t->run_postgres();

install($t, $pg);

# revoked ones and others, of each master; none that is asked for is remembered

my (%bad, %good);

for my $i (1 .. 2000) {
    push @{ $bad{master("bad$i")} }, "bad$i";
    push @{ $good{master("good$i")} }, "good$i";
}

$pg->query("SELECT optcache.token_revoke('blacklist:'"
    . " || encode(sha256(('bad' || i)::bytea), 'hex'),"
    . " now() + interval '1 hour') FROM generate_series(1, 2000) i");

gateway($t, workers => 2, postgres => '"' . $pg->conninfo() . '"',
    redis => 'redis://127.0.0.1:7000 cluster');
$t->run();

###############################################################################

for my $n (0 .. 2) {
    is(enters(fresh($n), bad($n)), 'refused', "server $n");
}

is(scalar(grep { /^blacklist:/ } $cluster->keys('*')), 2000, 'all of them');
is(scalar(grep { /^rl:\{postgres\d+\}:[0-9a-f]{16}$/ } $cluster->keys('rl:*')),
    16384, 'a marker of each slot');
is(scalar(grep { /postgres/ } $cluster->keys('rl:*')), 16384, 'and no more');

# new rows

$pg->query(revoke($_)) for qw/ n1 n2 n3 n4 /;
ok(wait_for(sub { status(get('/x', $_)) == 401 }), "a new row, $_")
    for qw/ n1 n2 n3 n4 /;

# one is emptied

$cluster->node(1)->cmd('FLUSHALL');
is(status(get('/x', fresh(0))), 200, 'another is believed');
is(enters(fresh(1), bad(1), bad(2)), 'refused', 'emptied');
is(scalar(grep { /^blacklist:/ } $cluster->keys('*')), 2004, 'all are back');

# one is restarted, and empty

$cluster->node(2)->restart();
is(enters(fresh(2), bad(2), bad(0)), 'refused', 'restarted');
ok(wait_for(sub { (grep { /^blacklist:/ } $cluster->keys('*')) == 2004 }),
    'all are back');

# one is restarted with an old snapshot

$cluster->node(0)->cmd('SAVE');
my ($young) = grep { master($_) == 0 } map { "young$_" } 1 .. 100;
$pg->query(revoke($young));
ok(wait_for(sub { status(get('/x', $young)) == 401 }), 'a young one');
$cluster->node(0)->restart();
ok(wait_for(sub { eval { $cluster->node(0)->cmd('EXISTS', key($young)) } },
    20), 'is back soon');

# a slot on its way

my $slot = $cluster->slot(key('n1'));
my ($from) = grep { $_ == $cluster->master($slot) } $cluster->nodes();
my ($to) = grep { $_ != $from } $cluster->nodes();

$cluster->begin($slot, $from, $to);
is(status(get('/x', 'n1')), 401, 'on its way');
$cluster->move($slot, $from, $to);
is(status(get('/x', 'n1')), 401, 'moved');
$cluster->end($slot, $from, $to);
is(status(get('/x', 'n1')), 401, 'there');

###############################################################################

# the number of the master of a token

sub master {
    my $slot = $cluster->slot(key($_[0]));
    return $slot < 5461 ? 0 : $slot < 10923 ? 1 : 2;
}


sub fresh {
    my ($n) = @_;
    return shift @{ $good{$n} };
}


# three that have not been asked for

sub bad {
    my ($n) = @_;
    return splice @{ $bad{$n} }, 0, 3;
}

###############################################################################
