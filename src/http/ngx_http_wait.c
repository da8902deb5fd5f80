
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_wait.h"


/* requests that go on in one turn of the event loop, or one millisecond */
#define NGX_HTTP_WAIT_TURN   64

/* ms; a worker that is to exit has no timer but this one for those it keeps */
#define NGX_HTTP_WAIT_GUARD  1000


/* owned by the request's pool, whose cleanup takes it off the queue */

typedef struct {
    ngx_queue_t               queue;
    ngx_http_request_t       *request;   /* NULL: not in the queue */
} ngx_http_wait_later_t;


static ngx_uint_t ngx_http_wait_reads(ngx_http_request_t *r);
static void ngx_http_wait_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_wait_full(void);
static ngx_int_t ngx_http_wait_later(ngx_http_request_t *r);
static ngx_http_wait_later_t *ngx_http_wait_later_get(ngx_http_request_t *r);
static void ngx_http_wait_later_handler(ngx_http_request_t *r);
static void ngx_http_wait_later_arm(void);
static void ngx_http_wait_later_cleanup(void *data);
static void ngx_http_wait_turn_handler(ngx_event_t *ev);


/* of this worker: who goes on in the next turn, and how many did in this one */

static ngx_queue_t  ngx_http_wait_queue;
static ngx_event_t  ngx_http_wait_turn;
static ngx_msec_t   ngx_http_wait_msec;
static ngx_uint_t   ngx_http_wait_went;
static ngx_uint_t   ngx_http_wait_turns;    /* those of the queue are run */


ngx_int_t
ngx_http_wait_begin(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    if (ngx_http_wait_reads(r)) {
        rev = r->connection->read;

        /* a client that has left already is noticed, too */

        if (rev->ready) {
            ngx_post_event(rev, &ngx_posted_events);

        } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
            return NGX_ERROR;
        }

        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_wait_handler;

    return NGX_OK;
}


/* a subrequest's parent reads; a post_action has no client any more */

static ngx_uint_t
ngx_http_wait_reads(ngx_http_request_t *r)
{
    return r == r->main && !r->post_action;
}


/* There is nothing to write; that it is set says that the request waits. */

static void
ngx_http_wait_handler(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http wait handler");
}


ngx_int_t
ngx_http_wait_end(ngx_http_request_t *r)
{
    if (r->write_event_handler != ngx_http_wait_handler
        && r->write_event_handler != ngx_http_wait_later_handler)
    {
        return NGX_DECLINED;
    }

    ngx_http_set_log_request(r->connection->log, r);

    if (!ngx_http_wait_reads(r)) {
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_block_reading;

    return ngx_handle_read_event(r->connection->read, 0);
}


/*
 * Thousands may wait for one thing, or for one connection: were all of them to
 * go on at once, nobody else would have a turn meanwhile.
 */

void
ngx_http_wait_run(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc == NGX_OK && ngx_http_wait_full()) {
        rc = ngx_http_wait_later(r);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_http_wait_run_now(r, rc);
}


void
ngx_http_wait_run_now(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (rc == NGX_OK) {
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);

    } else {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_wait_late(void)
{
    return ngx_http_wait_turns;
}


/*
 * Time stands still within a turn, and may do so for more than one: those of
 * the turns before count then, too.
 */

static ngx_uint_t
ngx_http_wait_full(void)
{
    if (ngx_http_wait_msec != ngx_current_msec) {
        ngx_http_wait_msec = ngx_current_msec;
        ngx_http_wait_went = 0;
    }

    if (ngx_http_wait_went >= NGX_HTTP_WAIT_TURN) {
        return 1;
    }

    ngx_http_wait_went++;

    return 0;
}


/* NGX_OK: there is no memory for that, it goes on now. */

static ngx_int_t
ngx_http_wait_later(ngx_http_request_t *r)
{
    ngx_http_wait_later_t  *later;

    later = ngx_http_wait_later_get(r);

    if (later == NULL) {
        return NGX_OK;
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_wait_later_handler;

    ngx_http_wait_later_arm();

    later->request = r;
    ngx_queue_insert_tail(&ngx_http_wait_queue, &later->queue);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http wait: goes on in the next turn");

    return NGX_AGAIN;
}


/* One that is not in the queue. */

static ngx_http_wait_later_t *
ngx_http_wait_later_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_wait_later_t  *later;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        later = cln->data;

        if (cln->handler == ngx_http_wait_later_cleanup
            && later->request == NULL)
        {
            return later;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_wait_later_t));
    if (cln == NULL) {
        return NULL;
    }

    later = cln->data;
    later->request = NULL;

    cln->handler = ngx_http_wait_later_cleanup;

    return later;
}


/* As the one above; another function tells who is in the queue. */

static void
ngx_http_wait_later_handler(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http wait later handler");
}


static void
ngx_http_wait_later_arm(void)
{
    ngx_event_t  *ev;

    ev = &ngx_http_wait_turn;

    if (ev->handler == NULL) {
        ev->handler = ngx_http_wait_turn_handler;
        ev->data = ev;
        ev->log = ngx_cycle->log;

        ngx_queue_init(&ngx_http_wait_queue);
    }

    ngx_post_event(ev, &ngx_posted_next_events);

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_WAIT_GUARD);
    }
}


static void
ngx_http_wait_later_cleanup(void *data)
{
    ngx_http_wait_later_t *later = data;

    if (later->request) {
        later->request = NULL;
        ngx_queue_remove(&later->queue);
    }
}


/* Who is resumed may be gone, and take others with it that are in the queue. */

static void
ngx_http_wait_turn_handler(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_uint_t              n;
    ngx_queue_t            *q;
    ngx_http_request_t     *r;
    ngx_http_wait_later_t  *later;

    ngx_http_wait_turns = 1;

    for (n = 0; n < NGX_HTTP_WAIT_TURN; n++) {

        if (ngx_queue_empty(&ngx_http_wait_queue)) {
            break;
        }

        q = ngx_queue_head(&ngx_http_wait_queue);
        later = ngx_queue_data(q, ngx_http_wait_later_t, queue);

        r = later->request;
        ngx_http_wait_later_cleanup(later);

        /* it may go on as its post_action by now, which may wait as well */

        if (r->write_event_handler != ngx_http_wait_later_handler) {
            continue;
        }

        rc = ngx_http_wait_end(r);
        ngx_http_wait_run_now(r, rc);
    }

    ngx_http_wait_turns = 0;
    ngx_http_wait_msec = ngx_current_msec;
    ngx_http_wait_went = n;

    if (!ngx_queue_empty(&ngx_http_wait_queue)) {
        ngx_http_wait_later_arm();

    } else if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
