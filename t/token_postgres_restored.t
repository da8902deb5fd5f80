#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rows of a dump have the numbers of transactions that they had: they are not
# missed because these are old, however they are restored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(7);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);
$pg->query(revoke("t$_")) for 1 .. 3;

my $whole = $pg->dump('--schema=optcache');
my $rows = $pg->dump(qw/ --schema=optcache --data-only
                      --disable-triggers /);

gateway($t, postgres => '"' . $pg->conninfo() . '"');
$t->run();

###############################################################################

is(enters('good', 't3'), 'refused', 'at first');

# the rows, into a table that is empty: twice, as the trigger is another one
# after the first time

for my $n (1, 2) {
    forget('TRUNCATE optcache.token_blacklist');
    is(enters("good$n", ()), 'refused', 'nobody is revoked');

    $pg->query($rows);
    ok(wait_for(sub { $redis->cmd('EXISTS', key('t3')) }), 'rows again');
}

# the table, which is there, and read, before its rows are, and its triggers

forget('DROP SCHEMA optcache CASCADE');

my ($table, $data, $triggers)
    = $whole =~ /^(.*?)(^INSERT .*?)(^ALTER TABLE ONLY .*)$/ms;

$pg->query($table);
is(enters('good3', ()), 'refused', 'nobody is revoked');

$pg->query($data . $triggers);
ok(wait_for(sub { $redis->cmd('EXISTS', key('t3')) }), 'the table again');

###############################################################################

sub forget {
    my ($sql) = @_;

    $pg->query($sql);
    $redis->cmd('FLUSHALL');
}
