#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: who may watch a table, and who changes one, has no code
# run as the owner of the functions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has_program('postgres')->plan(13);
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query(<<'SQL');
CREATE ROLE app;
CREATE SCHEMA app AUTHORIZATION app;
GRANT USAGE ON SCHEMA optcache TO app;
GRANT EXECUTE ON FUNCTION optcache.watched(),
    optcache.watch(regclass, text, text, text, text, text, boolean, text)
    TO app;

SET ROLE app;
CREATE TABLE app.ran (who text);
CREATE FUNCTION app.evil() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.ran VALUES (current_user);
    RETURN 'evil';
END
$$;
CREATE TABLE app.t (x text);
SQL

###############################################################################

# transition tables that are not there, and what else could be meant

is(with(by_hand('AFTER INSERT', $_)
        . ' CREATE TEMP VIEW optcache_new AS SELECT app.evil() AS x;'
        . ' INSERT INTO app.t VALUES (1)'), 'all|', "by $_")
    for qw/ STATEMENT ROW /;

is(with(by_hand('AFTER UPDATE', 'STATEMENT',
            'REFERENCING NEW TABLE AS optcache_new')
        . ' CREATE TEMP VIEW optcache_old AS SELECT app.evil() AS x;'
        . ' UPDATE app.t SET x = 2'), 'all|', 'one of two');

is(with(by_hand('AFTER INSERT', 'STATEMENT',
            'REFERENCING NEW TABLE AS mine')
        . ' CREATE TEMP VIEW optcache_new AS SELECT app.evil() AS x;'
        . ' INSERT INTO app.t VALUES (1)'), 'all|', 'by another name');

is(with(by_hand('AFTER INSERT', 'STATEMENT') . ' INSERT INTO app.t VALUES (1)'),
    'all|', 'none at all');

like(refused(by_hand('BEFORE INSERT', 'ROW')
        . ' INSERT INTO app.t VALUES (1)'),
    qr/trigger "z" is not one of watch/, 'before');

like(refused('CREATE VIEW app.v AS SELECT * FROM app.t;'
        . ' CREATE TRIGGER z INSTEAD OF INSERT ON app.v FOR EACH ROW'
        . " EXECUTE FUNCTION optcache.watched('t:{x}','','','','','false','');"
        . ' INSERT INTO app.v VALUES (1)'),
    qr/trigger "z" is not one of watch/, 'instead of');

is(with(by_hand('AFTER INSERT', 'STATEMENT',
            'REFERENCING NEW TABLE AS optcache_new')
        . ' INSERT INTO app.t VALUES (1)'), 'tag|t:1', 'by hand, and right');

# types, casts, operators, and expressions of the table

$pg->query(<<'SQL');
SET ROLE app;
CREATE TYPE app.mood AS ENUM ('ok', 'sad');
CREATE DOMAIN app.checked AS text CHECK (app.evil() = 'evil' AND value <> '');
CREATE TYPE app.pair AS (m app.mood, n int);
CREATE TYPE app.moods AS RANGE (SUBTYPE = app.mood);
CREATE FUNCTION app.mood(app.mood) RETURNS text LANGUAGE sql
    AS 'SELECT app.evil()';
CREATE FUNCTION app.mood_json(app.mood) RETURNS json LANGUAGE sql
    AS 'SELECT to_json(app.evil())';
CREATE FUNCTION app.mood_same(app.mood, app.mood) RETURNS boolean LANGUAGE sql
    AS 'SELECT app.evil() IS NULL';
CREATE CAST (app.mood AS text) WITH FUNCTION app.mood AS IMPLICIT;
CREATE CAST (app.mood AS json) WITH FUNCTION app.mood_json AS IMPLICIT;
CREATE OPERATOR app.= (LEFTARG = app.mood, RIGHTARG = app.mood,
                       FUNCTION = app.mood_same);
CREATE TABLE app.odd (m app.mood, c app.checked, p app.pair, r app.moods,
                      a app.mood[], j json);
CREATE FUNCTION app.z(app.odd) RETURNS text LANGUAGE sql
    AS 'SELECT app.evil()';
SELECT optcache.watch('app.odd', tag => '{m} {c} {p} {r} {a} {j}');
DELETE FROM app.ran;
SQL

is($pg->query(<<'SQL'), 'tag|ok c (ok,1) [ok,sad] {sad} [1]', 'shown as it is');
DELETE FROM optcache.outbox;
SET ROLE app;
SET search_path = app, pg_catalog;
INSERT INTO app.odd VALUES ('ok', 'c', ('ok', 1), app.moods('ok', 'sad', '[]'),
                            '{sad}', '[1]');
UPDATE app.odd SET m = 'ok';
RESET ROLE;
SELECT kind, value FROM optcache.outbox;
SQL

is($pg->query('SELECT DISTINCT who FROM app.ran'), 'app',
    'the checks ran, as who writes');

is(with('CREATE TRIGGER z AFTER INSERT ON app.odd REFERENCING NEW TABLE AS'
        . ' optcache_new FOR EACH STATEMENT EXECUTE FUNCTION'
        . " optcache.watched('{z}', '', '', '', '', 'false', '');"
        . " INSERT INTO app.odd (m) VALUES ('ok');"
        . ' DROP TRIGGER z ON app.odd'), 'all|', 'a function is no column');

is($pg->query("SELECT count(*) FROM app.ran WHERE who <> 'app'"), 0,
    'nothing ran as somebody else');
is($pg->query("SELECT rolsuper FROM pg_roles WHERE rolname = 'app'"), 'f',
    'nor is it a superuser now');

###############################################################################

# A trigger that watch() has not made.

sub by_hand {
    my ($when, $each, $tables) = @_;

    $tables //= '';

    return "SET ROLE app; CREATE TRIGGER z $when ON app.t $tables FOR EACH"
           . " $each EXECUTE FUNCTION"
           . " optcache.watched('t:{x}', '', '', '', '', 'false', '');";
}


# What a session of app writes.

sub with {
    my ($sql) = @_;

    return $pg->query("INSERT INTO app.t VALUES (0); DELETE FROM"
                      . " optcache.outbox; SET ROLE app; $sql; RESET ROLE;"
                      . ' DROP TRIGGER IF EXISTS z ON app.t;'
                      . ' SELECT DISTINCT kind, value FROM optcache.outbox');
}


sub refused {
    my ($sql) = @_;

    return eval { $pg->query($sql); 1 } ? '' : $@;
}

###############################################################################
