#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: what a transaction writes to the outbox, by hand and by
# triggers, and who may.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('postgres')->plan(96);
my $pg = $t->run_postgres();
my $sql = $t->read_file($t->source_dir() . '/docs/optcache.sql');

$pg->query($sql);

###############################################################################

# by hand

is(told("invalidate('tag', 'a b')"), 'tag|a b||f', 'a tag');
is(told("invalidate('tag', 'a', soft => true)"), 'tag|a||t', 'softly');
is(told("invalidate('tag', 'a', 'Example.COM')"), 'tag|a|example.com|f',
    'of a host');
is(told("invalidate('uri', '/a?b=c')"), 'uri|/a?b=c||f', 'a URI');
is(told("invalidate('uri', '/a', for_user => 'alice')"),
    'uri|/a||f ' . sha256_hex('alice'), 'a URI of a user');
is(told("invalidate('user', E'\\u00e9')"),
    'user|' . sha256_hex("\xc3\xa9") . '||f', 'a user');
is(told("invalidate('prefix', '/api/', '[::1]')"), 'prefix|/api/|[::1]|f',
    'a prefix');
is(told("invalidate('host', 'Example.com')"), 'host|example.com||f', 'a host');
is(told("invalidate('host', 'Example.com.')"), 'host|example.com||f',
    'with a dot at the end');
is(told("invalidate('tag', 'a', 'example.com.')"), 'tag|a|example.com|f',
    'that narrows');
is(told("invalidate('all')"), 'all|||f', 'all');
is(told("invalidate('tag', 'x''; DROP TABLE optcache.outbox; --')"),
    "tag|x'; DROP TABLE optcache.outbox; --||f", 'a quote');

for my $case (
    ["NULL, 'a'", 'invalid kind'],
    ["'Tag', 'a'", "invalid kind 'Tag'"],
    ["'tag'", 'missing value for "tag"'],
    ["'tag', ''", 'missing value for "tag"'],
    ["'all', 'x'", 'needless value for "all"'],
    ["'uri', 'http://a/'", 'a uri begins with "/"'],
    ["'prefix', 'a'", 'a prefix begins with "/"'],
    ["'prefix', repeat('/', 4096)", 'more than 4095 bytes'],
    ["'tag', repeat('a', 1025)", 'more than 1024 bytes'],
    ["'uri', repeat('/', 8193)", 'more than 8192 bytes'],
    ["'user', 'a', 'h'", '"host" does not narrow "user"'],
    ["'all', NULL, 'h'", '"host" does not narrow "all"'],
    ["'tag', 'a', for_user => 'b'", '"for_user" does not narrow "tag"'],
    ["'tag', 'a', 'h:80'", "invalid host 'h:80'"],
    ["'tag', 'a', ''", "invalid host ''"],
    ["'host', 'a/b'", "invalid host 'a/b'"],
) {
    my ($args, $text) = @$case;
    like(refused("SELECT optcache.invalidate($args)"), qr/\Q$text\E/,
        "refused: $text");
}

is(told("invalidate('tag', 'a') FROM generate_series(1, 9)"), 'tag|a||f',
    'once for a transaction');

is(changed("BEGIN; SELECT optcache.invalidate('tag', 'a'); ROLLBACK"), '',
    'rolled back');
is(changed("BEGIN; SAVEPOINT s; SELECT optcache.invalidate('tag', 'a');"
    . " ROLLBACK TO s; SELECT optcache.invalidate('tag', 'a'); COMMIT"),
    'tag|a||f', 'rolled back in part');

# by triggers

$pg->query(<<'SQL');
CREATE TABLE allocations (id int, user_id int, note text);
SELECT optcache.watch('public.allocations', tag => 'allocations:{user_id}');
SELECT optcache.watch('public.allocations', tag => 'allocations:{user_id}');
SQL

is(triggers('allocations'), 4, 'watched twice, and once');
is(changed("INSERT INTO allocations VALUES (1, 1), (2, 2), (3, 2)"),
    'tag|allocations:1||f tag|allocations:2||f', 'inserted');
is(changed("UPDATE allocations SET user_id = 3 WHERE id = 1"),
    'tag|allocations:1||f tag|allocations:3||f', 'as it was, and as it is');
is(changed("UPDATE allocations SET note = 'x' WHERE id = 9"), '', 'no row');
is(changed("UPDATE allocations SET user_id = NULL WHERE id = 1"),
    'tag|allocations:3||f', 'NULL');
is(changed("DELETE FROM allocations WHERE id = 2"), 'tag|allocations:2||f',
    'deleted');
is(changed("BEGIN; DELETE FROM allocations; ROLLBACK"), '', 'rolled back');
is(changed("TRUNCATE allocations"), 'all|||f', 'all gone');
is(changed("COPY allocations FROM PROGRAM 'echo 1,7,a' CSV"),
    'tag|allocations:7||f', 'copied');
is(changed("INSERT INTO allocations SELECT i, i FROM"
    . " generate_series(1, 10000) AS i", 'count'), 10000, 'many');
is(changed("INSERT INTO allocations SELECT i, i FROM"
    . " generate_series(1, 10001) AS i"), 'all|||f', 'too many');

# templates of all kinds, columns and values of any bytes

$pg->query(<<'SQL');
CREATE TABLE "Odd ""T" (id int, "a'b ""c" text, "U" text, path text,
    g int GENERATED ALWAYS AS (id * 2) STORED);
SELECT optcache.watch('"Odd ""T"', tag => 't''\:{a''b "c}:{g}',
    uri => '/x/{a''b "c}?q={id}', prefix => '{path}', for_user => '{U}',
    host => 'H', soft => true, truncate_tag => 'odd');
SQL

is(changed(q{INSERT INTO "Odd ""T" VALUES (1, 'é / ''%s{id}', 'u', '/p q')}),
    q(prefix|/p q|h|t tag|t'\\:é / '%s{id}:2|h|t)
    . ' uri|/x/%C3%A9%20%2F%20%27%25s%7Bid%7D?q=1|h|t ' . sha256_hex('u'),
    'of all kinds');
is(changed(q{INSERT INTO "Odd ""T" VALUES (1, 'a', NULL, 'p')}),
    q(tag|t'\\:a:2|h|t), 'no user, and no path');
is(changed(q{INSERT INTO "Odd ""T" VALUES (1, repeat('a', 5000), 'u', '')}),
    'prefix|/x/|h|t tag|odd|h|t', 'too long');
is(changed(q{TRUNCATE "Odd ""T"}), 'all|||t prefix|/x/|h|t tag|odd|h|t',
    'all gone');
is($pg->query(q{SELECT optcache.unwatch('"Odd ""T"')}), 4, 'unwatched');
is(changed(q{INSERT INTO "Odd ""T" VALUES (1, 'a', 'u', 'p')}), '', 'nothing');

$pg->query(q{SELECT optcache.watch('"Odd ""T"', for_user => '{U}')});
is(changed(q{INSERT INTO "Odd ""T" VALUES (1, 'a', 'u', 'p')}),
    'user|' . sha256_hex('u') . '||f', 'of a user');
$pg->query(q{SELECT optcache.watch('"Odd ""T"', tag => 'all-of-it')});
is($pg->query(q{SELECT optcache.unwatch('"Odd ""T"', for_user => '{U}')}), 4,
    'one of two');
is(changed(q{TRUNCATE "Odd ""T"}), 'tag|all-of-it||f', 'the other');

for my $case (
    ["'pg_views', tag => 'a'", 'pg_views is not a table'],
    ["NULL, tag => 'a'", 'NULL is not a table'],
    ["'allocations'", 'none of "tag"'],
    ["'allocations', tag => ''", 'invalid template'],
    ["'allocations', tag => 'a{id'", 'invalid template'],
    ["'allocations', tag => 'a}'", 'invalid template'],
    ["'allocations', tag => 'a{}'", 'invalid template'],
    ["'allocations', tag => '{ID}'", 'has no column "ID"'],
    ["'allocations', tag => '{ctid}'", 'has no column ctid'],
    ["'allocations', uri => 'x/{id}'", 'template'],
    ["'allocations', prefix => '{id}{id}'", 'template'],
    ["'allocations', uri => '/', truncate_tag => 'a'", 'needs "tag"'],
    ["'allocations', tag => 'a', host => 'a b'", "invalid host"],
) {
    my ($args, $text) = @$case;
    like(refused("SELECT optcache.watch($args)"), qr/\Q$text\E/,
        "refused: $text");
}

# a column that goes away does not break the table

$pg->query('ALTER TABLE allocations RENAME user_id TO owner');
is(changed('UPDATE allocations SET note = 1 WHERE id = 1'), 'all|||f',
    'a column that is gone');
$pg->query('ALTER TABLE allocations RENAME owner TO user_id');

# partitions

$pg->query(<<'SQL');
CREATE TABLE parts (id int, kind int) PARTITION BY LIST (kind);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2);
SELECT optcache.watch('parts', tag => 'p:{id}:{kind}');
SQL

is(changed('INSERT INTO parts VALUES (1, 1), (2, 2)'),
    'tag|p:1:1||f tag|p:2:2||f', 'partitions');
is(changed('UPDATE parts SET kind = 2 WHERE id = 1'),
    'tag|p:1:1||f tag|p:1:2||f', 'from one to another');
is(changed('INSERT INTO parts1 VALUES (3, 1)'), 'tag|p:3:1||f', 'one of them');
is(changed('TRUNCATE parts'), 'all|||f', 'all gone');
is($pg->query("SELECT optcache.unwatch('parts')"), 12, 'unwatched');

# tables that inherit

$pg->query(<<'SQL');
CREATE TABLE things (id int, note text);
CREATE TABLE books (pages int) INHERITS (things);
CREATE TABLE atlases (maps int) INHERITS (books);
SELECT optcache.watch('things', tag => 't:{id}');
SQL

is(changed('INSERT INTO atlases VALUES (1), (2)'), 'tag|t:1||f tag|t:2||f',
    'a table that inherits');
is(changed("UPDATE books SET note = 'a' WHERE id = 1"), 'tag|t:1||f',
    'by the one in between');
is(changed('UPDATE things SET id = 3 WHERE id = 2'), 'tag|t:2||f tag|t:3||f',
    'by the one that is watched');
is($pg->query("SELECT optcache.unwatch('things')"), 12, 'unwatched');

# some of what they have is of others

$pg->query(<<'SQL');
CREATE TABLE pens (id int);
CREATE TABLE inks (id int);
CREATE TABLE markers (nibs int) INHERITS (pens, inks);
SELECT optcache.watch('pens', tag => 'p:{id}');
SELECT optcache.watch('inks', tag => 'p:{id}');
SELECT optcache.watch('markers', tag => 'm:{nibs}');
SQL

is($pg->query("SELECT optcache.unwatch('pens')"), 4, 'of one parent');
is(changed('INSERT INTO markers VALUES (1, 2)'), 'tag|m:2||f tag|p:1||f',
    'another parent, and itself');
is($pg->query("SELECT optcache.unwatch('inks')"), 8, 'of the other');
is(changed('INSERT INTO markers VALUES (1, 3)'), 'tag|m:3||f', 'itself');

$pg->query(<<'SQL');
CREATE ROLE writer;
CREATE ROLE reader;
GRANT USAGE ON SCHEMA optcache TO writer;
GRANT EXECUTE ON FUNCTION optcache.watch, optcache.unwatch, optcache.watched
    TO writer;
CREATE TABLE notes (id int);
CREATE TABLE drafts () INHERITS (notes);
ALTER TABLE notes OWNER TO writer;
ALTER TABLE drafts OWNER TO reader;
SET ROLE writer;
SELECT optcache.watch('notes', tag => 'n:{id}');
SQL

is(changed('INSERT INTO notes VALUES (1)'), 'tag|n:1||f',
    'beside one of somebody else');
is(changed('INSERT INTO drafts VALUES (2)'), '', 'which is left alone');
$pg->query("SELECT optcache.watch('notes', tag => 'n:{id}')");
is($pg->query("SET ROLE writer; SELECT optcache.unwatch('notes')"), 4,
    'and does not keep it watched');

# many rows: few of them need a function of its own

$pg->query("SELECT optcache.watch('things', uri => '/t/{id}/{note}',"
    . " for_user => '{note}')");
is(changed("INSERT INTO things SELECT i, 'a' FROM generate_series(1, 500) i;"
    . " INSERT INTO things VALUES (501, 'a b')", 1), 501, 'many rows');
is($pg->query("SET track_functions = 'all';"
    . " INSERT INTO things SELECT i, 'c' FROM generate_series(1, 500) i;"
    . " INSERT INTO things VALUES (501, 'c d');"
    . ' SELECT sum(calls) FROM pg_stat_xact_user_functions'
    . " WHERE funcname IN ('uri_part', 'user_digest')"), 1, 'one call');

# run again, it keeps what there is

$pg->query('DELETE FROM optcache.outbox');
$pg->query("SELECT optcache.invalidate('tag', 'kept')");
$pg->query($sql);
$pg->query($sql);
is(rows(), 'tag|kept||f', 'run again');
is(changed('DELETE FROM allocations WHERE id = 1'),
    'tag|allocations:1||f tag|allocations:7||f', 'and still watched');

# rights

$pg->query($_) for (
    'CREATE ROLE app', 'CREATE ROLE nobody',
    'GRANT ALL ON allocations TO app, nobody',
    'GRANT USAGE ON SCHEMA optcache TO app',
    'GRANT EXECUTE ON FUNCTION'
        . ' optcache.invalidate(text, text, text, boolean, text) TO app',
);

is(changed("SET ROLE app; SELECT optcache.invalidate('tag', 'a')"),
    'tag|a||f', 'who may');
is(changed('SET ROLE nobody; INSERT INTO allocations VALUES (1, 5)'),
    'tag|allocations:5||f', 'who changes a table');

for my $sql (
    "SET ROLE nobody; SELECT optcache.invalidate('tag', 'a')",
    'SET ROLE app; SELECT * FROM optcache.outbox',
    "SET ROLE app; SELECT optcache.outbox_add('all', '{}', '', '{}', false)",
    "SET ROLE app; SELECT optcache.watch('allocations', tag => 'a')",
    'SET ROLE app; SELECT optcache.cleanup()',
) {
    like(refused($sql), qr/permission denied/, 'may not: ' . substr $sql, 14);
}

# nobody gets in between by the search path

$pg->query('CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO app');
is(changed('SET ROLE app; SET search_path = evil, pg_catalog;'
    . ' CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql'
    . " AS 'SELECT 1 / 0'; SELECT optcache.invalidate('tag', 'a');"
    . ' INSERT INTO public.allocations VALUES (1, 6)'),
    'tag|allocations:6||f tag|a||f', 'the search path');

# rows are kept for as long as they have been visible

$pg->query("SELECT optcache.invalidate('tag', 'old')");
is($pg->query("SELECT optcache.cleanup('1 hour')"), 0, 'not yet');
$pg->query("SELECT optcache.invalidate('tag', 'young')");
$pg->query("UPDATE optcache.$_ - interval '2 hours'")
    for 'outbox_mark SET made = made', 'outbox SET created = created';
cmp_ok($pg->query("SELECT optcache.cleanup('1 hour')"), '>=', 1, 'now');
is(rows(), 'tag|young||f', 'but what was written since');

###############################################################################

# What the outbox has, in order; "for_user" behind the rest.

sub rows {
    my $rows = $pg->query('SELECT DISTINCT concat(kind, \'|\', value, \'|\','
        . ' host, \'|\', soft, \' \' || for_user) COLLATE "C" FROM'
        . ' optcache.outbox ORDER BY 1');

    return join ' ', split /\n/, $rows;
}


# What a change writes; or how many rows.

sub changed {
    my ($sql, $count) = @_;

    $pg->query('DELETE FROM optcache.outbox');
    $pg->query($sql);

    return $count ? $pg->query('SELECT count(*) FROM optcache.outbox') : rows();
}


sub told { changed("SELECT optcache.$_[0]") }


sub refused {
    my ($sql) = @_;

    return eval { $pg->query($sql); 1 } ? '' : $@;
}


sub triggers {
    my ($table) = @_;

    return $pg->query('SELECT count(*) FROM pg_trigger'
                      . " WHERE tgrelid = '$table'::regclass");
}

###############################################################################
