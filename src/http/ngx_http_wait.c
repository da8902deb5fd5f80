
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_wait.h"


static ngx_uint_t ngx_http_wait_reads(ngx_http_request_t *r);
static void ngx_http_wait_handler(ngx_http_request_t *r);


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
    if (r->write_event_handler != ngx_http_wait_handler) {
        return NGX_DECLINED;
    }

    ngx_http_set_log_request(r->connection->log, r);

    if (!ngx_http_wait_reads(r)) {
        return NGX_OK;
    }

    r->read_event_handler = ngx_http_block_reading;

    return ngx_handle_read_event(r->connection->read, 0);
}


void
ngx_http_wait_run(ngx_http_request_t *r, ngx_int_t rc)
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
