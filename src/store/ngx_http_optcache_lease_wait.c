
/*
 * Copyright (C) The Optcache authors
 */


/* Who waits for another host, in this worker. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_lease.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_wait.h"


/* ms that a waiter looks after: if its worker cannot be woken */

#define NGX_HTTP_OPTCACHE_LEASE_POLL   50

/* and, at least, if it has been told of changes a number of times */

#define NGX_HTTP_OPTCACHE_LEASE_PAUSE  20
#define NGX_HTTP_OPTCACHE_LEASE_EAGER  8


static ngx_uint_t ngx_http_optcache_lease_blocks(ngx_http_request_t *r,
    ngx_http_optcache_lease_t *ls);
static ngx_uint_t ngx_http_optcache_lease_changed(
    ngx_http_optcache_lease_t *ls);
static ngx_msec_t ngx_http_optcache_lease_pause(
    ngx_http_optcache_lease_t *ls);
static void ngx_http_optcache_lease_timer(ngx_http_optcache_lease_t *ls);
static void ngx_http_optcache_lease_timer_handler(ngx_event_t *ev);


static ngx_queue_t  ngx_http_optcache_lease_waiters[
                                                NGX_OPTCACHE_WATCH_LISTS];


void
ngx_http_optcache_lease_wait_init(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_OPTCACHE_WATCH_LISTS; i++) {
        ngx_queue_init(&ngx_http_optcache_lease_waiters[i]);
    }
}


/*
 * Its worker's bit is set before the note is compared: see
 * ngx_optcache_watch.h.
 */

ngx_int_t
ngx_http_optcache_lease_wait(ngx_http_request_t *r,
    ngx_http_optcache_lease_t *ls)
{
    ngx_uint_t  list;

    if ((ngx_msec_int_t) (ls->deadline - ngx_current_msec) <= 0) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "optcache lock timed out");
        ngx_metrics_count(ls->ctx->zone->requests,
                          NGX_HTTP_OPTCACHE_WAITED_TIMEOUT);
        return NGX_OK;
    }

    if (!ngx_optcache_watch_trusted(ls->watch)
        || ngx_http_optcache_lease_blocks(r, ls))
    {
        return NGX_OK;
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_ERROR;
    }

    list = ngx_optcache_watch_list(ls->hash);

    ngx_queue_insert_tail(&ngx_http_optcache_lease_waiters[list], &ls->queue);

    ls->waits = 1;
    ls->waited = 1;
    ls->ctx->waiting = 1;

    ls->timer.handler = ngx_http_optcache_lease_timer_handler;

    ngx_optcache_watch_wait(ls->watch, ls->hash,
                            ngx_waker_number(ngx_http_optcache_lock_waker));

    ngx_http_optcache_lease_timer(ls);

    return NGX_AGAIN;
}


/*
 * Parts of a page are sent one after the other, see ngx_http_optcache_lock.c:
 * one that leads on this host may be behind this one, and be waited for.
 */

static ngx_uint_t
ngx_http_optcache_lease_blocks(ngx_http_request_t *r,
    ngx_http_optcache_lease_t *ls)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_optcache_lease_t  *other;

    if (r == r->main || (r->parent == r->main && !ls->waited)) {
        return 0;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_optcache_lease_cleanup) {
            continue;
        }

        other = cln->data;

        if (other->state == NGX_HTTP_OPTCACHE_LEASE_LEADS && !other->over) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_optcache_lease_changed(ngx_http_optcache_lease_t *ls)
{
    return ls->note != ngx_optcache_watch_note(ls->watch, ls->hash);
}


/* ms, 1 at least, until it may ask once more */

static ngx_msec_t
ngx_http_optcache_lease_pause(ngx_http_optcache_lease_t *ls)
{
    ngx_msec_t  since;

    since = ngx_current_msec - ls->asked;

    if (ls->times <= NGX_HTTP_OPTCACHE_LEASE_EAGER
        || since >= NGX_HTTP_OPTCACHE_LEASE_PAUSE)
    {
        return 1;
    }

    return NGX_HTTP_OPTCACHE_LEASE_PAUSE - since;
}


static void
ngx_http_optcache_lease_timer(ngx_http_optcache_lease_t *ls)
{
    ngx_msec_int_t  timer;

    if (ngx_http_optcache_lease_changed(ls)) {
        timer = ngx_http_optcache_lease_pause(ls);

    } else {
        timer = (ngx_msec_int_t) (ls->until - ngx_current_msec);

        if (ngx_waker_number(ngx_http_optcache_lock_waker) == -1) {
            timer = ngx_min(timer, NGX_HTTP_OPTCACHE_LEASE_POLL);
        }
    }

    timer = ngx_min(timer,
                    (ngx_msec_int_t) (ls->deadline - ngx_current_msec));

    /* one that is set would be left as it is if it is not much later */

    if (ls->timer.timer_set) {
        ngx_del_timer(&ls->timer);
    }

    ngx_add_timer(&ls->timer, (ngx_msec_t) ngx_max(timer, 1));
}


static void
ngx_http_optcache_lease_timer_handler(ngx_event_t *ev)
{
    ngx_http_optcache_lease_t  *ls;

    ls = ev->data;

    if (!ngx_http_optcache_lease_changed(ls)
        && (ngx_msec_int_t) (ls->until - ngx_current_msec) > 0
        && (ngx_msec_int_t) (ls->deadline - ngx_current_msec) > 0)
    {
        ngx_http_optcache_lease_timer(ls);
        return;
    }

    ngx_http_optcache_lease_end_wait(ls);

    ls->state = NGX_HTTP_OPTCACHE_LEASE_TOLD;

    ngx_http_optcache_lease_resume(ls);
}


/* The timer of one resumes it: a request that is resumed may wait again. */

void
ngx_http_optcache_lease_wake(uint64_t reasons)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q, *list;
    ngx_http_optcache_lease_t  *ls;

    for (i = 0; i < NGX_OPTCACHE_WATCH_LISTS; i++) {

        if (!(reasons >> i & 1)) {
            continue;
        }

        list = &ngx_http_optcache_lease_waiters[i];

        for (q = ngx_queue_head(list);
             q != ngx_queue_sentinel(list);
             q = ngx_queue_next(q))
        {
            ls = ngx_queue_data(q, ngx_http_optcache_lease_t, queue);

            /* the bit that was taken was of all of the list */

            ngx_optcache_watch_wait(ls->watch, ls->hash,
                              ngx_waker_number(ngx_http_optcache_lock_waker));

            ngx_http_optcache_lease_timer(ls);
        }
    }
}


void
ngx_http_optcache_lease_resume(ngx_http_optcache_lease_t *ls)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ls->request;

    /* the request may wait for something else by now, as its post_action */

    if (ngx_http_get_module_ctx(r, ngx_http_optcache_module) != ls->ctx) {
        return;
    }

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    ngx_http_wait_run(r, rc);
}


void
ngx_http_optcache_lease_end_wait(ngx_http_optcache_lease_t *ls)
{
    ngx_queue_remove(&ls->queue);

    if (ls->timer.timer_set) {
        ngx_del_timer(&ls->timer);
    }

    ls->waits = 0;
    ls->ctx->waiting = 0;
}
