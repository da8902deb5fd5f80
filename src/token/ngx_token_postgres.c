
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_limiter_local.h"
#include "ngx_token_postgres.h"


#define NGX_TOKEN_POSTGRES_MAGIC     0x6f707470      /* "optp" */
#define NGX_TOKEN_POSTGRES_VERSION   1

#define NGX_TOKEN_POSTGRES_TURN      50      /* ms, of the keeper */
#define NGX_TOKEN_POSTGRES_SLOW_TURN 250     /* ms, of other workers */
#define NGX_TOKEN_POSTGRES_LATE      1000    /* ms, then another worker is */
#define NGX_TOKEN_POSTGRES_LOOK      1000    /* ms, if nothing is notified */
#define NGX_TOKEN_POSTGRES_EXPIRE    10000   /* ms */
#define NGX_TOKEN_POSTGRES_REFRESH   600000  /* ms, of the marker's life */

#define NGX_TOKEN_POSTGRES_EXPIRED   "1000"  /* rows deleted at once */
#define NGX_TOKEN_POSTGRES_ROWS      "160"   /* NGX_TOKEN_REFILL_ROWS */
#define NGX_TOKEN_POSTGRES_FIRST     "-9223372036854775808"


/* Rows as ngx_token_refill.h has them; one that is expired is left out. */

#define NGX_TOKEN_POSTGRES_COLUMNS                                            \
    "SELECT id, xact,"                                                        \
    " CASE WHEN octet_length(key) BETWEEN 1 AND 1024 THEN key END,"           \
    " CASE WHEN since IS NULL OR since = '-infinity' THEN 1"                  \
    " WHEN since = 'infinity' THEN 9007199254740991"                          \
    " ELSE greatest(ceil(extract(epoch FROM since))::bigint, 1) END,"         \
    " ceil(extract(epoch FROM least(expires, now() + interval '10 years')"    \
    " - now()) * 1000)::bigint"                                               \
    " FROM optcache.token_blacklist WHERE (expires > now()) IS NOT FALSE AND "


/* The snapshot "c", or an earlier one that is shorter. */

#define NGX_TOKEN_POSTGRES_NOW                                                \
    "CASE WHEN length(c::text) < 4000 THEN c::text ELSE"                      \
    " concat(pg_snapshot_xmin(c), ':', pg_snapshot_xmin(c), ':') END"


/*
 * A chain of steps: each is begun when the one before it is done, and while
 * one is under way nothing else is begun.
 */

struct ngx_token_postgres_s {
    ngx_token_postgres_shm_t *shm;
    ngx_slab_pool_t          *shpool;
    ngx_pgsql_conn_t         *conn;
    ngx_redis_client_t       *client;
    ngx_token_marker_t        marker;
    ngx_token_refill_t        refill;
    ngx_event_t               timer;
    ngx_log_t                *log;

    uint64_t                  look;      /* when to do so again */
    uint64_t                  retry;     /* not before this, either */
    uint64_t                  expire;
    uint64_t                  refresh;
    uint64_t                  check;     /* the marker */

    u_char                    identity[NGX_TOKEN_POSTGRES_IDENTITY];
    u_char                    last[NGX_TOKEN_POSTGRES_SNAPSHOT];
    u_char                    snapshot[NGX_TOKEN_POSTGRES_SNAPSHOT];
    u_char                    id[NGX_TOKEN_REFILL_NUMBER + 1];
    u_char                    xact[NGX_TOKEN_REFILL_NUMBER + 1];
    ngx_uint_t                rows;      /* of the last page */
    ngx_uint_t                ignored;   /* when the chain began */
    ngx_token_queue_item_t    item;

    unsigned                  up:1;
    unsigned                  greeted:1;
    unsigned                  busy:1;
    unsigned                  notified:1;
    unsigned                  synced:1;  /* the kept snapshot can be used */
    unsigned                  all:1;     /* the chain is of all rows */
    unsigned                  stored:1;  /* the last chain did */
    unsigned                  no_store:1;
    unsigned                  no_expire:1;
};


static void ngx_token_postgres_timer_handler(ngx_event_t *ev);
static void ngx_token_postgres_check(ngx_token_postgres_t *tp, uint64_t now);
static void ngx_token_postgres_leave(ngx_token_postgres_t *tp);
static void ngx_token_postgres_up_handler(void *data);
static void ngx_token_postgres_down_handler(void *data);
static void ngx_token_postgres_notified_handler(void *data,
    const char *channel, const char *payload);

static void ngx_token_postgres_next(ngx_token_postgres_t *tp);
static void ngx_token_postgres_again(ngx_token_postgres_t *tp, uint64_t pause);
static void ngx_token_postgres_query(ngx_token_postgres_t *tp,
    const char *text, ngx_uint_t n, ngx_str_t *params,
    ngx_pgsql_result_pt handler);
static ngx_int_t ngx_token_postgres_result(ngx_token_postgres_t *tp,
    PGresult *result);

static void ngx_token_postgres_hello_handler(void *data, PGresult *result);
static void ngx_token_postgres_identity_handler(void *data, PGresult *result);

static ngx_int_t ngx_token_postgres_store(ngx_token_postgres_t *tp);
static void ngx_token_postgres_store_handler(void *data, PGresult *result);

static void ngx_token_postgres_fill(ngx_token_postgres_t *tp);
static void ngx_token_postgres_begun_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_snapshot_handler(void *data, PGresult *result);
static void ngx_token_postgres_look(ngx_token_postgres_t *tp);
static void ngx_token_postgres_look_handler(void *data, PGresult *result);
static void ngx_token_postgres_page(ngx_token_postgres_t *tp);
static void ngx_token_postgres_page_handler(void *data, PGresult *result);
static void ngx_token_postgres_written_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_finish_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_finished(ngx_token_postgres_t *tp);

static void ngx_token_postgres_expire(ngx_token_postgres_t *tp);
static void ngx_token_postgres_expire_handler(void *data, PGresult *result);

static ngx_int_t ngx_token_postgres_copy(u_char *buf, size_t size,
    PGresult *result, ngx_uint_t row, ngx_uint_t column);
static void ngx_token_postgres_text(ngx_str_t *text, u_char *buf);


static ngx_pgsql_handlers_t  ngx_token_postgres_handlers = {
    ngx_token_postgres_up_handler,
    ngx_token_postgres_down_handler,
    ngx_token_postgres_notified_handler
};


ngx_int_t
ngx_token_postgres_init(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    ngx_token_postgres_shm_t  *shm;

    shm = shpool->data;

    if (shm) {

        if (shm->magic == NGX_TOKEN_POSTGRES_MAGIC
            && shm->version == NGX_TOKEN_POSTGRES_VERSION)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the zone of \"token_blacklist_postgres\" was laid out "
                      "by another version of the module, nginx must be "
                      "restarted");
        return NGX_ERROR;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_token_postgres_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shm->magic = NGX_TOKEN_POSTGRES_MAGIC;
    shm->version = NGX_TOKEN_POSTGRES_VERSION;

    shpool->data = shm;
    shpool->log_nomem = 0;

    return NGX_OK;
}


ngx_token_postgres_t *
ngx_token_postgres_create(ngx_cycle_t *cycle, ngx_slab_pool_t *shpool,
    ngx_pgsql_conf_t *conf, ngx_redis_client_t *client, ngx_str_t *prefix,
    ngx_array_t *prefixes)
{
    ngx_token_postgres_t  *tp;

    tp = ngx_pcalloc(cycle->pool, sizeof(ngx_token_postgres_t));
    if (tp == NULL) {
        return NULL;
    }

    tp->shm = shpool->data;
    tp->shpool = shpool;
    tp->client = client;
    tp->log = cycle->log;

    tp->refill.client = client;
    tp->refill.marker = &tp->marker;
    tp->refill.prefixes = prefixes;
    tp->refill.own = *prefix;
    tp->refill.data = tp;

    if (ngx_token_marker_init(&tp->marker, cycle->pool, client, prefix,
                              prefixes, &tp->shm->wanted)
        != NGX_OK
        || ngx_token_refill_init(&tp->refill, cycle->pool) != NGX_OK)
    {
        return NULL;
    }

    tp->conn = ngx_pgsql_conn_create(cycle, conf, &ngx_token_postgres_handlers,
                                     tp);
    if (tp->conn == NULL) {
        return NULL;
    }

    tp->timer.handler = ngx_token_postgres_timer_handler;
    tp->timer.data = tp;
    tp->timer.log = cycle->log;
    tp->timer.cancelable = 1;

    ngx_add_timer(&tp->timer, 1 + ngx_worker * 10 % 100);

    return tp;
}


void
ngx_token_postgres_close(ngx_token_postgres_t *tp)
{
    if (tp->timer.timer_set) {
        ngx_del_timer(&tp->timer);
    }

    ngx_token_postgres_leave(tp);
}


ngx_token_marker_t *
ngx_token_postgres_marker(ngx_token_postgres_t *tp)
{
    return &tp->marker;
}


void
ngx_token_postgres_revoke(ngx_token_postgres_t *tp, ngx_str_t *key,
    uint64_t until)
{
    switch (ngx_token_queue_push(&tp->shm->queue, tp->shpool, key, until)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "a revocation is not stored in postgres: its key cannot "
                      "be text of at most %d bytes", NGX_TOKEN_QUEUE_KEY);
        break;

    default: /* NGX_BUSY */

        if (ngx_atomic_cmp_set(&tp->shm->full, 0, 1)) {
            ngx_log_error(NGX_LOG_ERR, tp->log, 0,
                          "too many revocations wait for postgres, further "
                          "ones are not stored in it");
        }

        break;
    }
}


static void
ngx_token_postgres_timer_handler(ngx_event_t *ev)
{
    uint64_t               now;
    ngx_uint_t             keeper;
    ngx_token_postgres_t  *tp;

    tp = ev->data;
    now = ngx_limiter_local_now();

    if (ngx_exiting) {
        ngx_token_postgres_leave(tp);
        return;
    }

    keeper = ngx_keeper_is(&tp->shm->keeper, now, NGX_TOKEN_POSTGRES_LATE);

    /* set first: what follows may call handlers, which leave it alone */

    ngx_add_timer(&tp->timer, keeper ? NGX_TOKEN_POSTGRES_TURN
                                     : NGX_TOKEN_POSTGRES_SLOW_TURN);

    if (!keeper) {
        ngx_token_postgres_leave(tp);
    }

    if (ngx_redis_client_state(tp->client) == NGX_REDIS_UP) {

        if (keeper) {
            ngx_token_postgres_check(tp, now);

        } else if (ngx_token_marker_state(&tp->marker)
                   == NGX_TOKEN_MARKER_UNKNOWN)
        {
            ngx_token_marker_ask(&tp->marker);
        }
    }

    if (keeper) {
        ngx_pgsql_conn_open(tp->conn);
        ngx_token_postgres_next(tp);
    }
}


static void
ngx_token_postgres_check(ngx_token_postgres_t *tp, uint64_t now)
{
    ngx_str_t  argv[3];

    if (tp->shm->wanted
        || now >= tp->check
        || ngx_token_marker_state(&tp->marker) == NGX_TOKEN_MARKER_UNKNOWN)
    {
        tp->check = now + NGX_TOKEN_POSTGRES_LOOK;
        tp->shm->wanted = 0;
        ngx_token_marker_ask(&tp->marker);
    }

    if (now >= tp->refresh
        && ngx_token_marker_state(&tp->marker) == NGX_TOKEN_MARKER_PRESENT)
    {
        tp->refresh = now + NGX_TOKEN_POSTGRES_REFRESH;

        ngx_str_set(&argv[0], "PEXPIRE");
        argv[1] = tp->marker.key;
        ngx_str_set(&argv[2], NGX_TOKEN_MARKER_LIFE);

        (void) ngx_redis_client_send(tp->client, 3, argv, 1, NULL, NULL);
    }
}


static void
ngx_token_postgres_leave(ngx_token_postgres_t *tp)
{
    ngx_token_refill_abandon(&tp->refill);
    ngx_pgsql_conn_close(tp->conn);
    ngx_keeper_leave(&tp->shm->keeper);

    tp->up = 0;
    tp->greeted = 0;
    tp->busy = 0;
}


static void
ngx_token_postgres_up_handler(void *data)
{
    ngx_token_postgres_t *tp = data;

    tp->up = 1;
    tp->greeted = 0;
    tp->busy = 0;
    tp->no_store = 0;
    tp->no_expire = 0;
    tp->look = 0;
    tp->expire = 0;

    ngx_token_postgres_next(tp);
}


static void
ngx_token_postgres_down_handler(void *data)
{
    ngx_token_postgres_t *tp = data;

    ngx_token_refill_abandon(&tp->refill);

    tp->up = 0;
    tp->greeted = 0;
    tp->busy = 0;

    if (ngx_exiting) {
        ngx_keeper_leave(&tp->shm->keeper);
    }
}


static void
ngx_token_postgres_notified_handler(void *data, const char *channel,
    const char *payload)
{
    ngx_token_postgres_t *tp = data;

    tp->notified = 1;

    ngx_token_postgres_next(tp);
}


/*
 * Begins the next chain.  What was revoked here goes first, so that it is in
 * the table when Redis is told of that, but never twice in a row before what
 * else there is to do.
 */

static void
ngx_token_postgres_next(ngx_token_postgres_t *tp)
{
    uint64_t    now;
    ngx_uint_t  redis, fill;

    if (!tp->up || tp->busy || !ngx_pgsql_conn_idle(tp->conn)) {
        return;
    }

    if (!tp->greeted) {
        ngx_token_postgres_query(tp, "LISTEN optcache_token_blacklist", 0,
                                 NULL, ngx_token_postgres_hello_handler);
        return;
    }

    now = ngx_limiter_local_now();

    redis = (ngx_redis_client_state(tp->client) == NGX_REDIS_UP
             && ngx_token_marker_state(&tp->marker)
                != NGX_TOKEN_MARKER_UNKNOWN);

    fill = (redis
            && (!tp->synced
                || ngx_token_marker_state(&tp->marker)
                   == NGX_TOKEN_MARKER_ABSENT));

    fill = fill && now >= tp->retry;

    redis = (redis && tp->synced && now >= tp->retry
             && (now >= tp->look || tp->notified));

    if (tp->shm->queue.n
        && !tp->no_store
        && !(tp->stored && (fill || redis))
        && ngx_token_postgres_store(tp) == NGX_OK)
    {
        tp->stored = 1;
        return;
    }

    tp->stored = 0;

    if (fill) {
        ngx_token_postgres_fill(tp);

    } else if (redis) {
        ngx_token_postgres_look(tp);

    } else if (now >= tp->expire && !tp->no_expire) {
        ngx_token_postgres_expire(tp);
    }
}


/* Redis did not do it: the chain ends, and another begins after a pause. */

static void
ngx_token_postgres_again(ngx_token_postgres_t *tp, uint64_t pause)
{
    tp->busy = 0;
    tp->retry = ngx_limiter_local_now() + pause;
    tp->look = tp->retry;

    ngx_token_postgres_next(tp);
}


static void
ngx_token_postgres_query(ngx_token_postgres_t *tp, const char *text,
    ngx_uint_t n, ngx_str_t *params, ngx_pgsql_result_pt handler)
{
    tp->busy = 1;

    if (ngx_pgsql_conn_query(tp->conn, text, n, params, handler) != NGX_OK) {
        tp->busy = 0;
    }
}


/* NGX_ERROR: the chain is over, and the connection perhaps. */

static ngx_int_t
ngx_token_postgres_result(ngx_token_postgres_t *tp, PGresult *result)
{
    u_char          reason[NGX_PGSQL_CONN_REASON];
    ExecStatusType  status;

    if (result == NULL) {
        return NGX_ERROR;
    }

    status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return NGX_OK;
    }

    ngx_pgsql_result_reason(result, reason);
    ngx_pgsql_conn_fail(tp->conn, (char *) reason);

    return NGX_ERROR;
}


static void
ngx_token_postgres_hello_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    ngx_token_postgres_query(tp,
                  "SELECT concat_ws('/',"
                  " extract(epoch FROM pg_postmaster_start_time()),"
                  " (SELECT oid FROM pg_catalog.pg_database"
                  " WHERE datname = current_database()),"
                  " 'optcache.token_blacklist'::regclass::oid)",
                  0, NULL, ngx_token_postgres_identity_handler);
}


/* All rows are read, if this is not where the last snapshot was taken. */

static void
ngx_token_postgres_identity_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    u_char  buf[64];

    if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(buf, sizeof(buf), result, 0, 0) != NGX_OK) {
        ngx_pgsql_conn_fail(tp->conn, "it tells no identity");
        return;
    }

    ngx_memzero(tp->identity, NGX_TOKEN_POSTGRES_IDENTITY);
    (void) ngx_snprintf(tp->identity, NGX_TOKEN_POSTGRES_IDENTITY - 1,
                        "%*s/%s", (size_t) 16,
                        tp->marker.key.data + tp->marker.key.len - 16, buf);

    ngx_shmtx_lock(&tp->shpool->mutex);

    tp->synced = (ngx_memcmp(tp->identity, tp->shm->identity,
                             NGX_TOKEN_POSTGRES_IDENTITY)
                  == 0);

    ngx_shmtx_unlock(&tp->shpool->mutex);

    ngx_pgsql_conn_well(tp->conn);

    tp->greeted = 1;
    tp->busy = 0;

    ngx_token_postgres_next(tp);
}


/* NGX_OK, or NGX_DECLINED if there was nothing to do. */

static ngx_int_t
ngx_token_postgres_store(ngx_token_postgres_t *tp)
{
    u_char             ttl[NGX_INT64_LEN];
    uint64_t           now;
    ngx_str_t          params[2];
    ngx_token_queue_t *queue;

    queue = &tp->shm->queue;
    now = ngx_limiter_local_now();

    for ( ;; ) {

        if (ngx_token_queue_peek(queue, tp->shpool, &tp->item) != NGX_OK) {
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

    ngx_token_postgres_query(tp,
                  "SELECT optcache.token_revoke($1::text,"
                  " now() + $2::bigint * interval '1 millisecond')",
                  2, params, ngx_token_postgres_store_handler);

    return NGX_OK;
}


/*
 * What the key itself is wrong for is given up; what the role may not do is
 * tried again with another connection.
 */

static void
ngx_token_postgres_store_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    u_char  reason[NGX_PGSQL_CONN_REASON];

    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {

        ngx_pgsql_result_reason(result, reason);

        if (ngx_pgsql_result_class(result, "22")
            || ngx_pgsql_result_class(result, "23"))
        {
            reason[5] = '\0';
            ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                          "a revocation is not stored in postgres: %s",
                          reason);

        } else if (ngx_pgsql_result_class(result, "42")
                   || ngx_pgsql_result_class(result, "25"))
        {
            ngx_log_error(NGX_LOG_ERR, tp->log, 0,
                          "revocations cannot be stored in postgres: %s",
                          reason);
            tp->no_store = 1;
            tp->busy = 0;
            return;

        } else {
            ngx_pgsql_conn_fail(tp->conn, (char *) reason);
            return;
        }

    } else if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    ngx_token_queue_done(&tp->shm->queue, tp->shpool, &tp->item);

    tp->shm->full = 0;
    tp->busy = 0;

    ngx_token_postgres_next(tp);
}


static void
ngx_token_postgres_fill(ngx_token_postgres_t *tp)
{
    tp->busy = 1;
    tp->all = 1;
    tp->notified = 0;
    tp->ignored = tp->refill.ignored;

    if (ngx_token_refill_begin(&tp->refill, ngx_token_postgres_begun_handler)
        != NGX_AGAIN)
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_LOOK);
    }
}


static void
ngx_token_postgres_begun_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK) {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_LOOK);
        return;
    }

    ngx_token_postgres_query(tp, "SELECT " NGX_TOKEN_POSTGRES_NOW
                             " FROM (SELECT pg_current_snapshot() AS c) AS s",
                             0, NULL, ngx_token_postgres_snapshot_handler);
}


static void
ngx_token_postgres_snapshot_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(tp->snapshot, NGX_TOKEN_POSTGRES_SNAPSHOT,
                                result, 0, 0)
        != NGX_OK)
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no snapshot");
        return;
    }

    (void) ngx_cpystrn(tp->id, (u_char *) NGX_TOKEN_POSTGRES_FIRST,
                       sizeof(tp->id));

    ngx_token_postgres_page(tp);
}


static void
ngx_token_postgres_look(ngx_token_postgres_t *tp)
{
    ngx_str_t  param;

    tp->all = 0;
    tp->notified = 0;
    tp->ignored = tp->refill.ignored;

    ngx_shmtx_lock(&tp->shpool->mutex);

    ngx_memcpy(tp->last, tp->shm->snapshot, NGX_TOKEN_POSTGRES_SNAPSHOT);

    ngx_shmtx_unlock(&tp->shpool->mutex);

    ngx_token_postgres_text(&param, tp->last);

    ngx_token_postgres_query(tp,
                  "SELECT " NGX_TOKEN_POSTGRES_NOW ", pg_snapshot_xmin(s),"
                  " EXISTS (SELECT FROM optcache.token_blacklist"
                  " WHERE xact >= pg_snapshot_xmin(s)"
                  " AND NOT pg_visible_in_snapshot(xact, s)"
                  " AND pg_visible_in_snapshot(xact, c))"
                  " FROM (SELECT pg_current_snapshot() AS c,"
                  " $1::pg_snapshot AS s) AS s",
                  1, &param, ngx_token_postgres_look_handler);
}


static void
ngx_token_postgres_look_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    ngx_str_t  any;

    if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(tp->snapshot, NGX_TOKEN_POSTGRES_SNAPSHOT,
                                result, 0, 0)
        != NGX_OK
        || ngx_token_postgres_copy(tp->xact, sizeof(tp->xact), result, 0, 1)
           != NGX_OK
        || ngx_pgsql_result_value(result, 0, 2, &any) != NGX_OK)
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no snapshot");
        return;
    }

    if (any.len == 1 && any.data[0] == 'f') {
        ngx_token_postgres_finished(tp);
        return;
    }

    (void) ngx_cpystrn(tp->id, (u_char *) NGX_TOKEN_POSTGRES_FIRST,
                       sizeof(tp->id));

    ngx_token_postgres_page(tp);
}


static void
ngx_token_postgres_page(ngx_token_postgres_t *tp)
{
    ngx_str_t  params[3];

    ngx_token_postgres_text(&params[0], tp->id);

    if (tp->all) {
        ngx_token_postgres_query(tp, NGX_TOKEN_POSTGRES_COLUMNS
                  "id > $1::bigint ORDER BY id LIMIT " NGX_TOKEN_POSTGRES_ROWS,
                  1, params, ngx_token_postgres_page_handler);
        return;
    }

    ngx_token_postgres_text(&params[1], tp->xact);
    ngx_token_postgres_text(&params[2], tp->last);

    ngx_token_postgres_query(tp, NGX_TOKEN_POSTGRES_COLUMNS
                  "(xact, id) > ($2::xid8, $1::bigint)"
                  " AND NOT pg_visible_in_snapshot(xact, $3::pg_snapshot)"
                  " AND pg_visible_in_snapshot(xact, pg_current_snapshot())"
                  " ORDER BY xact, id LIMIT " NGX_TOKEN_POSTGRES_ROWS,
                  3, params, ngx_token_postgres_page_handler);
}


static void
ngx_token_postgres_page_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    ngx_int_t  rc;

    if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    tp->rows = PQntuples(result);

    if (tp->rows
        && (ngx_token_postgres_copy(tp->id, sizeof(tp->id), result,
                                    tp->rows - 1, NGX_TOKEN_REFILL_ID)
            != NGX_OK
            || ngx_token_postgres_copy(tp->xact, sizeof(tp->xact), result,
                                       tp->rows - 1, NGX_TOKEN_REFILL_XACT)
               != NGX_OK))
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no number of a row");
        return;
    }

    rc = ngx_token_refill_write(&tp->refill, result, tp->all,
                                ngx_token_postgres_written_handler);

    if (rc != NGX_AGAIN) {
        ngx_token_postgres_written_handler(tp, rc);
    }
}


static void
ngx_token_postgres_written_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK) {
        /* not all at once if Redis is going to be lost again and again */
        ngx_token_postgres_again(tp, rc == NGX_DECLINED
                                     ? NGX_TOKEN_POSTGRES_TURN
                                     : NGX_TOKEN_POSTGRES_LOOK);
        return;
    }

    if (tp->rows == NGX_TOKEN_REFILL_ROWS) {
        ngx_token_postgres_page(tp);
        return;
    }

    if (!tp->all) {
        ngx_token_postgres_finished(tp);
        return;
    }

    if (ngx_token_refill_finish(&tp->refill, ngx_token_postgres_finish_handler)
        != NGX_AGAIN)
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_TURN);
    }
}


static void
ngx_token_postgres_finish_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK
        || tp->refill.era != ngx_redis_client_era(tp->client))
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_TURN);
        return;
    }

    if (tp->marker.state == NGX_TOKEN_MARKER_ABSENT) {
        ngx_log_error(NGX_LOG_NOTICE, tp->log, 0,
                      "redis was told of all revocations in postgres");
    }

    tp->synced = 1;
    tp->marker.state = NGX_TOKEN_MARKER_PRESENT;

    ngx_token_postgres_finished(tp);
}


/* Redis has all that the new snapshot shows. */

static void
ngx_token_postgres_finished(ngx_token_postgres_t *tp)
{
    ngx_token_postgres_shm_t  *shm;

    shm = tp->shm;

    ngx_shmtx_lock(&tp->shpool->mutex);

    ngx_memcpy(shm->identity, tp->identity, NGX_TOKEN_POSTGRES_IDENTITY);
    (void) ngx_cpystrn(shm->snapshot, tp->snapshot,
                       NGX_TOKEN_POSTGRES_SNAPSHOT);

    ngx_shmtx_unlock(&tp->shpool->mutex);

    if (tp->refill.ignored != tp->ignored) {
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "%ui rows of optcache.token_blacklist are ignored, they "
                      "cannot be revocations",
                      tp->refill.ignored - tp->ignored);
    }

    tp->busy = 0;
    tp->look = ngx_limiter_local_now() + NGX_TOKEN_POSTGRES_LOOK;

    ngx_token_postgres_next(tp);
}


/* Hosts do not wait for each other. */

static void
ngx_token_postgres_expire(ngx_token_postgres_t *tp)
{
    ngx_token_postgres_query(tp,
                  "WITH old AS (SELECT id FROM optcache.token_blacklist"
                  " WHERE expires <= now() ORDER BY expires"
                  " LIMIT " NGX_TOKEN_POSTGRES_EXPIRED
                  " FOR UPDATE SKIP LOCKED)"
                  " DELETE FROM optcache.token_blacklist b USING old"
                  " WHERE b.id = old.id",
                  0, NULL, ngx_token_postgres_expire_handler);
}


static void
ngx_token_postgres_expire_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    u_char  reason[NGX_PGSQL_CONN_REASON];

    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        ngx_pgsql_result_reason(result, reason);
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "expired revocations cannot be deleted in postgres: %s",
                      reason);
        tp->no_expire = 1;

    } else if (ngx_token_postgres_result(tp, result) != NGX_OK) {
        return;
    }

    tp->busy = 0;
    tp->expire = ngx_limiter_local_now();

    if (ngx_strcmp(PQcmdTuples(result), NGX_TOKEN_POSTGRES_EXPIRED) != 0) {
        tp->expire += NGX_TOKEN_POSTGRES_EXPIRE;

    } else {
        tp->expire += 2 * NGX_TOKEN_POSTGRES_TURN;
    }

    ngx_token_postgres_next(tp);
}


/* Numbers and what is between them; NGX_DECLINED if it is anything else. */

static ngx_int_t
ngx_token_postgres_copy(u_char *buf, size_t size, PGresult *result,
    ngx_uint_t row, ngx_uint_t column)
{
    size_t     i;
    ngx_str_t  value;

    if (ngx_pgsql_result_value(result, row, column, &value) != NGX_OK
        || value.len == 0
        || value.len >= size)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < value.len; i++) {
        if (ngx_strchr("0123456789:,./-", value.data[i]) == NULL) {
            return NGX_DECLINED;
        }
    }

    ngx_memcpy(buf, value.data, value.len);
    buf[value.len] = '\0';

    return NGX_OK;
}


static void
ngx_token_postgres_text(ngx_str_t *text, u_char *buf)
{
    text->data = buf;
    text->len = ngx_strlen(buf);
}
