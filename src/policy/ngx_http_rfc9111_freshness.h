
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_
#define _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


/*
 * What a response says about its freshness.  Times are epoch seconds; -1
 * stands for a field that is absent.
 */

typedef struct {
    ngx_http_rfc9111_control_t  cc;
    time_t                      date;
    time_t                      expires;        /* invalid: 0, long ago */
    int64_t                     age;            /* the Age field */
} ngx_http_rfc9111_freshness_t;


/*
 * Freshness lifetime in seconds as the response states it (RFC 9111, 4.2.1):
 * s-maxage (for a shared cache), max-age, or Expires less Date.  "now" stands
 * in for a Date that is absent (RFC 9110, 6.6.1).  Returns -1 when the
 * response says nothing.  Pure.
 */

int64_t ngx_http_rfc9111_lifetime(ngx_http_rfc9111_freshness_t *f,
    ngx_uint_t shared, time_t now);

/*
 * The age in seconds that a response has when it is received: the
 * corrected_initial_age of RFC 9111, 4.2.3.  "requested" is when the request
 * left.  Pure, never negative.
 */

int64_t ngx_http_rfc9111_initial_age(ngx_http_rfc9111_freshness_t *f,
    time_t requested, time_t now);


/*
 * Takes an Age line into account: the first member of the first line counts
 * (RFC 9111, 5.1), and one that is no number is no Age.  Pure.
 */

void ngx_http_rfc9111_age(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line);

/*
 * Takes an Expires line into account; "time" is its date, or NGX_ERROR for an
 * invalid one ("0" above all), which is in the past (RFC 9111, 5.3).  Of
 * several lines the earliest counts (4.2.1).  Pure.
 */

void ngx_http_rfc9111_expires(ngx_http_rfc9111_freshness_t *f, time_t time);


#endif /* _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_ */
