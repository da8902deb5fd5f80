#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Databases of other encodings: a key is in Redis as UTF-8, or as it is if the
# database has no encoding.  One that cannot be converted keeps no other from
# being told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(17);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

for my $encoding (qw/ SQL_ASCII WIN1252 LATIN1 /) {
    my $name = lc $encoding;

    $pg->query("CREATE DATABASE $name ENCODING '$encoding'"
        . ' TEMPLATE template0');

    $pg->query("ALTER DATABASE $name SET enable_indexscan = off");

    my $db = $pg->of($name);

    install($t, $db);
    insert($db, 'first');
}

my $ignored = qr/1 rows of optcache.token_blacklist are ignored/;

###############################################################################

# any bytes

begin('sql_ascii', 'start');
insert($pg->of('sql_ascii'), "blacklist:\xe9", 'good');
ok(told('good'), 'what is beside it');
is($redis->cmd('EXISTS', "blacklist:\xe9"), 1, 'the same bytes');
is($t->log_count($ignored), 0, 'none is ignored');

# some bytes are nothing

begin('win1252', 'reload');
insert($pg->of('win1252'), "blacklist:\xe9", "blacklist:\x81", 'better');
ok(told('better'), 'what is beside it');
is($redis->cmd('EXISTS', "blacklist:\xc3\xa9"), 1, 'in UTF-8');
is($redis->cmd('EXISTS', "blacklist:\x81"), 0, 'nothing to convert');
ok($t->wait_for_log($ignored), 'which is ignored');

# among many, when all are told

$pg->of('win1252')->query('INSERT INTO optcache.token_blacklist (key, expires)'
    . " SELECT CASE WHEN i IN (1, 250, 251, 252, 600) THEN E'blacklist:\\x81'"
    . " ELSE 'blacklist:' END || i, now() + interval '1 hour'"
    . " FROM generate_series(1, 600) AS i");
ok(told(map { "blacklist:$_" } 2, 249, 253, 599), 'all others');
$redis->cmd('FLUSHALL');
is(enters('again', 'better'), 'refused', 'told again');
is(scalar(grep { /^blacklist:\d{1,3}$/ } @{ $redis->cmd('KEYS', '*') }), 595,
    'all of them');
ok($t->wait_for_log(qr/6 rows of optcache.token_blacklist are ignored/),
    'but those');

# all is something

begin('latin1', 'reload');
insert($pg->of('latin1'), "blacklist:\xe8\x81", 'best');
ok(told("blacklist:\xc3\xa8\xc2\x81", 'best'), 'in UTF-8');
is($t->log_count(qr/"token_blacklist_postgres" is not there/), 0,
    'no trouble');

is($t->log_count(qr/^(?!.*\[debug\]).*blacklist:/m), 0, 'no key is logged');

###############################################################################

sub begin {
    my ($name, $how) = @_;

    gateway($t, postgres => '"' . $pg->of($name)->conninfo() . '"');
    $redis->cmd('FLUSHALL');
    $how eq 'start' ? $t->run() : $t->reload();
    is(enters($name, 'first'), 'refused', "begins: $name");
}


# keys, or tokens

sub insert {
    my ($db, @keys) = @_;

    $db->query('INSERT INTO optcache.token_blacklist (key, expires) VALUES '
        . join ', ', map {
              my $key = /:/ ? $_ : key($_);
              $key =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
              "(E'$key', now() + interval '1 hour')"
          } @keys);
}


sub told {
    my @keys = map { /:/ ? $_ : key($_) } @_;

    return wait_for(sub { $redis->cmd('EXISTS', @keys) == @keys }, 20);
}

###############################################################################
