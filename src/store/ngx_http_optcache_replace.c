
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_response.h"


typedef struct {
    ngx_http_request_t           *request;
    ngx_int_t                     rc;
} ngx_http_optcache_replace_t;


static ngx_int_t ngx_http_optcache_replace_given(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_list_t *headers);
static ngx_uint_t ngx_http_optcache_replace_range(ngx_http_request_t *r);
static void ngx_http_optcache_replace_cookie(ngx_table_elt_t *h, void *data);


ngx_int_t
ngx_http_optcache_replace(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_list_t                   said;
    ngx_http_optcache_replace_t  to;

    to.rc = NGX_OK;
    said = r->headers_out.headers;

    ngx_http_clean_header(r);

    /* what is held may have none of its own */

    r->headers_out.content_type = ctx->given.type;
    r->headers_out.content_type_len = ctx->given.type_len;
    r->headers_out.charset = ctx->given.charset;

    /* a list of its own: what upstream has said is still needed */

    if (ngx_list_init(&r->headers_out.headers, r->pool, 16,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.trailers.part.nelts = 0;
    r->headers_out.trailers.part.next = NULL;
    r->headers_out.trailers.last = &r->headers_out.trailers.part;

    r->allow_ranges = 0;
    r->single_range = 0;

    if (ngx_http_optcache_replace_given(r, ctx, &said) != NGX_OK
        || ngx_http_optcache_send_head(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->err_status
        && r->headers_in.range
        && !ngx_http_optcache_replace_range(r))
    {
        r->headers_in.range = NULL;
    }

    /* set for what upstream has evaluated itself */

    r->disable_not_modified = 0;
    r->err_status = 0;

    ctx->replaced = 1;

    if (ctx->status == NGX_HTTP_OPTCACHE_REVALIDATED
        && ctx->conf->set_cookie != NGX_HTTP_OPTCACHE_COOKIE_KEEP)
    {
        to.request = r;

        ngx_http_optcache_response_behind(&said, ctx->given.n,
                                          ngx_http_optcache_replace_cookie,
                                          &to);
    }

    return to.rc;
}


/* What was there before upstream was asked is for this client, as on a hit. */

static ngx_int_t
ngx_http_optcache_replace_given(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_list_t *headers)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    n = ctx->given.n;

    for (part = &headers->part; part && n; part = part->next) {
        h = part->elts;

        for (i = 0; n && i < part->nelts; i++, n--) {

            if (h[i].hash == 0) {
                continue;
            }

            copy = ngx_http_compat_push_header(r, &h[i].key, &h[i].value);

            if (copy == NULL
                || (ngx_optcache_field_id(&h[i].key)
                        == NGX_OPTCACHE_FIELD_CACHE_CONTROL
                    && ngx_http_compat_add_cache_control(r, copy) != NGX_OK))
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * Nginx sends the body of an error page even if the header was refused, as it
 * is where no range can be satisfied, and makes no other page then.  So in
 * place of one a range is sent if it is one that surely can be (RFC 9110, 14.2:
 * a server may ignore it).
 */

static ngx_uint_t
ngx_http_optcache_replace_range(ngx_http_request_t *r)
{
    off_t       first, last;
    u_char     *p, *end, *dash;
    ngx_str_t  *value;

    static ngx_str_t  unit = ngx_string("bytes=");

    value = &r->headers_in.range->value;

    if (value->len <= unit.len
        || ngx_strncasecmp(value->data, unit.data, unit.len) != 0)
    {
        return 1;
    }

    p = value->data + unit.len;
    end = value->data + value->len;

    dash = ngx_strlchr(p, end, '-');
    if (dash == NULL) {
        return 0;
    }

    first = ngx_atoof(p, dash - p);

    if (first == NGX_ERROR || first >= r->headers_out.content_length_n) {
        return 0;
    }

    if (dash + 1 == end) {
        return 1;
    }

    last = ngx_atoof(dash + 1, end - dash - 1);

    return last != NGX_ERROR && first <= last;
}


/* The cookies of a 304 are for this client, even if they are not stored. */

static void
ngx_http_optcache_replace_cookie(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_replace_t *to = data;

    if (h->value.len == 0 || !ngx_http_optcache_response_is(h, "Set-Cookie")) {
        return;
    }

    if (ngx_http_compat_push_header(to->request, &h->key, &h->value) == NULL) {
        to->rc = NGX_ERROR;
    }
}


ngx_int_t
ngx_http_optcache_replace_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in,
    ngx_http_optcache_pass_pt pass)
{
    ngx_chain_t  *body;

    ngx_http_optcache_consume(in);

    if (ctx->body_sent) {
        return pass(r, ctx, NULL);
    }

    ctx->body_sent = 1;

    body = ngx_http_optcache_send_body(r, ctx);
    if (body == NULL) {
        return NGX_ERROR;
    }

    return pass(r, ctx, body);
}


void
ngx_http_optcache_consume(ngx_chain_t *in)
{
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;

        if (cl->buf->in_file) {
            cl->buf->file_pos = cl->buf->file_last;
        }
    }
}
