#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of several hosts each tells why it is not there, in one line: the first one
# refuses, and what has to be mended is in what the second says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(3);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);
$pg->query("CREATE ROLE nginx LOGIN PASSWORD 'SECRET'");

$t->write_file("$pg->{data}/pg_hba.conf", <<'EOH');
local all postgres trust
host all nginx all scram-sha-256
EOH
$pg->query('SELECT pg_reload_conf()');

my $absent = port(5433);
my $port = $pg->port_number();

$t->write_file('password', "WRONG\n");
gateway($t, postgres => "\"host=127.0.0.1,127.0.0.1 port=$absent,$port"
    . ' dbname=postgres user=nginx" password_file=' . $t->testdir()
    . '/password');
$t->run();

###############################################################################

ok($t->wait_for_log(
    qr/is not there: .*$absent failed: Connection refused; .*$port failed: /),
    'both are told of');
ok($t->wait_for_log(qr/is not there: .*; .*password authentication failed/),
    'and what the second one says');

my @lines = $t->read_file('error.log') =~ /(.*is not there.*)/g;
my ($line) = grep { /password/ } @lines;
is(() = $line =~ /password authentication/g, 1, 'once');

###############################################################################
