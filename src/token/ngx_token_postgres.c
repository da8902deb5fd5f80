
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_token_postgres_chain.h"


#define NGX_TOKEN_POSTGRES_MAGIC     0x6f707470      /* "optp" */
#define NGX_TOKEN_POSTGRES_VERSION   5

#define NGX_TOKEN_POSTGRES_SLOW_TURN 250     /* ms, of other workers */
#define NGX_TOKEN_POSTGRES_LATE      1000    /* ms, then another worker is */
#define NGX_TOKEN_POSTGRES_REFRESH   600000  /* ms, of the marker's life */

/* ms, of a cluster: between two times because of its servers, and at last */
#define NGX_TOKEN_POSTGRES_CALM      5000
#define NGX_TOKEN_POSTGRES_REFILL    (12 * 60 * 60 * 1000)


static void ngx_token_postgres_timer_handler(ngx_event_t *ev);
static void ngx_token_postgres_check(ngx_token_postgres_t *tp, uint64_t now);
static void ngx_token_postgres_check_cluster(ngx_token_postgres_t *tp,
    uint64_t now);
static void ngx_token_postgres_leave(ngx_token_postgres_t *tp);
static void ngx_token_postgres_up_handler(void *data);
static void ngx_token_postgres_down_handler(void *data);
static void ngx_token_postgres_notified_handler(void *data,
    const char *channel, const char *payload);
static void ngx_token_postgres_hello_handler(void *data, PGresult *result);
static void ngx_token_postgres_identity_handler(void *data, PGresult *result);


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
    if (shm == NULL || ngx_token_queue_init(&shm->queue, shpool) != NGX_OK) {
        return NGX_ERROR;
    }

    shm->magic = NGX_TOKEN_POSTGRES_MAGIC;
    shm->version = NGX_TOKEN_POSTGRES_VERSION;

    shpool->data = shm;

    return NGX_OK;
}


ngx_token_postgres_t *
ngx_token_postgres_create(ngx_cycle_t *cycle, ngx_slab_pool_t *shpool,
    ngx_pgsql_conf_t *conf, ngx_redis_client_t *client, uint32_t *tags,
    ngx_str_t *prefix, ngx_array_t *prefixes)
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
    tp->refill.log = cycle->log;
    tp->refill.data = tp;

    if (ngx_token_marker_init(&tp->marker, cycle->pool, client, tags, prefix,
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


ngx_token_postgres_shm_t *
ngx_token_postgres_shm(ngx_token_postgres_t *tp)
{
    return tp->shm;
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
                   != NGX_TOKEN_MARKER_PRESENT)
        {
            /* also if none with a token comes here, which would ask */
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

    if (tp->marker.tags) {
        ngx_token_postgres_check_cluster(tp, now);
        return;
    }

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
ngx_token_postgres_check_cluster(ngx_token_postgres_t *tp, uint64_t now)
{
    ngx_uint_t  era;

    if (ngx_token_marker_state(&tp->marker) == NGX_TOKEN_MARKER_UNKNOWN) {

        tp->era = ngx_redis_client_era(tp->client);
        tp->refresh = now + NGX_TOKEN_POSTGRES_REFILL;

        ngx_token_marker_set(&tp->marker,
                             tp->shm->fills ? NGX_TOKEN_MARKER_PRESENT
                                            : NGX_TOKEN_MARKER_ABSENT);
    }

    if (tp->shm->wanted && !tp->busy) {
        tp->shm->wanted = 0;
        ngx_token_marker_set(&tp->marker, NGX_TOKEN_MARKER_ABSENT);
    }

    era = ngx_redis_client_era(tp->client);

    if ((era != tp->era && now >= tp->check) || now >= tp->refresh) {
        tp->era = era;
        tp->check = now + NGX_TOKEN_POSTGRES_CALM;
        tp->refresh = now + NGX_TOKEN_POSTGRES_REFILL;

        /* by another worker, if not by this one */

        tp->synced = 0;

        ngx_shmtx_lock(&tp->shpool->mutex);
        tp->shm->seen[tp->shm->current].identity[0] = '\0';
        ngx_shmtx_unlock(&tp->shpool->mutex);
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

    if (tp->marker.tags) {
        /* what becomes of it now is another worker's business */
        ngx_token_marker_set(&tp->marker, NGX_TOKEN_MARKER_UNKNOWN);
    }
}


static void
ngx_token_postgres_up_handler(void *data)
{
    ngx_token_postgres_t *tp = data;

    tp->up = 1;
    tp->greeted = 0;
    tp->busy = 0;
    tp->look = 0;
    tp->store = 0;
    tp->expire = 0;
    tp->refusals = 0;

    ngx_token_queue_again(&tp->shm->queue, tp->shpool);

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

void
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
        && now >= tp->store
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

    } else if (now >= tp->expire) {
        ngx_token_postgres_expire(tp);
    }
}


/* Redis did not do it: the chain ends, and another begins after a pause. */

void
ngx_token_postgres_again(ngx_token_postgres_t *tp, uint64_t pause)
{
    tp->busy = 0;
    tp->retry = ngx_limiter_local_now() + pause;
    tp->look = tp->retry;

    ngx_token_postgres_next(tp);
}


void
ngx_token_postgres_query(ngx_token_postgres_t *tp, const char *text,
    ngx_uint_t n, ngx_str_t *params, ngx_pgsql_result_pt handler)
{
    tp->busy = 1;

    if (ngx_pgsql_conn_query(tp->conn, text, n, params, handler) != NGX_OK) {
        tp->busy = 0;
    }
}


static void
ngx_token_postgres_hello_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    u_char     pid[NGX_INT_T_LEN];
    ngx_str_t  param;

    if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;
    }

    param.data = pid;
    param.len = ngx_sprintf(pid, "%ui", ngx_pgsql_conn_pid(tp->conn)) - pid;

    ngx_token_postgres_query(tp,
                  "SELECT " NGX_TOKEN_POSTGRES_WHO ", "
                  NGX_PGSQL_WAIT_LESS("$1"),
                  1, &param, ngx_token_postgres_identity_handler);
}


/* All rows are read, if this is not where the last snapshot was taken. */

static void
ngx_token_postgres_identity_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(tp->server, NGX_TOKEN_POSTGRES_SERVER, result,
                                0, 0)
        != NGX_OK)
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no identity");
        return;
    }

    ngx_memzero(tp->identity, NGX_TOKEN_POSTGRES_IDENTITY);
    (void) ngx_snprintf(tp->identity, NGX_TOKEN_POSTGRES_IDENTITY - 1,
                        "%*s/%s", (size_t) 16,
                        tp->marker.key.data + tp->marker.key.len - 16,
                        tp->server);

    ngx_shmtx_lock(&tp->shpool->mutex);

    tp->synced = (ngx_memcmp(tp->identity,
                             tp->shm->seen[tp->shm->current].identity,
                             NGX_TOKEN_POSTGRES_IDENTITY)
                  == 0);

    ngx_shmtx_unlock(&tp->shpool->mutex);

    tp->greeted = 1;
    tp->busy = 0;

    ngx_token_postgres_next(tp);
}


void
ngx_token_postgres_save(ngx_token_postgres_t *tp)
{
    ngx_uint_t                  next;
    ngx_token_postgres_seen_t  *seen;

    ngx_shmtx_lock(&tp->shpool->mutex);

    next = !tp->shm->current;
    seen = &tp->shm->seen[next];

    ngx_memcpy(seen->identity, tp->identity, NGX_TOKEN_POSTGRES_IDENTITY);
    (void) ngx_cpystrn(seen->snapshot, tp->snapshot,
                       NGX_TOKEN_POSTGRES_SNAPSHOT);

    /* the compiler must not do it before */

    __atomic_store_n(&tp->shm->current, next, __ATOMIC_RELEASE);

    ngx_shmtx_unlock(&tp->shpool->mutex);
}


/* Numbers and what is between them; NGX_DECLINED if it is anything else. */

ngx_int_t
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


void
ngx_token_postgres_text(ngx_str_t *text, u_char *buf)
{
    text->data = buf;
    text->len = ngx_strlen(buf);
}
