
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_postgres_chain.h"


#define NGX_OPTCACHE_POSTGRES_PROBES  "optcache_probe_"
#define NGX_OPTCACHE_POSTGRES_QUERY   128    /* bytes */


static void ngx_optcache_postgres_server_handler(void *data,
    PGresult *result);
static void ngx_optcache_postgres_listen_handler(void *data,
    PGresult *result);
static void ngx_optcache_postgres_channel_handler(void *data,
    PGresult *result);
static void ngx_optcache_postgres_probe_handler(void *data, PGresult *result);
static ngx_uint_t ngx_optcache_postgres_mute(ngx_optcache_postgres_t *op,
    PGresult *result);
static void ngx_optcache_postgres_identify(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_identity_handler(void *data,
    PGresult *result);
static void ngx_optcache_postgres_known(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_known_handler(void *data, PGresult *result);
static void ngx_optcache_postgres_fresh(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_fresh_handler(void *data, PGresult *result);
static void ngx_optcache_postgres_lost(ngx_optcache_postgres_t *op,
    const char *why);
static void ngx_optcache_postgres_greeted(ngx_optcache_postgres_t *op);


void
ngx_optcache_postgres_hello(ngx_optcache_postgres_t *op)
{
    u_char     pid[NGX_INT_T_LEN];
    ngx_str_t  param;

    param.data = pid;
    param.len = ngx_sprintf(pid, "%ui", ngx_pgsql_conn_pid(op->conn)) - pid;

    ngx_optcache_postgres_query(op, "SELECT pg_catalog.pg_is_in_recovery(),"
                                " pg_catalog.pg_backend_pid(),"
                                " " NGX_PGSQL_WAIT_LESS("$1"), 1, &param,
                                ngx_optcache_postgres_server_handler);
}


/*
 * A standby cannot be listened to.  A pooler tells of a process of its own in
 * the beginning; in transaction mode it may well pass the probe, if it happens
 * to lend the same connection again, and yet forget that somebody listens.
 */

static void
ngx_optcache_postgres_server_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    ngx_int_t   pid;
    ngx_str_t   value;
    ngx_uint_t  pooled;

    if (ngx_pgsql_conn_result(op->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_optcache_postgres_flag(result, 0)) {
        ngx_optcache_postgres_state(op, NGX_OPTCACHE_POSTGRES_STANDBY);
        ngx_pgsql_conn_fail(op->conn, "it is a standby, where nothing can be "
                                      "listened to");
        return;
    }

    if (ngx_pgsql_result_value(result, 0, 1, &value) != NGX_OK) {
        ngx_str_null(&value);
    }

    pid = ngx_atoi(value.data, value.len);

    pooled = (pid < 0 || (ngx_uint_t) pid != ngx_pgsql_conn_pid(op->conn));

    if (pooled && !op->shm->pooled) {
        ngx_log_error(NGX_LOG_WARN, op->log, 0,
                      "postgres of \"optcache_postgres\" is behind a pooler, "
                      "which may lose notifications: it is asked each second, "
                      "too");
    }

    op->shm->pooled = pooled;

    ngx_optcache_postgres_query(op, "LISTEN optcache", 0, NULL,
                                ngx_optcache_postgres_listen_handler);
}


static void
ngx_optcache_postgres_listen_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    u_char  query[NGX_OPTCACHE_POSTGRES_QUERY];

    if (ngx_optcache_postgres_mute(op, result)) {
        return;
    }

    (void) ngx_sprintf(op->token, "%08xD%08xD%Z", (uint32_t) ngx_random(),
                       (uint32_t) (ngx_random() ^ ngx_pid));

    (void) ngx_sprintf(query, "LISTEN " NGX_OPTCACHE_POSTGRES_PROBES "%s%Z",
                       op->token);

    ngx_optcache_postgres_query(op, (char *) query, 0, NULL,
                                ngx_optcache_postgres_channel_handler);
}


static void
ngx_optcache_postgres_channel_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    u_char  query[NGX_OPTCACHE_POSTGRES_QUERY];

    if (ngx_optcache_postgres_mute(op, result)) {
        return;
    }

    (void) ngx_sprintf(query, "NOTIFY " NGX_OPTCACHE_POSTGRES_PROBES "%s, "
                       "'%s'%Z", op->token, op->token);

    op->probe = ngx_redis_tracking_now() + NGX_OPTCACHE_POSTGRES_PROBE;

    ngx_optcache_postgres_query(op, (char *) query, 0, NULL,
                                ngx_optcache_postgres_probe_handler);
}


ngx_uint_t
ngx_optcache_postgres_probed(ngx_optcache_postgres_t *op, const char *channel,
    const char *payload)
{
    size_t  len;

    len = sizeof(NGX_OPTCACHE_POSTGRES_PROBES) - 1;

    if (ngx_strncmp(channel, NGX_OPTCACHE_POSTGRES_PROBES, len) != 0) {
        return 0;
    }

    if (op->probe
        && ngx_strcmp(channel + len, op->token) == 0
        && ngx_strcmp(payload, op->token) == 0)
    {
        op->probe = 0;

        if (!op->shm->pooled) {
            ngx_optcache_postgres_deaf(op, 0);
        }
    }

    return 1;
}


static void
ngx_optcache_postgres_probe_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    if (!ngx_optcache_postgres_mute(op, result)) {
        ngx_optcache_postgres_identify(op);
    }
}


/* Whoever is in between may not know the word: then it is done without. */

static ngx_uint_t
ngx_optcache_postgres_mute(ngx_optcache_postgres_t *op, PGresult *result)
{
    if (result == NULL) {
        return 1;
    }

    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        return 0;
    }

    op->probe = 0;

    ngx_optcache_postgres_deaf(op, 1);
    ngx_optcache_postgres_identify(op);

    return 1;
}


static void
ngx_optcache_postgres_identify(ngx_optcache_postgres_t *op)
{
    ngx_optcache_postgres_query(op, "SELECT identity, timeline"
                                " FROM optcache.outbox_identity()", 0, NULL,
                                ngx_optcache_postgres_identity_handler);
}


static void
ngx_optcache_postgres_identity_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    ngx_optcache_postgres_position_t  *position;

    if (ngx_pgsql_conn_result(op->conn, result) != NGX_OK) {
        return;
    }

    position = &op->position;

    ngx_shmtx_lock(&op->shpool->mutex);

    *position = op->shm->position[op->shm->current];

    ngx_shmtx_unlock(&op->shpool->mutex);

    if (ngx_optcache_postgres_copy(op->bound, NGX_OPTCACHE_POSTGRES_IDENTITY,
                                   result, 0, 0)
        != NGX_OK
        || ngx_optcache_postgres_copy(op->now, NGX_OPTCACHE_POSTGRES_TIMELINE,
                                      result, 0, 1)
           != NGX_OK)
    {
        ngx_pgsql_conn_fail(op->conn, "it tells no identity");
        return;
    }

    if (ngx_strcmp(position->identity, op->bound) == 0) {
        ngx_optcache_postgres_known(op);
        return;
    }

    op->first = (position->identity[0] == '\0');

    (void) ngx_cpystrn(position->identity, op->bound,
                       NGX_OPTCACHE_POSTGRES_IDENTITY);
    (void) ngx_cpystrn(position->timeline, op->now,
                       NGX_OPTCACHE_POSTGRES_TIMELINE);
    ngx_cpystrn(op->cleaned, (u_char *) "", sizeof(op->cleaned));

    if (op->first) {
        ngx_optcache_postgres_fresh(op);

    } else {
        ngx_optcache_postgres_lost(op, "the table is another one");
    }
}


/*
 * It was read before.  Rows that have not been read may have been deleted; or
 * the table is as it was at an earlier time: with numbers of transactions that
 * were in use already, or without the row that was read last, which has not
 * been deleted for its age.
 *
 * Of the numbers between the snapshots those are counted that were under way,
 * which are few: of the others there may be billions.  A snapshot of deleted
 * rows that is ahead of the server is that of another one, by a dump.
 */

static void
ngx_optcache_postgres_known(ngx_optcache_postgres_t *op)
{
    ngx_str_t                     params[4];
    ngx_optcache_postgres_row_t  *row;

    row = &op->position.row;

    ngx_optcache_postgres_text(&params[0], op->position.snapshot);
    ngx_optcache_postgres_text(&params[1], row->id);
    ngx_optcache_postgres_text(&params[2], row->xact);
    ngx_optcache_postgres_text(&params[3], row->created);

    ngx_optcache_postgres_query(op,
        "SELECT c.xmax" NGX_PGSQL_GT "p.was"
        " OR EXISTS (SELECT FROM pg_catalog.txid_snapshot_xip(p.s) AS x"
        " WHERE pg_catalog.txid_visible_in_snapshot(x, c.snapshot)),"
        " (p.was" NGX_PGSQL_OP("-") "p.xmax)" NGX_PGSQL_GT
        "(SELECT pg_catalog.count(*)"
        " FROM pg_catalog.txid_snapshot_xip(p.s) AS x"
        " WHERE x" NGX_PGSQL_GE "p.xmax),"
        " p.id IS NULL OR EXISTS (SELECT FROM optcache.outbox AS o"
        " WHERE o.id" NGX_PGSQL_EQ "p.id AND o.xact" NGX_PGSQL_EQ "p.xact"
        " AND " NGX_PGSQL_UNITS("o.created", "1000000") "::bigint"
        NGX_PGSQL_EQ "p.created)"
        " OR pg_catalog.txid_visible_in_snapshot(p.xact, c.snapshot),"
        " c.xmax"
        " FROM (SELECT $1::pg_catalog.txid_snapshot AS s,"
        " pg_catalog.txid_snapshot_xmax($1::pg_catalog.txid_snapshot) AS was,"
        " pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"
        " AS xmax, "
        NGX_PGSQL_OPTIONAL("$2", "bigint") " AS id, "
        NGX_PGSQL_OPTIONAL("$3", "bigint") " AS xact, "
        NGX_PGSQL_OPTIONAL("$4", "bigint") " AS created) AS p"
        " LEFT JOIN (SELECT snapshot,"
        " pg_catalog.txid_snapshot_xmax(snapshot) AS xmax"
        " FROM optcache.outbox_cleaned) AS c"
        " ON c.xmax" NGX_PGSQL_LE "p.xmax",
        4, params, ngx_optcache_postgres_known_handler);
}


static void
ngx_optcache_postgres_known_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    if (ngx_pgsql_conn_result(op->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_optcache_postgres_copy(op->cleaned, sizeof(op->cleaned), result,
                                   0, 3)
        != NGX_OK)
    {
        op->cleaned[0] = '\0';
    }

    if (ngx_optcache_postgres_flag(result, 0)) {
        ngx_optcache_postgres_lost(op, "rows that were not read are deleted");
        return;
    }

    if (ngx_optcache_postgres_flag(result, 1)
        || !ngx_optcache_postgres_flag(result, 2))
    {
        ngx_optcache_postgres_lost(op, "rows that were read are not there");
        return;
    }

    if (ngx_strcmp(op->position.timeline, op->now) != 0) {

        /* numbers of transactions may have been given away again */

        ngx_log_error(NGX_LOG_NOTICE, op->log, 0,
                      "postgres of \"optcache_postgres\" has a new timeline, "
                      "or had a crash: all of optcache.outbox is read");

        (void) ngx_cpystrn(op->position.timeline, op->now,
                           NGX_OPTCACHE_POSTGRES_TIMELINE);
        (void) ngx_cpystrn(op->position.snapshot,
                           (u_char *) NGX_OPTCACHE_POSTGRES_FIRST,
                           NGX_OPTCACHE_POSTGRES_SNAPSHOT);
    }

    ngx_optcache_postgres_greeted(op);
}


/* From the present on; hosts that find out the same give it the same name. */

static void
ngx_optcache_postgres_lost(ngx_optcache_postgres_t *op, const char *why)
{
    ngx_log_error(NGX_LOG_WARN, op->log, 0,
                  "invalidations of \"optcache_postgres\" may have been "
                  "missed, %s: all is invalidated", why);

    (void) ngx_cpystrn(op->position.timeline, op->now,
                       NGX_OPTCACHE_POSTGRES_TIMELINE);

    op->first = 0;

    ngx_optcache_postgres_fresh(op);
}


/*
 * From where on is it to be read?  A host that begins has an empty L1, and
 * needs none of what was written before; but L2 may have entries of then, and
 * this may be the only host.  All are told again, then: others know by their
 * names which these are.
 */

static void
ngx_optcache_postgres_fresh(ngx_optcache_postgres_t *op)
{
    if (op->first && op->teller->client) {
        (void) ngx_cpystrn(op->position.snapshot,
                           (u_char *) NGX_OPTCACHE_POSTGRES_FIRST,
                           NGX_OPTCACHE_POSTGRES_SNAPSHOT);
        ngx_optcache_postgres_greeted(op);
        return;
    }

    ngx_optcache_postgres_query(op, "SELECT " NGX_OPTCACHE_POSTGRES_SHORT
                                " FROM (SELECT"
                                " pg_catalog.txid_current_snapshot() AS s)"
                                " AS b", 0, NULL,
                                ngx_optcache_postgres_fresh_handler);
}


static void
ngx_optcache_postgres_fresh_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    u_char  name[NGX_OPTCACHE_POSTGRES_ONCE];

    if (ngx_pgsql_conn_result(op->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_optcache_postgres_copy(op->position.snapshot,
                                   NGX_OPTCACHE_POSTGRES_SNAPSHOT, result, 0,
                                   0)
        != NGX_OK)
    {
        ngx_pgsql_conn_fail(op->conn, "it tells no snapshot");
        return;
    }

    if (!op->first) {

        /* after the snapshot: what is visible in it is about to be gone */

        (void) ngx_snprintf(name, sizeof(name), "lost-%s-%s-%s%Z",
                            op->position.timeline, op->cleaned,
                            op->position.row.id);
        ngx_optcache_postgres_tell_all(op, name);

        (void) ngx_atomic_fetch_add(&op->shm->lost, 1);

        ngx_memzero(&op->position.row, sizeof(ngx_optcache_postgres_row_t));
    }

    ngx_optcache_postgres_save(op);
    ngx_optcache_postgres_greeted(op);
}


static void
ngx_optcache_postgres_greeted(ngx_optcache_postgres_t *op)
{
    ngx_log_debug2(NGX_LOG_DEBUG_CORE, op->log, 0,
                   "optcache postgres reads from %s of %s",
                   op->position.snapshot, op->position.identity);

    op->greeted = 1;
    op->busy = 0;

    ngx_optcache_postgres_deaf(op, ngx_shared_number_get(&op->shm->deaf) != 0);
    ngx_optcache_postgres_next(op);
}
