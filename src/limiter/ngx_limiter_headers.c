
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_limiter_headers.h"


static void ngx_limiter_headers_remove(ngx_http_request_t *r, ngx_str_t *name);
static ngx_int_t ngx_limiter_headers_number(ngx_http_request_t *r,
    ngx_str_t *name, uint64_t value);


static ngx_str_t  ngx_limiter_headers_limit =
    ngx_string("X-RateLimit-Limit");
static ngx_str_t  ngx_limiter_headers_remaining =
    ngx_string("X-RateLimit-Remaining");
static ngx_str_t  ngx_limiter_headers_reset =
    ngx_string("X-RateLimit-Reset");
static ngx_str_t  ngx_limiter_headers_retry_after =
    ngx_string("Retry-After");


ngx_int_t
ngx_limiter_headers_add(ngx_http_request_t *r,
    const ngx_limiter_report_t *report, uint64_t now)
{
    if (ngx_limiter_headers_number(r, &ngx_limiter_headers_limit,
                                   report->limit)
        != NGX_OK
        || ngx_limiter_headers_number(r, &ngx_limiter_headers_remaining,
                                      report->remaining)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_limiter_headers_number(r, &ngx_limiter_headers_reset,
                                      ngx_limiter_report_reset(report, now));
}


ngx_int_t
ngx_limiter_headers_retry(ngx_http_request_t *r, uint64_t end, uint64_t now)
{
    uint64_t  seconds;

    seconds = (end > now) ? (end - now + 999) / 1000 : 1;

    return ngx_limiter_headers_number(r, &ngx_limiter_headers_retry_after,
                                      seconds);
}


static ngx_int_t
ngx_limiter_headers_number(ngx_http_request_t *r, ngx_str_t *name,
    uint64_t value)
{
    ngx_str_t  text;

    ngx_limiter_headers_remove(r, name);

    text.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_sprintf(text.data, "%uL", value) - text.data;

    if (ngx_http_compat_push_header(r, name, &text) == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_limiter_headers_remove(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                h[i].hash = 0;
            }
        }
    }
}
