
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a response says about limits.
 */


#ifndef _NGX_LIMITER_HEADERS_H_INCLUDED_
#define _NGX_LIMITER_HEADERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_limiter_report.h"


/*
 * Adds X-RateLimit-Limit, -Remaining and -Reset (seconds).  A backend's own
 * lines of these names are taken out: two answers are none.
 */

ngx_int_t ngx_limiter_headers_add(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, uint64_t now);

/* Adds Retry-After, never earlier than "end" and never 0. */

ngx_int_t ngx_limiter_headers_retry(ngx_http_request_t *r, uint64_t end,
    uint64_t now);


#endif /* _NGX_LIMITER_HEADERS_H_INCLUDED_ */
