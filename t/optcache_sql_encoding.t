#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: values that have no UTF-8, in databases that are not of
# UTF-8, keep nobody from changing a table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('postgres')->plan(13);
my $pg = $t->run_postgres();
my $sql = $t->read_file($t->source_dir() . '/docs/optcache.sql');

###############################################################################

for my $case (['SQL_ASCII', 'E\'caf\\xe9\''], ['WIN1252', 'E\'caf\\x81\'']) {
    my ($encoding, $bad) = @$case;

    $pg->query("CREATE DATABASE \"$encoding\" ENCODING '$encoding'"
               . ' TEMPLATE template0');

    my $query = sub { $pg->query($_[0], $encoding) };

    # What a change writes; and the table has it.

    my $changed = sub {
        my ($template, @values) = @_;

        my $values = join ', ', map { "($_)" } @values;

        $query->('DROP TABLE IF EXISTS t; CREATE TABLE t (v text);'
                 . " SELECT optcache.watch('t', $template);"
                 . ' DELETE FROM optcache.outbox;'
                 . " SET client_encoding = $encoding;"
                 . " INSERT INTO t VALUES $values");

        return join ' ', $query->('SELECT count(*) FROM t'), split /\n/,
            $query->('SELECT concat_ws(\'|\', kind, value) COLLATE "C"'
                     . ' FROM optcache.outbox ORDER BY 1');
    };

    $query->($sql);

    is($changed->("tag => '{v}'", "'a'"), '1 tag|a', "$encoding");
    is($changed->("tag => '{v}'", "'a'", $bad), '2 all|', 'a tag');
    is($changed->("tag => 't:{v}', truncate_tag => 't'", $bad), '1 tag|t',
        'a tag, and what there is instead');
    is($changed->("uri => '/x/{v}'", $bad), '1 prefix|/x/', 'a URI');
    is($changed->("for_user => '{v}'", $bad), '1 all|', 'a user');
}

# what is said by hand, and templates, are errors

like(refused("SELECT optcache.invalidate('tag', E'\\xe9')"),
    qr/invalid byte sequence/, 'by hand');
like(refused("SELECT optcache.watch('t', tag => E'\\xe9{v}')"),
    qr/invalid byte sequence/, 'a template');
like(refused("SELECT optcache.watch('t', tag => '{v}', truncate_tag ="
        . "> E'\\xe9')"), qr/invalid byte sequence/, 'what there is instead');

###############################################################################

sub refused {
    my ($sql) = @_;

    return eval { $pg->query($sql, 'SQL_ASCII'); 1 } ? '' : $@;
}

###############################################################################
