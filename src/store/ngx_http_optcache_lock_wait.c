
/*
 * Copyright (C) The Optcache authors
 */


/* Who waits for another request of this host, in this worker. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_lease.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_lock_wait.h"
#include "ngx_http_wait.h"
#include "ngx_waker.h"


#define NGX_HTTP_OPTCACHE_LOCK_LISTS  64

/* ms, how often a waiter looks by itself; if its worker cannot be woken */

#define NGX_HTTP_OPTCACHE_LOCK_CHECK  1000
#define NGX_HTTP_OPTCACHE_LOCK_POLL   50


static void ngx_http_optcache_lock_timer(ngx_http_optcache_lock_t *lk);
static void ngx_http_optcache_lock_timer_handler(ngx_event_t *ev);
static void ngx_http_optcache_lock_wake_handler(uint64_t reasons);
static void ngx_http_optcache_lock_resume(ngx_http_optcache_lock_t *lk);


/* of the master and all its workers; the lists are a worker's own */

ngx_waker_t         *ngx_http_optcache_lock_waker;
static ngx_queue_t   ngx_http_optcache_lock_waiters[
                                               NGX_HTTP_OPTCACHE_LOCK_LISTS];


ngx_int_t
ngx_http_optcache_lock_init_module(ngx_cycle_t *cycle)
{
    return ngx_waker_init(&ngx_http_optcache_lock_waker, cycle);
}


void
ngx_http_optcache_lock_init_process(ngx_cycle_t *cycle, ngx_array_t *zones)
{
    ngx_uint_t                i;
    ngx_optcache_l1_t       **l1;
    ngx_optcache_lock_map_t   map;

    for (i = 0; i < NGX_HTTP_OPTCACHE_LOCK_LISTS; i++) {
        ngx_queue_init(&ngx_http_optcache_lock_waiters[i]);
    }

    if (ngx_waker_attach(ngx_http_optcache_lock_waker, cycle,
                         ngx_http_optcache_lock_wake_handler)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "optcache has too many workers to wake this one, it "
                      "looks every %d ms by itself",
                      NGX_HTTP_OPTCACHE_LOCK_POLL);
    }

    /* one that was killed does not tell who waits for it */

    l1 = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        ngx_optcache_lock_sweep(l1[i], map);
        ngx_http_optcache_lock_wake(map, ~(uint64_t) 0);
    }
}


void
ngx_http_optcache_lock_exit_process(void)
{
    if (ngx_http_optcache_lock_waker) {
        ngx_waker_detach(ngx_http_optcache_lock_waker);
    }
}


ngx_int_t
ngx_http_optcache_lock_wait(ngx_http_request_t *r,
    ngx_http_optcache_lock_t *lk)
{
    ngx_uint_t  list;

    if (!lk->waited) {
        lk->waited = 1;
        lk->since = ngx_current_msec;

        lk->timer.handler = ngx_http_optcache_lock_timer_handler;
        lk->timer.data = lk;
        lk->timer.log = r->connection->log;
    }

    if (ngx_http_optcache_lock_left(lk) <= 0) {
        return NGX_OK;
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_ERROR;
    }

    list = ngx_http_optcache_lock_list(lk->lock.hash);

    ngx_queue_insert_tail(&ngx_http_optcache_lock_waiters[list], &lk->queue);

    lk->waits = 1;
    lk->ctx->waiting = 1;
    lk->checked = ngx_current_msec;

    ngx_http_optcache_lock_timer(lk);

    return NGX_AGAIN;
}


ngx_uint_t
ngx_http_optcache_lock_taken(ngx_http_optcache_lock_t *lk)
{
    return ngx_optcache_lock_taken(&lk->lock)
           || (lk->request == lk->request->main
               && ngx_optcache_lock_followed(&lk->lock));
}


static void
ngx_http_optcache_lock_timer(ngx_http_optcache_lock_t *lk)
{
    ngx_msec_t  timer;

    timer = (ngx_waker_number(ngx_http_optcache_lock_waker) == -1)
            ? NGX_HTTP_OPTCACHE_LOCK_POLL
            : NGX_HTTP_OPTCACHE_LOCK_CHECK;

    ngx_add_timer(&lk->timer,
                  ngx_min(timer,
                          (ngx_msec_t) ngx_http_optcache_lock_left(lk)));
}


ngx_msec_int_t
ngx_http_optcache_lock_left(ngx_http_optcache_lock_t *lk)
{
    return (ngx_msec_int_t) (lk->since + lk->timeout - ngx_current_msec);
}


static void
ngx_http_optcache_lock_timer_handler(ngx_event_t *ev)
{
    ngx_http_optcache_lock_t  *lk;

    lk = ev->data;

    if (ngx_http_optcache_lock_taken(lk)
        && ngx_http_optcache_lock_left(lk) > 0
        && ngx_current_msec - lk->checked < NGX_HTTP_OPTCACHE_LOCK_CHECK)
    {
        ngx_http_optcache_lock_timer(lk);
        return;
    }

    if (!ngx_http_optcache_lock_taken(lk)
        && ngx_waker_number(ngx_http_optcache_lock_waker) != -1)
    {
        ngx_log_error(NGX_LOG_INFO, ev->log, 0,
                      "optcache was not woken when a lock was released");
    }

    /* a reason may have been left by one that did not live to write */

    ngx_waker_wake_self(ngx_http_optcache_lock_waker,
                 (uint64_t) 1 << ngx_http_optcache_lock_list(lk->lock.hash));

    ngx_http_optcache_lock_resume(lk);
}


/* A request that is resumed may wait again, or let others go. */

static void
ngx_http_optcache_lock_wake_handler(uint64_t reasons)
{
    ngx_uint_t                 i;
    ngx_queue_t               *q, *next, *list, ready;
    ngx_http_optcache_lock_t  *lk;

    ngx_queue_init(&ready);

    for (i = 0; i < NGX_HTTP_OPTCACHE_LOCK_LISTS; i++) {

        if (!(reasons >> i & 1)) {
            continue;
        }

        list = &ngx_http_optcache_lock_waiters[i];

        for (q = ngx_queue_head(list); q != ngx_queue_sentinel(list); q = next)
        {
            next = ngx_queue_next(q);

            lk = ngx_queue_data(q, ngx_http_optcache_lock_t, queue);

            if (!ngx_http_optcache_lock_taken(lk)) {
                ngx_queue_remove(q);
                ngx_queue_insert_tail(&ready, q);
            }
        }
    }

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        lk = ngx_queue_data(q, ngx_http_optcache_lock_t, queue);

        if (!ngx_http_optcache_lock_taken(lk)) {
            ngx_http_optcache_lock_resume(lk);
            continue;
        }

        /* by one of these, just now */

        i = ngx_http_optcache_lock_list(lk->lock.hash);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_http_optcache_lock_waiters[i], q);
    }

    ngx_http_optcache_lease_wake(reasons);
}


static void
ngx_http_optcache_lock_resume(ngx_http_optcache_lock_t *lk)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = lk->request;

    ngx_http_optcache_lock_end_wait(lk);

    /* the request may wait for something else by now, as its post_action */

    if (ngx_http_get_module_ctx(r, ngx_http_optcache_module) != lk->ctx) {
        return;
    }

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    ngx_http_wait_run(r, rc);
}


void
ngx_http_optcache_lock_end_wait(ngx_http_optcache_lock_t *lk)
{
    ngx_queue_remove(&lk->queue);

    if (lk->timer.timer_set) {
        ngx_del_timer(&lk->timer);
    }

    lk->waits = 0;
    lk->ctx->waiting = 0;
}


void
ngx_http_optcache_lock_wake(ngx_optcache_lock_map_t map, uint64_t lists)
{
    uint64_t    bits;
    ngx_uint_t  i;

    if (ngx_waker_number(ngx_http_optcache_lock_waker) == -1) {
        ngx_waker_wake_self(ngx_http_optcache_lock_waker, lists);
    }

    for (i = 0; i < NGX_OPTCACHE_LOCK_MAP; i++) {

        for (bits = map[i]; bits; bits &= bits - 1) {
            ngx_waker_wake(ngx_http_optcache_lock_waker,
                           i * 64 + __builtin_ctzll(bits), lists);
        }
    }
}
