
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_postgres_chain.h"


#define NGX_OPTCACHE_POSTGRES_MAGIC      0x4750434f     /* "OCPG" */
#define NGX_OPTCACHE_POSTGRES_VERSION    2

#define NGX_OPTCACHE_POSTGRES_TURN       100     /* ms, of the keeper */
#define NGX_OPTCACHE_POSTGRES_SLOW_TURN  250     /* ms, of other workers */
#define NGX_OPTCACHE_POSTGRES_LATE       1000    /* ms, then another is it */
#define NGX_OPTCACHE_POSTGRES_CUT        1000    /* ms, then it is told */

#define NGX_OPTCACHE_POSTGRES_DEADLINE   5000    /* ms, of a query */

#define NGX_OPTCACHE_POSTGRES_CLEANUP    60000   /* ms */
#define NGX_OPTCACHE_POSTGRES_REFUSED    600000  /* ms, when it is refused */
#define NGX_OPTCACHE_POSTGRES_MORE       1000    /* ms, when there are more */


static void ngx_optcache_postgres_timer_handler(ngx_event_t *ev);
static void ngx_optcache_postgres_check(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_leave(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_up_handler(void *data);
static void ngx_optcache_postgres_down_handler(void *data);
static void ngx_optcache_postgres_notified_handler(void *data,
    const char *channel, const char *payload);
static void ngx_optcache_postgres_cleanup_handler(void *data,
    PGresult *result);


static ngx_pgsql_handlers_t  ngx_optcache_postgres_handlers = {
    ngx_optcache_postgres_up_handler,
    ngx_optcache_postgres_down_handler,
    ngx_optcache_postgres_notified_handler
};


static ngx_str_t  ngx_optcache_postgres_states[] = {
    ngx_string("down"),
    ngx_string("standby"),
    ngx_string("polling"),
    ngx_string("listening")
};


ngx_int_t
ngx_optcache_postgres_init(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    ngx_optcache_postgres_shm_t  *shm;

    shm = shpool->data;

    if (shm) {

        if (shm->magic == NGX_OPTCACHE_POSTGRES_MAGIC
            && shm->version == NGX_OPTCACHE_POSTGRES_VERSION)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the zone of \"optcache_postgres\" was laid out by "
                      "another version of the module, nginx must be "
                      "restarted");
        return NGX_ERROR;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_optcache_postgres_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shm->magic = NGX_OPTCACHE_POSTGRES_MAGIC;
    shm->version = NGX_OPTCACHE_POSTGRES_VERSION;
    shm->since = ngx_time();

    shpool->data = shm;
    shpool->log_nomem = 0;

    return NGX_OK;
}


ngx_optcache_postgres_t *
ngx_optcache_postgres_create(ngx_cycle_t *cycle, ngx_slab_pool_t *shpool,
    ngx_pgsql_conf_t *conf, ngx_optcache_teller_t *teller)
{
    ngx_uint_t                i;
    ngx_optcache_postgres_t  *op;

    op = ngx_pcalloc(cycle->pool, sizeof(ngx_optcache_postgres_t));
    if (op == NULL) {
        return NULL;
    }

    op->shm = shpool->data;
    op->shpool = shpool;
    op->teller = teller;
    op->log = cycle->log;

    for (i = 0; i < NGX_OPTCACHE_POSTGRES_PAGE; i++) {
        op->parts[i].op = op;
    }

    op->conn = ngx_pgsql_conn_create(cycle, conf,
                                     &ngx_optcache_postgres_handlers, op);
    if (op->conn == NULL) {
        return NULL;
    }

    ngx_pgsql_conn_timeout(op->conn, NGX_OPTCACHE_POSTGRES_DEADLINE);

    op->timer.handler = ngx_optcache_postgres_timer_handler;
    op->timer.data = op;
    op->timer.log = cycle->log;
    op->timer.cancelable = 1;

    ngx_add_timer(&op->timer, 1 + ngx_worker * 10 % 100);

    return op;
}


void
ngx_optcache_postgres_close(ngx_optcache_postgres_t *op)
{
    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    ngx_optcache_postgres_leave(op);
}


ngx_uint_t
ngx_optcache_postgres_now(ngx_optcache_postgres_shm_t *shm)
{
    /* who was connected may be dead */

    return ngx_keeper_there(&shm->keeper, ngx_redis_tracking_now(),
                            NGX_OPTCACHE_POSTGRES_LATE)
           ? shm->state : (ngx_uint_t) NGX_OPTCACHE_POSTGRES_DOWN;
}


ngx_uint_t
ngx_optcache_postgres_cut(ngx_optcache_postgres_shm_t *shm)
{
    uint64_t  now;

    if (shm->state == NGX_OPTCACHE_POSTGRES_DOWN) {
        /*
         * in whole seconds: of two there is one at least; if it is to come, the
         * clock was set back
         */
        return (uint64_t) ngx_time() - shm->since >= 2;
    }

    now = ngx_redis_tracking_now();

    return now - ngx_shared_number_get(&shm->keeper.beat)
           >= NGX_OPTCACHE_POSTGRES_CUT
           && !ngx_keeper_there(&shm->keeper, now, NGX_OPTCACHE_POSTGRES_LATE);
}


ngx_str_t *
ngx_optcache_postgres_state_name(ngx_uint_t state)
{
    return &ngx_optcache_postgres_states[ngx_min(state,
                                            NGX_OPTCACHE_POSTGRES_LISTENING)];
}


static void
ngx_optcache_postgres_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                keeper;
    ngx_optcache_postgres_t  *op;

    op = ev->data;

    if (ngx_exiting) {
        ngx_optcache_postgres_leave(op);
        return;
    }

    keeper = ngx_keeper_is(&op->shm->keeper, ngx_redis_tracking_now(),
                           NGX_OPTCACHE_POSTGRES_LATE);

    /* set first: what follows may call handlers, which leave it alone */

    ngx_add_timer(&op->timer, keeper ? NGX_OPTCACHE_POSTGRES_TURN
                                     : NGX_OPTCACHE_POSTGRES_SLOW_TURN);

    if (!keeper) {
        ngx_optcache_postgres_leave(op);
        return;
    }

    ngx_pgsql_conn_open(op->conn);
    ngx_optcache_postgres_check(op);
    ngx_optcache_postgres_next(op);
}


/* Has what was told not come by now? */

static void
ngx_optcache_postgres_check(ngx_optcache_postgres_t *op)
{
    uint64_t  now;

    if (!op->up) {
        return;
    }

    now = ngx_redis_tracking_now();

    if ((op->probe && now >= op->probe)
        || (op->suspect && now >= op->suspect))
    {
        op->probe = 0;
        op->suspect = 0;

        ngx_optcache_postgres_deaf(op, 1);
    }
}


static void
ngx_optcache_postgres_leave(ngx_optcache_postgres_t *op)
{
    ngx_optcache_postgres_abandon(op);
    ngx_pgsql_conn_close(op->conn);
    ngx_keeper_leave(&op->shm->keeper);

    op->up = 0;
    op->greeted = 0;
    op->busy = 0;
}


static void
ngx_optcache_postgres_up_handler(void *data)
{
    ngx_optcache_postgres_t *op = data;

    op->up = 1;
    op->greeted = 0;
    op->busy = 0;
    op->probe = 0;
    op->suspect = 0;
    op->look = 0;

    ngx_optcache_postgres_next(op);
}


static void
ngx_optcache_postgres_down_handler(void *data)
{
    ngx_optcache_postgres_t *op = data;

    ngx_optcache_postgres_abandon(op);

    op->up = 0;
    op->greeted = 0;
    op->busy = 0;

    if (op->shm->state != NGX_OPTCACHE_POSTGRES_STANDBY) {
        ngx_optcache_postgres_state(op, NGX_OPTCACHE_POSTGRES_DOWN);
    }
}


static void
ngx_optcache_postgres_notified_handler(void *data, const char *channel,
    const char *payload)
{
    ngx_optcache_postgres_t *op = data;

    if (ngx_optcache_postgres_probed(op, channel, payload)) {
        return;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_CORE, op->log, 0,
                   "optcache postgres notified");

    op->notified = 1;
    op->suspect = 0;

    if (op->greeted) {
        ngx_optcache_postgres_deaf(op, 0);
    }

    ngx_optcache_postgres_next(op);
}


void
ngx_optcache_postgres_next(ngx_optcache_postgres_t *op)
{
    uint64_t  now;

    if (!op->up || op->busy || !ngx_pgsql_conn_idle(op->conn)) {
        return;
    }

    if (!op->greeted) {
        ngx_optcache_postgres_hello(op);
        return;
    }

    now = ngx_redis_tracking_now();

    if (op->notified || now >= op->look) {
        ngx_optcache_postgres_look(op);
        return;
    }

    if (now >= op->cleanup) {
        op->cleanup = now + NGX_OPTCACHE_POSTGRES_CLEANUP
                      + ngx_random() % NGX_OPTCACHE_POSTGRES_MORE;

        ngx_optcache_postgres_query(op, "SELECT optcache.cleanup()"
                                    NGX_PGSQL_GE "10000", 0, NULL,
                                    ngx_optcache_postgres_cleanup_handler);
    }
}


/* A table that grows does no harm for a while; its rows are still read. */

static void
ngx_optcache_postgres_cleanup_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    u_char     reason[NGX_PGSQL_RESULT_REASON];
    uint64_t   now;
    ngx_str_t  more;

    if (result == NULL) {
        return;
    }

    now = ngx_redis_tracking_now();

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {

        op->cleanup = now + NGX_OPTCACHE_POSTGRES_REFUSED;

        if (!op->kept) {
            op->kept = 1;
            op->kept_since = now;
            ngx_pgsql_result_reason(result, reason);
            ngx_log_error(NGX_LOG_ERR, op->log, 0,
                          "old rows of optcache.outbox cannot be deleted: %s",
                          reason);
        }

    } else {

        if (op->kept) {
            op->kept = 0;
            ngx_log_error(NGX_LOG_NOTICE, op->log, 0,
                          "old rows of optcache.outbox are deleted again "
                          "after %uLms", now - op->kept_since);
        }

        if (ngx_pgsql_result_value(result, 0, 0, &more) == NGX_OK
            && more.data[0] == 't')
        {
            op->cleanup = now + NGX_OPTCACHE_POSTGRES_MORE;
        }
    }

    op->busy = 0;

    ngx_optcache_postgres_next(op);
}


void
ngx_optcache_postgres_query(ngx_optcache_postgres_t *op, const char *text,
    ngx_uint_t n, ngx_str_t *params, ngx_pgsql_result_pt handler)
{
    op->busy = 1;

    if (ngx_pgsql_conn_query(op->conn, text, n, params, handler) != NGX_OK) {
        op->busy = 0;
    }
}


ngx_int_t
ngx_optcache_postgres_copy(u_char *buf, size_t size, PGresult *result,
    ngx_uint_t row, ngx_uint_t column)
{
    size_t     i;
    ngx_str_t  value;

    if (ngx_pgsql_result_value(result, row, column, &value) != NGX_OK
        || value.len >= size)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < value.len; i++) {
        if (value.data[i] == '\0'
            || ngx_strchr("0123456789abcdefABCDEF:,/-", value.data[i])
               == NULL)
        {
            return NGX_DECLINED;
        }
    }

    ngx_memcpy(buf, value.data, value.len);
    buf[value.len] = '\0';

    return NGX_OK;
}


ngx_uint_t
ngx_optcache_postgres_flag(PGresult *result, ngx_uint_t column)
{
    ngx_str_t  value;

    return ngx_pgsql_result_value(result, 0, column, &value) == NGX_OK
           && value.len == 1
           && value.data[0] == 't';
}


void
ngx_optcache_postgres_text(ngx_str_t *text, u_char *buf)
{
    text->data = buf;
    text->len = ngx_strlen(buf);
}


void
ngx_optcache_postgres_state(ngx_optcache_postgres_t *op, ngx_uint_t state)
{
    if (op->shm->state != state) {
        op->shm->state = state;
        op->shm->since = ngx_time();
    }
}


void
ngx_optcache_postgres_deaf(ngx_optcache_postgres_t *op, ngx_uint_t deaf)
{
    uint64_t                      now, since;
    ngx_optcache_postgres_shm_t  *shm;

    shm = op->shm;
    now = ngx_redis_tracking_now();
    since = ngx_shared_number_get(&shm->deaf);

    if (deaf && !since) {
        ngx_shared_number_set(&shm->deaf, now);

        ngx_log_error(NGX_LOG_WARN, op->log, 0,
                      "postgres of \"optcache_postgres\" does not deliver "
                      "notifications, is there a pooler in transaction mode? "
                      "it is asked each second instead");
    }

    if (!deaf && since) {
        ngx_log_error(NGX_LOG_NOTICE, op->log, 0,
                      "postgres of \"optcache_postgres\" delivers "
                      "notifications again after %uLms",
                      now - since);
        ngx_shared_number_set(&shm->deaf, 0);
    }

    if (op->greeted) {
        ngx_optcache_postgres_state(op, deaf || shm->pooled
                                        ? NGX_OPTCACHE_POSTGRES_POLLING
                                        : NGX_OPTCACHE_POSTGRES_LISTENING);
    }
}


void
ngx_optcache_postgres_save(ngx_optcache_postgres_t *op)
{
    ngx_uint_t  next;

    ngx_shmtx_lock(&op->shpool->mutex);

    next = !op->shm->current;
    op->shm->position[next] = op->position;

    /* the compiler must not do it before */

    __atomic_store_n(&op->shm->current, next, __ATOMIC_RELEASE);

    ngx_shmtx_unlock(&op->shpool->mutex);
}
