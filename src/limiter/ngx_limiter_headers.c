
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_limiter_headers.h"


/* a policy beyond its name: quotes, ";q=" and ";w=" with numbers, ", " */
#define NGX_LIMITER_HEADERS_POLICY  (2 + 3 + 3 + 2 + 2 * NGX_INT64_LEN)


static void ngx_limiter_headers_remove(ngx_http_request_t *r,
    ngx_str_t **names, ngx_uint_t n);
static ngx_int_t ngx_limiter_headers_policies(ngx_http_request_t *r,
    ngx_limiter_item_t **items, ngx_uint_t n);
static u_char *ngx_limiter_headers_name(u_char *p,
    const ngx_limiter_zone_t *zone, uint64_t period);
static u_char *ngx_limiter_headers_number(u_char *p, uint64_t n);
static ngx_int_t ngx_limiter_headers_push(ngx_http_request_t *r,
    ngx_str_t *name, u_char *start, u_char *end);


static ngx_str_t  ngx_limiter_headers_limit =
    ngx_string("X-RateLimit-Limit");
static ngx_str_t  ngx_limiter_headers_remaining =
    ngx_string("X-RateLimit-Remaining");
static ngx_str_t  ngx_limiter_headers_reset =
    ngx_string("X-RateLimit-Reset");
static ngx_str_t  ngx_limiter_headers_ratelimit =
    ngx_string("RateLimit");
static ngx_str_t  ngx_limiter_headers_policy =
    ngx_string("RateLimit-Policy");
static ngx_str_t  ngx_limiter_headers_retry_after =
    ngx_string("Retry-After");

static ngx_str_t  *ngx_limiter_headers_x_names[] = {
    &ngx_limiter_headers_limit, &ngx_limiter_headers_remaining,
    &ngx_limiter_headers_reset
};

static ngx_str_t  *ngx_limiter_headers_ietf_names[] = {
    &ngx_limiter_headers_ratelimit, &ngx_limiter_headers_policy
};

static ngx_str_t  *ngx_limiter_headers_retry_names[] = {
    &ngx_limiter_headers_retry_after
};


ngx_int_t
ngx_limiter_headers_x(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, uint64_t now)
{
    u_char  *p, *start;

    ngx_limiter_headers_remove(r, ngx_limiter_headers_x_names, 3);

    p = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_limiter_headers_number(p, report->limit);

    if (ngx_limiter_headers_push(r, &ngx_limiter_headers_limit, start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_limiter_headers_number(p, report->remaining);

    if (ngx_limiter_headers_push(r, &ngx_limiter_headers_remaining, start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* there is no time after which a request is let in that never is */

    if (report->end == NGX_LIMITER_NEVER) {
        return NGX_OK;
    }

    start = p;
    p = ngx_limiter_headers_number(p, ngx_limiter_report_reset(report, now));

    return ngx_limiter_headers_push(r, &ngx_limiter_headers_reset, start, p);
}


ngx_int_t
ngx_limiter_headers_ietf(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, ngx_limiter_item_t **items,
    ngx_uint_t n, uint64_t now)
{
    u_char  *p, *start;

    ngx_limiter_headers_remove(r, ngx_limiter_headers_ietf_names, 2);

    if (n && ngx_limiter_headers_policies(r, items, n) != NGX_OK) {
        return NGX_ERROR;
    }

    if (report->zone == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, 2 * report->zone->name.len
                             + NGX_LIMITER_REPORT_PERIOD
                             + NGX_LIMITER_HEADERS_POLICY);
    if (p == NULL) {
        return NGX_ERROR;
    }

    start = p;

    p = ngx_limiter_headers_name(p, report->zone, report->period);
    p = ngx_cpymem(p, ";r=", 3);
    p = ngx_limiter_headers_number(p, report->remaining);

    if (report->end != NGX_LIMITER_NEVER) {
        p = ngx_cpymem(p, ";t=", 3);
        p = ngx_limiter_headers_number(p, ngx_limiter_report_reset(report,
                                                                   now));
    }

    return ngx_limiter_headers_push(r, &ngx_limiter_headers_ratelimit, start,
                                    p);
}


static ngx_int_t
ngx_limiter_headers_policies(ngx_http_request_t *r, ngx_limiter_item_t **items,
    ngx_uint_t n)
{
    size_t               len;
    u_char              *p, *start;
    ngx_uint_t           i, k;
    ngx_limiter_rate_t  *rate;

    len = 0;

    for (i = 0; i < n; i++) {
        len += items[i]->policy->nrates
               * (2 * items[i]->zone->name.len + NGX_LIMITER_REPORT_PERIOD
                  + NGX_LIMITER_HEADERS_POLICY);
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    start = p;

    for (i = 0; i < n; i++) {

        for (k = 0; k < items[i]->policy->nrates; k++) {
            rate = &items[i]->policy->rates[k];

            if (p != start) {
                *p++ = ',';
                *p++ = ' ';
            }

            p = ngx_limiter_headers_name(p, items[i]->zone, rate->period);
            p = ngx_cpymem(p, ";q=", 3);
            p = ngx_limiter_headers_number(p, rate->limit);
            p = ngx_cpymem(p, ";w=", 3);
            p = ngx_limiter_headers_number(p, rate->period / 1000);
        }
    }

    return ngx_limiter_headers_push(r, &ngx_limiter_headers_policy, start, p);
}


/*
 * A string of structured fields holds printable ASCII, with a backslash before
 * quotes and backslashes (RFC 9651, 3.3.3).
 */

static u_char *
ngx_limiter_headers_name(u_char *p, const ngx_limiter_zone_t *zone,
    uint64_t period)
{
    u_char      ch;
    ngx_uint_t  i;

    *p++ = '"';

    for (i = 0; i < zone->name.len; i++) {
        ch = zone->name.data[i];

        if (ch == '"' || ch == '\\') {
            *p++ = '\\';
        }

        *p++ = (ch < ' ' || ch > '~') ? '_' : ch;
    }

    p = ngx_limiter_report_suffix(p, zone, period);

    *p++ = '"';

    return p;
}


ngx_int_t
ngx_limiter_headers_retry(ngx_http_request_t *r, uint64_t end, uint64_t now)
{
    u_char    *p;
    uint64_t   seconds;

    ngx_limiter_headers_remove(r, ngx_limiter_headers_retry_names, 1);

    if (end == 0) {
        return NGX_OK;
    }

    seconds = (end > now) ? (end - now + 999) / 1000 : 1;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_limiter_headers_push(r, &ngx_limiter_headers_retry_after, p,
                                    ngx_limiter_headers_number(p, seconds));
}


/* decimal, and quicker than ngx_sprintf(): there are some for each response */

static u_char *
ngx_limiter_headers_number(u_char *p, uint64_t n)
{
    u_char  *last, text[NGX_INT64_LEN];

    last = text + NGX_INT64_LEN;

    do {
        *--last = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, last, text + NGX_INT64_LEN - last);
}


static ngx_int_t
ngx_limiter_headers_push(ngx_http_request_t *r, ngx_str_t *name,
    u_char *start, u_char *end)
{
    ngx_str_t  value;

    value.data = start;
    value.len = end - start;

    if (ngx_http_compat_push_header(r, name, &value) == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_limiter_headers_remove(ngx_http_request_t *r, ngx_str_t **names,
    ngx_uint_t n)
{
    ngx_uint_t        i, k;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            for (k = 0; k < n; k++) {
                if (h[i].key.len == names[k]->len
                    && ngx_strncasecmp(h[i].key.data, names[k]->data,
                                       names[k]->len)
                       == 0)
                {
                    h[i].hash = 0;
                }
            }
        }
    }
}
