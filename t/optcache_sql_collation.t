#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: texts are taken byte by byte, whatever collation they
# come with and however a session reads backslashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has_program('postgres');
my $pg = $t->run_postgres();

eval {
    $pg->query("CREATE COLLATION nocase (provider = icu,"
               . " locale = 'und-u-ks-level2', deterministic = false)");
    1;
} or plan(skip_all => "no collations of ICU: $@");

$t->plan(12);

install($t, $pg);

###############################################################################

# of columns

$pg->query(<<'SQL');
CREATE TABLE t (id text COLLATE nocase, "C" text COLLATE "POSIX");
SELECT optcache.watch('t', tag => 't:{id}:{C}', uri => '/api/{id}/{C}',
                      for_user => '{C}{id}');
SELECT optcache.watch('t', prefix => '{id}');
SQL

is(changed("INSERT INTO t VALUES ('/a', 'B'), ('/A', 'B')"),
    'prefix|/A prefix|/a tag|t:/A:B tag|t:/a:B uri|/api/%2FA/B uri|/api/%2Fa/B',
    'of a column');

# of arguments

is(changed("SELECT optcache.invalidate(k, v, h, false, u) FROM (SELECT"
        . " 'uri' COLLATE nocase AS k, '/é b' COLLATE nocase AS v,"
        . " 'I.Example' COLLATE nocase AS h, 'u' COLLATE nocase AS u) AS a"),
    'uri|/é b|i.example', 'of arguments');
is(changed("SELECT optcache.invalidate('prefix', v, h) FROM (SELECT"
        . " '/A' COLLATE nocase AS v, '[::1]' COLLATE \"POSIX\" AS h) AS a"),
    'prefix|/A|[::1]', 'of several');

like(refused("optcache.invalidate('URI' COLLATE nocase, '/a')"),
    qr/invalid kind 'URI'/, 'a kind is spelled so');
like(refused("optcache.invalidate('tag', 'a', 'h:1' COLLATE nocase)"),
    qr/invalid host 'h:1'/, 'hosts are looked at');

is($pg->query("SELECT optcache.uri_part('a b' COLLATE nocase)"), 'a%20b',
    'a part of a URI');

# of templates

$pg->query('CREATE TABLE s (id int)');
$pg->query("SELECT optcache.watch('s', tag => 's:{id}' COLLATE nocase,"
           . " uri => '/s/{id}' COLLATE nocase)") for 1, 2;
is(changed('INSERT INTO s VALUES (1)'), 'tag|s:1 uri|/s/1', 'of a template');
is($pg->query("SELECT optcache.unwatch('s', tag => 's:{id}' COLLATE nocase,"
        . " uri => '/s/{id}' COLLATE nocase)"), 4, 'known again');
like(refused("optcache.watch('s', tag => '{ID}' COLLATE nocase)"),
    qr/has no column "ID"/, 'a column is spelled so');

# of literals, as a session reads them

like(refused("optcache.invalidate('host', ':80]')", 'off'),
    qr/invalid host ':80]'/, 'hosts with backslashes that escape');
is(changed("SET standard_conforming_strings = off;"
        . " SELECT optcache.invalidate('host', '[::1]')"), 'host|[::1]',
    'an address');
is(changed("SET standard_conforming_strings = off;"
        . " INSERT INTO t VALUES ('a\\b', '\\')"),
    'tag|t:a\b:\ uri|/api/a%5Cb/%5C', 'values');

###############################################################################

# What a change writes, users apart.

sub changed {
    my ($sql) = @_;

    $pg->query('DELETE FROM optcache.outbox');
    $pg->query($sql);

    return join ' ', split /\n/,
        $pg->query("SELECT DISTINCT concat_ws('|', kind, value, host)"
                   . ' COLLATE "C" FROM optcache.outbox ORDER BY 1');
}


sub refused {
    my ($sql, $conforming) = @_;

    $conforming //= 'on';

    return eval {
        $pg->query("SET standard_conforming_strings = $conforming;"
                   . " SELECT $sql");
        1;
    } ? '' : $@;
}

###############################################################################
