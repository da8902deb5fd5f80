
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_WAIT_H_INCLUDED_
#define _NGX_HTTP_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * A request begins to wait for Redis: events of its connection run no phases,
 * and a client that leaves, or has left already, is noticed.  A subrequest
 * leaves the reading to its parent.  NGX_ERROR when the connection is of no
 * use any more.
 */

ngx_int_t ngx_http_wait_begin(ngx_http_request_t *r);

/*
 * What it waited for is here.  The caller says how the request goes on, sets
 * its write event handler, and calls ngx_http_run_posted_requests() last.
 *
 * Returns NGX_DECLINED when the request no longer waits (its client has left,
 * and it goes on as its post_action): it must be left alone.  NGX_ERROR as
 * above.
 */

ngx_int_t ngx_http_wait_end(ngx_http_request_t *r);

/*
 * How most of them go on then: with their phases if "rc" is NGX_OK, else with a
 * 500; and what was posted is run.  The request may be gone when it returns.
 *
 * Of many that are to go on at once some do, the others wait for the next turns
 * of the event loop.  What was found out about a request before it is run, and
 * must not change until it is, is for ngx_http_wait_run_now(), or to be found
 * out again: ngx_http_wait_late() is 1 while those are run that have waited.
 */

void ngx_http_wait_run(ngx_http_request_t *r, ngx_int_t rc);
void ngx_http_wait_run_now(ngx_http_request_t *r, ngx_int_t rc);
ngx_uint_t ngx_http_wait_late(void);


#endif /* _NGX_HTTP_WAIT_H_INCLUDED_ */
