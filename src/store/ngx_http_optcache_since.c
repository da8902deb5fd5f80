
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_since.h"
#include "ngx_http_rfc9110_date.h"
#include "ngx_optcache_field.h"


static ngx_int_t ngx_http_optcache_since_date(ngx_http_request_t *r,
    ngx_optcache_entry_t *e, time_t since);


ngx_int_t
ngx_http_optcache_since(ngx_http_request_t *r, ngx_optcache_entry_t *e)
{
    time_t                 since;
    ngx_table_elt_t       *h;
    ngx_optcache_field_t   field;

    h = r->headers_in.if_modified_since;

    since = ngx_parse_http_time(h->value.data, h->value.len);

    if (since == NGX_ERROR) {
        return NGX_OK;
    }

    if (e->last_modified == -1) {
        return ngx_http_optcache_since_date(r, e, since);
    }

    if (since <= e->last_modified
        || ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_LAST_MODIFIED,
                                    &field)
           != NGX_OK)
    {
        return NGX_OK;
    }

    h = ngx_palloc(r->pool, sizeof(ngx_table_elt_t));
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = *r->headers_in.if_modified_since;
    h->value = field.value;

    r->headers_in.if_modified_since = h;

    return NGX_OK;
}


/*
 * RFC 9111, 4.3.2: where there is no Last-Modified, the Date counts instead.
 * nginx is told a time to compare with, and that a line tells it already, so
 * that it does not make one up.  It is the Date on both sides: what a client
 * names would be that of "expires modified".
 */

static ngx_int_t
ngx_http_optcache_since_date(ngx_http_request_t *r,
    ngx_optcache_entry_t *e, time_t since)
{
    time_t                 date;
    u_char                *p;
    ngx_table_elt_t       *h;
    ngx_optcache_field_t   field;

    if (r->headers_in.if_range
        || ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_LAST_MODIFIED,
                                    &field)
           == NGX_OK)
    {
        return NGX_OK;
    }

    date = e->date;

    if (ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_DATE, &field)
        == NGX_OK)
    {
        date = ngx_http_rfc9110_date(&field.value);
    }

    if (date == NGX_ERROR || since < date) {
        return NGX_OK;
    }

    h = ngx_pcalloc(r->pool, 2 * sizeof(ngx_table_elt_t));
    p = ngx_pnalloc(r->pool, sizeof("Mon, 28 Sep 1970 06:00:00 GMT") - 1);

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    h[1] = *r->headers_in.if_modified_since;
    h[1].value.data = p;
    h[1].value.len = ngx_http_time(p, date) - p;

    r->headers_in.if_modified_since = &h[1];

    r->headers_out.last_modified = h;
    r->headers_out.last_modified_time = date;

    return NGX_OK;
}
