-- Copyright (C) The Optcache authors

-- The table behind "token_blacklist_postgres": revocations that outlive Redis.
-- PostgreSQL 13 or newer; no extensions; may be run again.
--
--     psql -v ON_ERROR_STOP=1 -f token_blacklist.sql
--
-- The role that nginx connects as needs
--
--     GRANT USAGE ON SCHEMA optcache TO nginx;
--     GRANT SELECT, INSERT, UPDATE, DELETE
--         ON optcache.token_blacklist TO nginx;
--
-- An application revokes with
--
--     SELECT optcache.token_revoke('blacklist:' || encode(sha256(token), 'hex'),
--                                  now() + interval '1 day');
--
-- or by an INSERT of its own.

BEGIN;

SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;


-- As in optcache.sql: nothing here may be of somebody else, who could put code
-- of his own there.

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


-- One row for each key that "token_blacklist" looks for in Redis.  "since" is
-- of keys of "token_blacklist_since_key": tokens issued before are refused.
-- "xact" tells which rows are new to whom; the trigger sets it.

CREATE TABLE IF NOT EXISTS optcache.token_blacklist (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key      text COLLATE "C" NOT NULL UNIQUE
             CHECK (octet_length(key) BETWEEN 1 AND 1024),
    since    timestamptz,
    expires  timestamptz NOT NULL,
    xact     xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE INDEX IF NOT EXISTS token_blacklist_expires
    ON optcache.token_blacklist (expires);

CREATE INDEX IF NOT EXISTS token_blacklist_xact
    ON optcache.token_blacklist (xact, id);


CREATE OR REPLACE FUNCTION optcache.token_blacklist_stamp() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.xact := pg_current_xact_id();
    RETURN NEW;
END
$$;


-- The notification only wakes nginx, which then reads what is new.

CREATE OR REPLACE FUNCTION optcache.token_blacklist_notify() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('optcache_token_blacklist', '');
    RETURN NULL;
END
$$;


DROP TRIGGER IF EXISTS token_blacklist_stamp ON optcache.token_blacklist;

CREATE TRIGGER token_blacklist_stamp
    BEFORE INSERT OR UPDATE ON optcache.token_blacklist
    FOR EACH ROW EXECUTE FUNCTION optcache.token_blacklist_stamp();

DROP TRIGGER IF EXISTS token_blacklist_notify ON optcache.token_blacklist;

CREATE TRIGGER token_blacklist_notify
    AFTER INSERT OR UPDATE ON optcache.token_blacklist
    FOR EACH STATEMENT EXECUTE FUNCTION optcache.token_blacklist_notify();

-- in a subscriber of logical replication, too

ALTER TABLE optcache.token_blacklist
    ENABLE ALWAYS TRIGGER token_blacklist_stamp;

ALTER TABLE optcache.token_blacklist
    ENABLE ALWAYS TRIGGER token_blacklist_notify;


-- A key that is there already stays for longer, never for less.

CREATE OR REPLACE FUNCTION optcache.token_revoke(key text,
    expires timestamptz, since timestamptz DEFAULT NULL) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO optcache.token_blacklist AS b (key, expires, since)
    VALUES ($1, $2, $3)
    ON CONFLICT (key) DO UPDATE
        SET expires = greatest(b.expires, excluded.expires),
            since = greatest(b.since, excluded.since)
        WHERE excluded.expires > b.expires
              OR excluded.since > coalesce(b.since, '-infinity')
$$;

COMMIT;
