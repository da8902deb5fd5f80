
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_token_postgres_chain.h"


#define NGX_TOKEN_POSTGRES_EXPIRE    10000   /* ms */
#define NGX_TOKEN_POSTGRES_EXPIRED   "1000"  /* rows deleted at once */
#define NGX_TOKEN_POSTGRES_LOST      5000    /* ms, with the connection */
#define NGX_TOKEN_POSTGRES_WRONG     3       /* times a key is, at most */
#define NGX_TOKEN_POSTGRES_REFUSALS  16      /* in a row, then a pause */


static void ngx_token_postgres_store_handler(void *data, PGresult *result);
static ngx_int_t ngx_token_postgres_outcome(PGresult *result);
static void ngx_token_postgres_refused(ngx_token_postgres_t *tp,
    PGresult *result);
static void ngx_token_postgres_stored(ngx_token_postgres_t *tp);
static void ngx_token_postgres_expire_handler(void *data, PGresult *result);


void
ngx_token_postgres_revoke(ngx_token_postgres_t *tp, ngx_str_t *key,
    uint64_t until, uint64_t since)
{
    switch (ngx_token_queue_push(&tp->shm->queue, tp->shpool, key, until,
                                 since))
    {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "a revocation is not stored in postgres: its key cannot "
                      "be text of at most %d bytes", NGX_TOKEN_QUEUE_KEY);
        break;

    default: /* NGX_BUSY */

        if (ngx_atomic_cmp_set(&tp->shm->full, 0, ngx_time())) {
            ngx_log_error(NGX_LOG_ERR, tp->log, 0,
                          "too many revocations wait for postgres, further "
                          "ones are not stored in it");
        }

        break;
    }
}


/* NGX_OK, or NGX_DECLINED if there was nothing to do. */

ngx_int_t
ngx_token_postgres_store(ngx_token_postgres_t *tp)
{
    u_char             ttl[NGX_INT64_LEN], since[NGX_INT64_LEN];
    uint64_t           now;
    ngx_str_t          params[3];
    ngx_token_queue_t *queue;

    queue = &tp->shm->queue;
    now = ngx_limiter_local_now();

    for ( ;; ) {

        if (ngx_token_queue_peek(queue, tp->shpool, now, &tp->item) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (tp->item.until > now) {
            break;
        }

        ngx_token_queue_done(queue, tp->shpool, &tp->item);
    }

    params[0].data = tp->item.key;
    params[0].len = tp->item.len;

    params[1].data = ttl;
    params[1].len = ngx_sprintf(ttl, "%uL", tp->item.until - now) - ttl;

    params[2].data = since;
    params[2].len = 0;

    if (tp->item.since) {
        params[2].len = ngx_sprintf(since, "%uL", tp->item.since) - since;
    }

    ngx_token_postgres_query(tp,
                  "SELECT optcache.token_revoke($1::pg_catalog.text,"
                  " pg_catalog.now()" NGX_PGSQL_OP("+") "($2::double precision"
                  NGX_PGSQL_OP("*") "interval '1 millisecond'),"
                  " pg_catalog.to_timestamp("
                  NGX_PGSQL_OPTIONAL("$3", "double precision") "))",
                  3, params, ngx_token_postgres_store_handler);

    return NGX_OK;
}


/*
 * Whatever it is, it must not keep the others waiting: it may be for this key,
 * even that the server has died.
 */

static void
ngx_token_postgres_store_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    ngx_int_t  rc;

    rc = ngx_token_postgres_outcome(result);

    if (rc == NGX_ERROR) {
        ngx_token_queue_later(&tp->shm->queue, tp->shpool, &tp->item,
                              ngx_limiter_local_now()
                              + NGX_TOKEN_POSTGRES_LOST, 0);

        (void) ngx_pgsql_conn_result(tp->conn, result);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_token_postgres_refused(tp, result);

        tp->busy = 0;

        ngx_token_postgres_next(tp);
        return;
    }

    /* rc == NGX_OK */

    ngx_token_queue_done(&tp->shm->queue, tp->shpool, &tp->item);

    ngx_token_postgres_stored(tp);

    tp->busy = 0;

    ngx_token_postgres_next(tp);
}


/*
 * NGX_OK: it is stored.  NGX_DECLINED: the server refuses this one.  NGX_ERROR:
 * it is not there, or has no time now.
 */

static ngx_int_t
ngx_token_postgres_outcome(PGresult *result)
{
    ngx_uint_t  i;

    static const char  *absent[] = { "08", "40", "53", "55", "57", "58" };

    if (result == NULL) {
        return NGX_ERROR;
    }

    switch (PQresultStatus(result)) {

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        return NGX_OK;

    case PGRES_FATAL_ERROR:
        break;

    default:
        return NGX_ERROR;
    }

    for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (ngx_pgsql_result_class(result, absent[i])) {
            return NGX_ERROR;
        }
    }

    return NGX_DECLINED;
}


/*
 * What the key itself is wrong for is given up.  Other errors may be for what
 * the role may not do, and then it is tried again later, or for this key: it
 * is given up when others were stored each time before it was refused again,
 * but for a server that is read-only, as one behind a pooler may be at times.
 * Only those of the role are logged in full, a trigger could tell the key.
 */

static void
ngx_token_postgres_refused(ngx_token_postgres_t *tp, PGresult *result)
{
    u_char      reason[NGX_PGSQL_RESULT_REASON];
    uint64_t    later;
    ngx_uint_t  wrong;

    wrong = (ngx_pgsql_result_class(result, "22")
             || ngx_pgsql_result_class(result, "23")
             || (tp->item.wrong >= NGX_TOKEN_POSTGRES_WRONG
                 && !ngx_pgsql_result_class(result, "25")));

    ngx_pgsql_result_reason(result, reason);

    if (wrong
        || (!ngx_pgsql_result_class(result, "42")
            && !ngx_pgsql_result_class(result, "25")))
    {
        reason[5] = '\0';
    }

    if (wrong) {
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "a revocation is not stored in postgres: %s", reason);

        ngx_token_queue_done(&tp->shm->queue, tp->shpool, &tp->item);
        return;
    }

    if (!tp->no_store && !tp->item.tried) {
        tp->no_store = 1;
        tp->store_since = ngx_current_msec;

        ngx_log_error(NGX_LOG_ERR, tp->log, 0,
                      "revocations cannot be stored in postgres: %s", reason);
    }

    later = ngx_limiter_local_now() + NGX_TOKEN_POSTGRES_FORBIDDEN;

    ngx_token_queue_later(&tp->shm->queue, tp->shpool, &tp->item, later, 1);

    if (++tp->refusals >= NGX_TOKEN_POSTGRES_REFUSALS) {
        tp->refusals = 0;
        tp->store = later;
    }
}


/* The end of what was logged when it began. */

static void
ngx_token_postgres_stored(ngx_token_postgres_t *tp)
{
    time_t  full;

    tp->refusals = 0;
    tp->shm->queue.stored++;

    full = tp->shm->full;

    if (full && ngx_atomic_cmp_set(&tp->shm->full, full, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, tp->log, 0,
                      "there is room again for revocations to wait for "
                      "postgres, after %Ts", ngx_time() - full);
    }

    if (tp->no_store) {
        tp->no_store = 0;

        ngx_log_error(NGX_LOG_NOTICE, tp->log, 0,
                      "revocations are stored in postgres again after %Mms",
                      ngx_current_msec - tp->store_since);
    }
}


/* Hosts do not wait for each other. */

void
ngx_token_postgres_expire(ngx_token_postgres_t *tp)
{
    ngx_token_postgres_query(tp,
                  "WITH old AS (SELECT id FROM optcache.token_blacklist"
                  " WHERE expires" NGX_PGSQL_LE "pg_catalog.now()"
                  " ORDER BY expires"
                  " LIMIT " NGX_TOKEN_POSTGRES_EXPIRED
                  " FOR UPDATE SKIP LOCKED)"
                  " DELETE FROM optcache.token_blacklist AS b USING old"
                  " WHERE b.id" NGX_PGSQL_EQ "old.id",
                  0, NULL, ngx_token_postgres_expire_handler);
}


static void
ngx_token_postgres_expire_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    u_char    reason[NGX_PGSQL_RESULT_REASON];
    uint64_t  pause;

    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {

        if (!tp->no_expire) {
            tp->expire_since = ngx_current_msec;

            ngx_pgsql_result_reason(result, reason);
            ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                          "expired revocations cannot be deleted in postgres: "
                          "%s", reason);
        }

        tp->no_expire = 1;
        pause = NGX_TOKEN_POSTGRES_FORBIDDEN;

    } else if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;

    } else {
        ngx_pgsql_conn_well(tp->conn);

        pause = (ngx_strcmp(PQcmdTuples(result), NGX_TOKEN_POSTGRES_EXPIRED)
                 == 0) ? 2 * NGX_TOKEN_POSTGRES_TURN
                       : NGX_TOKEN_POSTGRES_EXPIRE;

        if (tp->no_expire) {
            tp->no_expire = 0;

            ngx_log_error(NGX_LOG_NOTICE, tp->log, 0,
                          "expired revocations are deleted in postgres again "
                          "after %Mms", ngx_current_msec - tp->expire_since);
        }
    }

    tp->busy = 0;
    tp->expire = ngx_limiter_local_now() + pause;

    ngx_token_postgres_next(tp);
}
