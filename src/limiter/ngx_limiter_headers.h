
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
 * All take a backend's own lines of the names they add out: two answers are
 * none.  NGX_ERROR when out of memory.
 */


/* Adds X-RateLimit-Limit, -Remaining and, if there is one, -Reset (seconds). */

ngx_int_t ngx_limiter_headers_x(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, uint64_t now);

/*
 * Adds RateLimit, of the rate reported, and RateLimit-Policy, of all rates of
 * "n" items (draft-ietf-httpapi-ratelimit-headers: lists of strings, RFC 9651,
 * with parameters q and w, r and t).
 */

ngx_int_t ngx_limiter_headers_ietf(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, ngx_limiter_item_t **items,
    ngx_uint_t n, uint64_t now);

/*
 * Adds Retry-After, never earlier than "end" and never 0 (RFC 9110, 10.2.3);
 * none if "end" is 0: the request need not be tried again.
 */

ngx_int_t ngx_limiter_headers_retry(ngx_http_request_t *r, uint64_t end,
    uint64_t now);


#endif /* _NGX_LIMITER_HEADERS_H_INCLUDED_ */
