-- Copyright (C) The Optcache authors

-- Invalidation from PostgreSQL, behind "optcache_postgres": what a transaction
-- changes is invalidated when it commits, and only if it does.  PostgreSQL 12
-- or newer; no extensions; may be run again.
--
--     psql -v ON_ERROR_STOP=1 -f optcache.sql
--
-- What is called by others runs as the role that loads this: better not as a
-- superuser, but a role of its own ("psql -c 'SET ROLE optcache' -f ..."), and
-- always the same.
--
-- By hand, in any transaction:
--
--     SELECT optcache.invalidate('tag', 'allocations:42');
--     SELECT optcache.invalidate('uri', '/api/x/7', host => 'example.com');
--
-- or from then on, by triggers of a table:
--
--     SELECT optcache.watch('public.allocations',
--                           tag => 'allocations:{user_id}');
--
-- The role that nginx connects as needs
--
--     GRANT USAGE ON SCHEMA optcache TO nginx;
--     GRANT SELECT ON optcache.outbox, optcache.outbox_cleaned TO nginx;
--     GRANT EXECUTE ON FUNCTION optcache.outbox_identity(),
--         optcache.cleanup(interval) TO nginx;
--
-- one that invalidates by hand
--
--     GRANT USAGE ON SCHEMA optcache TO app;
--     GRANT EXECUTE ON FUNCTION
--         optcache.invalidate(text, text, text, boolean, text) TO app;
--
-- and one that changes a watched table nothing at all.  A role that calls
-- watch() and unwatch() needs EXECUTE on both and on optcache.watched(), and
-- has to own the table.
--
--
-- How nothing is missed.  Rows are numbered when they are written and seen
-- when they are committed, in another order, so that "what is behind the last
-- number" would miss those of a transaction that took its time.  Each row has
-- the number of its transaction, and a reader keeps the last snapshot it has
-- read: then new are the rows that are visible now and were not in that
-- snapshot.  This is exact: no row is missed, none is read twice, and nobody
-- waits for transactions that are still under way.  Only a snapshot of very
-- many transactions is kept shortened, as of an earlier time; then some rows
-- are read again, which does no harm: each has a name (see "id", "xact" and
-- "created"), by which the hosts tell each other of it once.
--
-- The notification only wakes the reader.  It has no payload, and PostgreSQL
-- sends one for a transaction however often it is asked to.
--
-- Rows are deleted when they have been visible for a day: not a day after they
-- were written, as they may have been committed a moment ago.  What was
-- visible when is in optcache.outbox_mark.  A reader that comes back after
-- rows were deleted finds by optcache.outbox_cleaned that it may have missed
-- some.

BEGIN;

SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;


-- Functions here run as their owner, with these tables and each other.  So
-- nothing may be anybody else's who could put code of his own there: not the
-- schema, nor what is in it.

DO $$
DECLARE
    r  record;
BEGIN
    IF to_regnamespace('optcache') IS NULL THEN
        CREATE SCHEMA optcache;
    END IF;

    SELECT o.name, rolname AS owner INTO r
    FROM (SELECT 'the schema "optcache"', nspowner
          FROM pg_namespace WHERE nspname = 'optcache'
          UNION ALL
          SELECT format('"optcache.%s"', relname), relowner
          FROM pg_class WHERE relnamespace = 'optcache'::regnamespace
          UNION ALL
          SELECT format('"optcache.%s()"', proname), proowner
          FROM pg_proc WHERE pronamespace = 'optcache'::regnamespace)
         AS o (name, owner)
         JOIN pg_roles ON pg_roles.oid = o.owner
    WHERE NOT rolsuper AND rolname <> current_user
    LIMIT 1;

    IF FOUND THEN
        RAISE 'optcache: % belongs to "%", not to "%" or a superuser',
              r.name, r.owner, current_user
              USING ERRCODE = 'insufficient_privilege',
                    HINT = 'If it should, SET ROLE to it first; if not, see '
                           'what else is there, and drop it.';
    END IF;
END
$$;


-- One row for each thing that a transaction has invalidated.  "value" of a
-- user is the SHA-256 of what optcache_user has, in hexadecimal, as is
-- "for_user", which narrows a URI; "digest" is of all columns that say what is
-- meant.

CREATE TABLE IF NOT EXISTS optcache.outbox (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xact      bigint NOT NULL DEFAULT txid_current(),
    digest    bytea NOT NULL,
    kind      text NOT NULL
              CHECK (kind IN ('uri', 'user', 'tag', 'prefix', 'host', 'all')),
    value     text NOT NULL,
    host      text,
    for_user  text,
    soft      boolean NOT NULL,
    created   timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (xact, digest)
);


-- What was visible at a time; and in the latest of these snapshots of which
-- rows were deleted.

CREATE TABLE IF NOT EXISTS optcache.outbox_mark (
    made      timestamptz NOT NULL DEFAULT clock_timestamp(),
    snapshot  txid_snapshot NOT NULL
);

CREATE TABLE IF NOT EXISTS optcache.outbox_cleaned (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    snapshot  txid_snapshot NOT NULL
);


-- Adds rows, once for a transaction each, and wakes who listens.  Called by
-- the functions below only, which have checked what they pass.

CREATE OR REPLACE FUNCTION optcache.outbox_add(kind text, vals text[],
    host text, users text[], soft boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO optcache.outbox (digest, kind, value, host, for_user, soft)
    SELECT substr(sha256(convert_to(format('%L %L %L %L %L',
                  $1, v, $3, u, $5), 'UTF8')), 1, 16),
           $1, v, $3, u, $5
    FROM unnest($2, $4) AS t (v, u)
    ON CONFLICT DO NOTHING;

    PERFORM pg_notify('optcache', '');
END
$$;


-- The SHA-256 of what is told a user by, NULL of none.

CREATE OR REPLACE FUNCTION optcache.user_digest(name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')
$$;


-- "kind" is one of
--
--     tag      whatever has the tag "value"
--     uri      the URI "value", with its arguments, as clients ask for it
--     prefix   whatever is at a URI that begins with "value"
--     user     whatever is of the user "value", who is "optcache_user"
--     host     whatever is of the host "value"
--     all      everything
--
-- "host" narrows a tag, a URI and a prefix; "for_user" a URI.  What is
-- invalidated softly is stale, but may be used where stale responses may.

CREATE OR REPLACE FUNCTION optcache.invalidate(kind text,
    value text DEFAULT NULL, host text DEFAULT NULL,
    soft boolean DEFAULT false, for_user text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    what       text COLLATE "C" := kind;
    val        text COLLATE "C" := value;
    max_bytes  int := CASE what WHEN 'prefix' THEN 4095 WHEN 'tag' THEN 1024
                                ELSE 8192 END;
BEGIN
    IF what IS NULL
       OR what NOT IN ('uri', 'user', 'tag', 'prefix', 'host', 'all')
    THEN
        RAISE 'optcache: invalid kind %, expected uri, user, tag, prefix, '
              'host or all', quote_nullable(left(what, 32))
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF (what = 'all') <> (coalesce(val, '') = '') THEN
        RAISE 'optcache: % value for "%"', CASE what WHEN 'all' THEN 'needless'
              ELSE 'missing' END, what
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF what IN ('uri', 'prefix') AND val NOT LIKE '/%' THEN
        RAISE 'optcache: a % begins with "/"', what
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF what NOT IN ('uri', 'tag', 'prefix') AND host IS NOT NULL THEN
        RAISE 'optcache: "host" does not narrow "%"', what
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF what <> 'uri' AND for_user IS NOT NULL THEN
        RAISE 'optcache: "for_user" does not narrow "%"', what
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF what <> 'user' AND octet_length(convert_to(val, 'UTF8')) > max_bytes
    THEN
        RAISE 'optcache: a % of more than % bytes', what, max_bytes
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF what = 'host' THEN
        val := optcache.host_name(val);

    ELSIF what = 'user' THEN
        val := optcache.user_digest(val);
    END IF;

    PERFORM optcache.outbox_add(what, ARRAY[coalesce(val, '')],
                                optcache.host_name(host),
                                ARRAY[optcache.user_digest(for_user)],
                                coalesce(soft, false));
END
$$;


-- As $host of nginx is: without a dot at the end, too.

CREATE OR REPLACE FUNCTION optcache.host_name(name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(name) > 255
       OR name COLLATE "C"
          !~ '^([^][:cntrl:][:space:]/:@{}[]+|[[][0-9A-Fa-f:.]+[]])$'
    THEN
        RAISE 'optcache: invalid host %, expected a name without port',
              quote_literal(left(name, 64))
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    RETURN lower(CASE WHEN name COLLATE "C" LIKE '_%.' THEN left(name, -1)
                      ELSE name END COLLATE "C");
END
$$;


-- A part of a URI as a client writes it (RFC 3986, 2.1).

CREATE OR REPLACE FUNCTION optcache.uri_part(part text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN part COLLATE "C" ~ '^[A-Za-z0-9._~-]*$' THEN part ELSE (
        SELECT string_agg(CASE WHEN b < 128 AND chr(b) ~ '[A-Za-z0-9._~-]'
                               THEN chr(b)
                               ELSE '%' || upper(lpad(to_hex(b), 2, '0'))
                          END, '' ORDER BY i)
        FROM (SELECT convert_to(part, 'UTF8') AS bytes) AS p,
             generate_series(0, octet_length(bytes) - 1) AS i,
             get_byte(bytes, i) AS b)
    END
$$;


-- The names in braces of a template.  This and what else each trigger calls is
-- in PL/pgSQL, which keeps its plans.

CREATE OR REPLACE FUNCTION optcache.template_columns(template text)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(m[1]), '{}')
            FROM regexp_matches(template COLLATE "C", '[{]([^{}]+)[}]', 'g')
                 AS m);
END
$$;


-- The first of them that the table has no column of.

CREATE OR REPLACE FUNCTION optcache.template_lost(relation regclass,
    template text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT min(name COLLATE "C")
            FROM unnest(optcache.template_columns(template)) AS name
            WHERE NOT EXISTS (SELECT FROM pg_attribute
                              WHERE attrelid = relation
                                    AND attname = name COLLATE "C"
                                    AND attnum > 0 AND NOT attisdropped));
END
$$;


-- The expression that a template stands for, of a row "r"; "parts": values are
-- parts of a URI, unless the template is nothing but one.  A value is written
-- as it is shown, by concat(), which calls no casts that anybody has defined.
-- There may be very many rows: a function is called for few of them.

CREATE OR REPLACE FUNCTION optcache.template_expression(template text,
    parts boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    form  text := CASE WHEN parts
                            AND template COLLATE "C" !~ '^[{][^{}]+[}]$'
                       THEN 'CASE WHEN concat(r.%1$I) COLLATE "C"'
                            ' ~ ''^[A-Za-z0-9._~-]*$'' THEN concat(r.%1$I)'
                            ' ELSE optcache.uri_part(concat(r.%1$I)) END'
                       ELSE 'concat(r.%I)' END;
    list  text[] := '{}';
    m     text[];
BEGIN
    IF template IS NULL THEN
        RETURN 'NULL';
    END IF;

    FOR m IN
        SELECT regexp_matches(template COLLATE "C",
                              '([^{}]+)|[{]([^{}]+)[}]', 'g')
    LOOP
        list := list || CASE WHEN m[1] IS NULL THEN format(form, m[2])
                             ELSE quote_literal(m[1]) END;
    END LOOP;

    RETURN 'concat(' || array_to_string(list, ', ') || ')';
END
$$;


-- The trigger of watch().  Its arguments are those of watch(), with '' for
-- NULL.  What rows were and what they are is invalidated, each thing once.
--
-- It must not be in the way of whoever changes the table: where it cannot tell
-- what to invalidate (a column is gone, a value is too long or has no UTF-8,
-- TRUNCATE), or that is too much, it invalidates more: the tag "truncate_tag",
-- the text of a template up to its first brace as a prefix, or everything.
-- What a value is shown as must not depend on who shows it.
--
-- It runs as its owner, and must run nothing of who made the trigger or who
-- changes the table.  All functions and operators are of pg_catalog or of
-- here, and concat() shows a value by the output function of its type, which
-- only a superuser can make, and by no cast.  What is left is a relation that
-- a transition table is taken for: see watched_trouble().

CREATE OR REPLACE FUNCTION optcache.watched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C'
SET xmlbinary = 'base64' SET quote_all_identifiers = off AS $$
DECLARE
    most     CONSTANT int := 10000;
    person   text := nullif(TG_ARGV[3], '');
    host     text := nullif(TG_ARGV[4], '');
    soft     boolean := TG_ARGV[5];
    whole    text := nullif(TG_ARGV[6], '');
    trouble  text;
    exact    boolean;
    k        record;
    vals     text[];
    users    text[];
BEGIN
    IF TG_WHEN <> 'AFTER' THEN
        RAISE 'optcache: trigger "%" is not one of watch()', TG_NAME
              USING ERRCODE = 'trigger_protocol_violated';
    END IF;

    trouble := optcache.watched_trouble(TG_RELID,
                   concat(TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], person));

    IF trouble IS NOT NULL THEN
        RAISE WARNING 'optcache: "%" %, all that it may be about is '
                      'invalidated', TG_TABLE_NAME, trouble;
    END IF;

    FOR k IN
        SELECT kind, template, narrow
        FROM (VALUES ('tag', nullif(TG_ARGV[0], ''), NULL),
                     ('uri', nullif(TG_ARGV[1], ''), person),
                     ('prefix', nullif(TG_ARGV[2], ''), NULL),
                     ('user', CASE WHEN TG_ARGV[1] = '' THEN person END, NULL))
             AS v (kind, template, narrow)
        WHERE template IS NOT NULL
    LOOP
        exact := false;

        IF TG_OP <> 'TRUNCATE' AND trouble IS NULL THEN
            BEGIN
                EXECUTE optcache.watched_query(TG_OP, k.kind, k.template,
                                               k.narrow, most + 1)
                INTO vals, users;

                CONTINUE WHEN vals IS NULL;

                exact := cardinality(vals) <= most
                         AND NOT EXISTS (
                             SELECT FROM unnest(vals) AS v
                             WHERE octet_length(convert_to(v, 'UTF8')) > 4095);

            EXCEPTION WHEN others THEN
                RAISE WARNING 'optcache: rows of "%" cannot be told (%), all '
                              'that they may be about is invalidated',
                              TG_TABLE_NAME, SQLERRM;
            END;
        END IF;

        IF exact THEN
            PERFORM optcache.outbox_add(k.kind, vals,
                        CASE WHEN k.kind <> 'user' THEN host END, users, soft);
        ELSE
            PERFORM optcache.watched_whole(k.kind, k.template, host, soft,
                                           whole);
        END IF;
    END LOOP;

    RETURN NULL;
END
$$;


-- Why the rows cannot be read: the table has no such column; or the name of
-- a transition table is that of a relation, too.  Of the two the transition
-- table would be found, but a trigger that watch() has not made may have none.

CREATE OR REPLACE FUNCTION optcache.watched_trouble(relation regclass,
    templates text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(
        'has no column "' || optcache.template_lost(relation, templates)
        || '" any more',
        'cannot be told from the relation ' || coalesce(
            to_regclass('optcache_old'), to_regclass('optcache_new'))::text);
END
$$;


-- Invalidates all that a template may be about.

CREATE OR REPLACE FUNCTION optcache.watched_whole(kind text, template text,
    host text, soft boolean, whole text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part  text := split_part(template, '{', 1);
BEGIN
    IF kind = 'tag' AND (whole IS NOT NULL OR part = template) THEN
        PERFORM optcache.outbox_add('tag', ARRAY[coalesce(whole, part)], host,
                                    NULL, soft);

    ELSIF kind IN ('uri', 'prefix') AND length(part) > 1 THEN
        PERFORM optcache.outbox_add('prefix', ARRAY[part], host, NULL, soft);

    ELSE
        PERFORM optcache.outbox_add('all', ARRAY[''], NULL, NULL, soft);
    END IF;
END
$$;


-- Expressions of the trigger: a value of a kind, of a user as user_digest() has
-- it; that no column is NULL.

CREATE OR REPLACE FUNCTION optcache.watched_value(kind text, template text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF template IS NULL THEN
        RETURN 'NULL::text';
    END IF;

    IF kind = 'user' THEN
        RETURN format('encode(sha256(convert_to(%s, ''UTF8'')), ''hex'')',
                      optcache.template_expression(template, false));
    END IF;

    RETURN optcache.template_expression(template, kind IN ('uri', 'prefix'));
END
$$;

CREATE OR REPLACE FUNCTION optcache.watched_known(template text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(format('r.%I IS DISTINCT FROM NULL',
                                              name), ' AND '), 'true')
            FROM unnest(optcache.template_columns(template)) AS name);
END
$$;


-- The whole query of it: values of a kind, and users that narrow them.  OFFSET
-- keeps a value from being made once more to be compared.

CREATE OR REPLACE FUNCTION optcache.watched_query(op text, kind text,
    template text, narrow text, most int) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format(
        'SELECT array_agg(v), array_agg(u) FROM (SELECT DISTINCT v, u'
        ' FROM (SELECT %s COLLATE "C" AS v, %s COLLATE "C" AS u'
        ' FROM (%s) AS r WHERE %s OFFSET 0) AS s WHERE v LIKE %L LIMIT %s)'
        ' AS s',
        optcache.watched_value(kind, template),
        optcache.watched_value('user', narrow),
        CASE op WHEN 'INSERT' THEN 'TABLE optcache_new'
                WHEN 'DELETE' THEN 'TABLE optcache_old'
                ELSE 'TABLE optcache_old UNION ALL TABLE optcache_new' END,
        optcache.watched_known(template || coalesce(narrow, '')),
        CASE WHEN kind IN ('uri', 'prefix') THEN '/%' ELSE '_%' END,
        most);
END
$$;


-- The name of the triggers of one call of watch().

CREATE OR REPLACE FUNCTION optcache.watched_name(args text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'optcache_' || left(encode(sha256(convert_to($1::text, 'UTF8')),
                                      'hex'), 16)
$$;


-- The table, and all of its partitions or whatever inherits from it: a statement
-- that names one of them is told of by that one's triggers only.

CREATE OR REPLACE FUNCTION optcache.watched_tables(relation regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE tree (relid) AS (
        SELECT $1::oid
        UNION
        SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = relid)
    SELECT oid::regclass
    FROM pg_class JOIN tree ON oid = relid
    WHERE relkind IN ('r', 'p') AND NOT pg_is_other_temp_schema(relnamespace)
$$;


-- Watches a table: invalidates what the rows are about that a statement
-- inserts, changes (as they were, and as they are) or deletes.  "tag", "uri",
-- "prefix" and "for_user" are templates: {column} stands for its value.  A row
-- with a NULL there is about nothing.  In a URI a value is escaped, unless the
-- template is nothing but a column that has URIs.  With "uri", "for_user"
-- narrows it; without, all of the user is invalidated.
--
-- May be called again, with other templates, too, which are added; and is to
-- be when a partition was attached, or another table inherits from it.

CREATE OR REPLACE FUNCTION optcache.watch(relation regclass,
    tag text DEFAULT NULL, uri text DEFAULT NULL, prefix text DEFAULT NULL,
    for_user text DEFAULT NULL, host text DEFAULT NULL,
    soft boolean DEFAULT false, truncate_tag text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    args   text[];
    name   text;
    event  text;
    rel    regclass;
    t      text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class
                   WHERE oid = relation AND relkind IN ('r', 'p'))
    THEN
        RAISE 'optcache: % is not a table', coalesce(relation::text, 'NULL')
              USING ERRCODE = 'wrong_object_type';
    END IF;

    IF num_nonnulls(tag, uri, prefix, for_user) = 0 THEN
        RAISE 'optcache: none of "tag", "uri", "prefix", "for_user" is given'
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF truncate_tag = '' OR (truncate_tag IS NOT NULL AND tag IS NULL) THEN
        RAISE 'optcache: "truncate_tag" needs "tag", and a value'
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    FOREACH t IN ARRAY array_remove(ARRAY[tag, uri, prefix, for_user], NULL)
    LOOP
        PERFORM optcache.template_check(relation, t);
    END LOOP;

    FOREACH t IN ARRAY array_remove(ARRAY[uri, prefix], NULL)
    LOOP
        IF t COLLATE "C" !~ '^(/|[{][^{}]+[}]$)' THEN
            RAISE 'optcache: template % of a URI, expected "/..." or nothing '
                  'but one column', quote_literal(t)
                  USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;

    args := optcache.watched_args(tag, uri, prefix, for_user, host, soft,
                                  truncate_tag);
    name := optcache.watched_name(args);

    FOR rel IN SELECT * FROM optcache.watched_tables(relation) LOOP
        FOREACH event IN ARRAY '{insert,update,delete,truncate}'::text[] LOOP

            CONTINUE WHEN EXISTS (
                SELECT FROM pg_trigger
                WHERE tgrelid = rel
                      AND tgname = (name || '_' || event) COLLATE "C");

            EXIT WHEN NOT optcache.watched_change(relation, rel, format(
                'CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT'
                ' EXECUTE FUNCTION optcache.watched(%s)',
                name || '_' || event, event, rel,
                CASE event
                WHEN 'insert' THEN 'REFERENCING NEW TABLE AS optcache_new'
                WHEN 'delete' THEN 'REFERENCING OLD TABLE AS optcache_old'
                WHEN 'update' THEN 'REFERENCING OLD TABLE AS optcache_old'
                                   ' NEW TABLE AS optcache_new'
                END,
                (SELECT string_agg(quote_literal(a), ', ' ORDER BY i)
                 FROM unnest(args) WITH ORDINALITY AS u (a, i))));
        END LOOP;
    END LOOP;
END
$$;


-- Makes or drops a trigger, as the caller.  That of a table which inherits from
-- the one that is named may not be for him to make: he is warned then.

CREATE OR REPLACE FUNCTION optcache.watched_change(relation regclass,
    rel regclass, command text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE command;
    RETURN true;

EXCEPTION WHEN insufficient_privilege THEN

    IF rel = relation THEN
        RAISE;
    END IF;

    RAISE WARNING 'optcache: %, which inherits from %, is left as it is: %',
                  rel, relation, SQLERRM;
    RETURN false;
END
$$;


CREATE OR REPLACE FUNCTION optcache.watched_args(tag text, uri text,
    prefix text, for_user text, host text, soft boolean, truncate_tag text)
RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY[coalesce($1, ''), coalesce($2, ''), coalesce($3, ''),
                 coalesce($4, ''), coalesce(optcache.host_name($5), ''),
                 coalesce($6, false)::text, coalesce($7, '')]
$$;


CREATE OR REPLACE FUNCTION optcache.template_check(relation regclass,
    template text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost  text;
BEGIN
    IF template COLLATE "C" !~ '^([^{}]+|[{][^{}]+[}])+$'
       OR octet_length(template) > 2048
    THEN
        RAISE 'optcache: invalid template %, expected text with {column}',
              quote_literal(left(template, 64))
              USING ERRCODE = 'invalid_parameter_value';
    END IF;

    lost := optcache.template_lost(relation, template);

    IF lost IS NOT NULL THEN
        RAISE 'optcache: % has no column %', relation, quote_ident(lost)
              USING ERRCODE = 'undefined_column';
    END IF;
END
$$;


-- Watches it no longer: with these templates, or not at all if none is given.
-- Returns how many triggers are gone.  What inherits from it keeps those that it
-- has by a watch of its own with other templates, and by another parent.

CREATE OR REPLACE FUNCTION optcache.unwatch(relation regclass,
    tag text DEFAULT NULL, uri text DEFAULT NULL, prefix text DEFAULT NULL,
    for_user text DEFAULT NULL, host text DEFAULT NULL,
    soft boolean DEFAULT false, truncate_tag text DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name  text;
    gone  integer := 0;
    tree  oid[];
    r     record;
BEGIN
    tree := ARRAY(SELECT t::oid FROM optcache.watched_tables(relation) AS t);

    name := optcache.watched_name(optcache.watched_args(tag, uri, prefix,
                for_user, host, soft, truncate_tag)) || '_';

    FOR r IN
        SELECT tg.tgname, tg.tgrelid::regclass AS rel
        FROM pg_trigger AS tg
        WHERE tg.tgfoid = 'optcache.watched()'::regprocedure
              AND tg.tgrelid = ANY (tree)
              AND (num_nonnulls(tag, uri, prefix, for_user) = 0
                   OR left(tg.tgname, length(name)) = name COLLATE "C")
              AND (tg.tgrelid = relation
                   OR EXISTS (SELECT FROM pg_trigger AS p
                              WHERE p.tgrelid = relation
                                    AND p.tgname = tg.tgname))
              AND NOT EXISTS (
                  SELECT FROM pg_inherits JOIN pg_trigger AS p
                              ON p.tgrelid = inhparent
                  WHERE inhrelid = tg.tgrelid AND p.tgname = tg.tgname
                        AND tg.tgrelid <> relation
                        AND inhparent <> ALL (tree))
        ORDER BY tg.tgrelid = relation DESC
    LOOP
        IF optcache.watched_change(relation, r.rel,
               format('DROP TRIGGER %I ON %s', r.tgname, r.rel))
        THEN
            gone := gone + 1;
        END IF;
    END LOOP;

    RETURN gone;
END
$$;


-- Deletes rows that have been visible for so long, at most 10000 at a time;
-- returns how many.  nginx calls it; when several do, one of them deletes.
--
-- What was restored from a dump may have numbers that this cluster has yet to
-- give away, and would say of rows to come that they were visible long ago: it
-- is deleted.  In case it has given them away meanwhile, a row that was written
-- since is kept, unless the clock was set back.

CREATE OR REPLACE FUNCTION optcache.cleanup(keep interval DEFAULT '1 day')
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen  record;
    gone  integer := 0;
BEGIN
    IF keep IS NULL OR keep < interval '0' THEN
        RAISE 'optcache: rows cannot be kept for %', coalesce(keep::text,
              'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- not an advisory lock, which anybody might hold

    BEGIN
        LOCK TABLE optcache.outbox_mark IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;

    PERFORM optcache.outbox_repair();

    -- a clock that was set back would let marks wait for it

    UPDATE optcache.outbox_mark SET made = clock_timestamp()
    WHERE made > clock_timestamp();

    INSERT INTO optcache.outbox_mark (snapshot)
    SELECT txid_current_snapshot()
    WHERE NOT EXISTS (SELECT FROM optcache.outbox_mark
                      WHERE made > clock_timestamp() - keep / 24);

    SELECT made, snapshot INTO seen
    FROM optcache.outbox_mark
    WHERE made <= clock_timestamp() - keep
    ORDER BY made DESC LIMIT 1;

    IF NOT FOUND THEN
        RETURN 0;
    END IF;

    DELETE FROM optcache.outbox_mark WHERE made < seen.made;

    DELETE FROM optcache.outbox
    WHERE id IN (SELECT id FROM optcache.outbox
                 WHERE xact < txid_snapshot_xmax(seen.snapshot)
                       AND txid_visible_in_snapshot(xact, seen.snapshot)
                       AND created NOT BETWEEN clock_timestamp() - keep
                                               AND clock_timestamp()
                 ORDER BY xact LIMIT 10000);

    GET DIAGNOSTICS gone = ROW_COUNT;

    IF gone > 0 THEN
        INSERT INTO optcache.outbox_cleaned (snapshot) VALUES (seen.snapshot)
        ON CONFLICT (one) DO UPDATE SET snapshot = excluded.snapshot;
    END IF;

    RETURN gone;
END
$$;


-- Deletes what has numbers of the future.  Rows of this transaction may seem
-- to: its snapshot ends where the last one that is over has left it.

CREATE OR REPLACE FUNCTION optcache.outbox_repair() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM optcache.outbox_mark
    WHERE txid_snapshot_xmax(snapshot)
          > txid_snapshot_xmax(txid_current_snapshot());

    DELETE FROM optcache.outbox_cleaned
    WHERE txid_snapshot_xmax(snapshot)
          > txid_snapshot_xmax(txid_current_snapshot());

    DELETE FROM optcache.outbox
    WHERE xact >= txid_snapshot_xmax(txid_current_snapshot())
          AND xact <> txid_current();
$$;


-- Which table this is, of all there may be, and the timeline of its server:
-- the numbers of transactions mean something only there.  0: not to be known.
--
-- After a crash numbers are given away again that were not written down, on the
-- same timeline; and the server's statistics begin anew, which tells of it.
-- Before PostgreSQL 15 they had to be read from a file, each time.

CREATE OR REPLACE FUNCTION optcache.outbox_identity(OUT identity text,
    OUT timeline text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    BEGIN
        SELECT system_identifier::text INTO identity FROM pg_control_system();
    EXCEPTION WHEN insufficient_privilege THEN
        identity := '0';
    END;

    BEGIN
        timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);

        IF current_setting('server_version_num')::int >= 150000 THEN
            timeline := concat_ws('/', timeline, (1000000 * extract(epoch
                            FROM pg_stat_get_bgwriter_stat_reset_time()
                        ))::bigint);
        END IF;

    EXCEPTION WHEN insufficient_privilege
              OR object_not_in_prerequisite_state THEN
        timeline := '0';
    END;

    SELECT concat_ws('/', identity, oid, 'optcache.outbox'::regclass::oid)
    INTO identity
    FROM pg_database WHERE datname = current_database();
END
$$;


-- Nobody may, but who is told to.

REVOKE ALL ON FUNCTION
    optcache.invalidate(text, text, text, boolean, text),
    optcache.outbox_add(text, text[], text, text[], boolean),
    optcache.outbox_repair(),
    optcache.watch(regclass, text, text, text, text, text, boolean, text),
    optcache.unwatch(regclass, text, text, text, text, text, boolean, text),
    optcache.watched(),
    optcache.cleanup(interval),
    optcache.outbox_identity() FROM PUBLIC;

COMMIT;
