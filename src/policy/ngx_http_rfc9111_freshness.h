
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_
#define _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"
#include "ngx_rare.h"


/* what a heuristic grants at most, seconds */

#define NGX_HTTP_RFC9111_HEURISTIC_MAX  86400


/*
 * What a response says about its freshness.  Times are epoch seconds; -1
 * stands for a field that is absent.
 */

typedef struct {
    ngx_http_rfc9111_control_t  cc;
    time_t                      date;
    time_t                      expires;        /* invalid: 0, long ago */
    time_t                      last_modified;
    int64_t                     age;            /* the Age field */

    unsigned                    age_seen:1;
    unsigned                    pragma:1;       /* Pragma: no-cache */
} ngx_http_rfc9111_freshness_t;


/* May a stored response answer a request */

typedef enum {
    NGX_HTTP_RFC9111_FRESH = 0,
    NGX_HTTP_RFC9111_STALE_ACCEPTED,  /* stale, and the request takes it */
    NGX_HTTP_RFC9111_STALE,           /* to be validated */
    NGX_HTTP_RFC9111_REFUSED          /* the request does not take it */
} ngx_http_rfc9111_reuse_e;


/* Nothing said: to be called before lines are taken into account. */

void ngx_http_rfc9111_freshness_init(ngx_http_rfc9111_freshness_t *f);

/*
 * Freshness lifetime in seconds as the response states it (RFC 9111, 4.2.1):
 * s-maxage (for a shared cache), max-age, or Expires less Date.  "now" stands
 * in for a Date that is absent (RFC 9110, 6.6.1).  Returns -1 when the
 * response says nothing.  Pure.
 */

int64_t ngx_http_rfc9111_lifetime(ngx_http_rfc9111_freshness_t *f,
    ngx_uint_t shared, time_t now);

/*
 * Freshness lifetime in seconds of a response that states none (RFC 9111,
 * 4.2.2): a tenth of the time from Last-Modified to Date, a day at most, for
 * statuses that are cacheable by default (RFC 9110, 15.1) and any that is
 * "public".  Returns -1 when there is nothing to go by, or Pragma: no-cache
 * (5.4) speaks against it.  Pure.
 */

int64_t ngx_http_rfc9111_heuristic(ngx_http_rfc9111_freshness_t *f,
    ngx_uint_t status, time_t now);

/* Whether a status is cacheable by default (RFC 9110, 15.1).  Pure. */

ngx_uint_t ngx_http_rfc9111_heuristic_status(ngx_uint_t status);

/*
 * Whether a stored response of this status can be validated: a 304 says that
 * the answer would be a 2xx (RFC 9110, 13.2.1), so it speaks of no other.
 * Pure.
 */

ngx_uint_t ngx_http_rfc9111_validated_status(ngx_uint_t status);

/*
 * The age in seconds that a response has when it is received: the
 * corrected_initial_age of RFC 9111, 4.2.3.  "requested" is when the request
 * left.  Pure, never negative.
 */

int64_t ngx_http_rfc9111_initial_age(ngx_http_rfc9111_freshness_t *f,
    time_t requested, time_t now);

/*
 * Whether a stored response of this age and lifetime in seconds may answer a
 * request with these directives (RFC 9111, 4.2.4 and 5.2.1).  "response" is
 * what it was stored with, or NULL when that is not known: then it is never
 * used stale.  Pure.
 */

ngx_rare ngx_http_rfc9111_reuse_e ngx_http_rfc9111_reuse(
    ngx_http_rfc9111_control_t *request, ngx_http_rfc9111_control_t *response,
    ngx_uint_t shared, int64_t age, int64_t lifetime);

/*
 * Whether a response forbids its use once it is stale (RFC 9111, 4.2.4):
 * must-revalidate, no-cache, and in a shared cache proxy-revalidate and
 * s-maxage.  Pure.
 */

ngx_uint_t ngx_http_rfc9111_never_stale(ngx_http_rfc9111_control_t *cc,
    ngx_uint_t shared);

/*
 * Takes an Age line into account: the first member of the first line counts
 * (RFC 9111, 5.1), and one that is no number is no Age.  What follows the
 * number after a semicolon is not looked at.  Pure.
 */

void ngx_http_rfc9111_age(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line);

/*
 * Takes an Expires line into account.  An invalid date ("0" above all) is in
 * the past (RFC 9111, 5.3); of several lines the earliest counts (4.2.1).
 * Pure.
 */

void ngx_http_rfc9111_expires(ngx_http_rfc9111_freshness_t *f,
    ngx_str_t *line);

/*
 * Takes a Last-Modified line into account; one that is no date means none.
 * Pure.
 */

void ngx_http_rfc9111_last_modified(ngx_http_rfc9111_freshness_t *f,
    ngx_str_t *line);

/*
 * Whether a Pragma line, of a request or of a response, has "no-cache"
 * (RFC 9111, 5.4).  Pure.
 */

ngx_rare ngx_uint_t ngx_http_rfc9111_pragma(ngx_str_t *line);


#endif /* _NGX_HTTP_RFC9111_FRESHNESS_H_INCLUDED_ */
