
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The content handler is wrapped, so as to wrap what it lets read the header
 * of the response: when that has read an interim one, all is as before it,
 * and it reads on.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache_interim.h"
#include "ngx_rare.h"


#define NGX_HTTP_OPTCACHE_INTERIM_MAX  16


struct ngx_http_optcache_interim_s {
    ngx_http_handler_pt    content;
    ngx_int_t            (*header)(ngx_http_request_t *r);
    ngx_int_t            (*reinit)(ngx_http_request_t *r);
    ngx_uint_t             count;
};


static ngx_often ngx_int_t ngx_http_optcache_interim_content(
    ngx_http_request_t *r);
static ngx_often ngx_int_t ngx_http_optcache_interim_header(
    ngx_http_request_t *r);
static ngx_rare ngx_int_t ngx_http_optcache_interim_count(
    ngx_http_request_t *r, ngx_http_optcache_interim_t *interim);
static ngx_int_t ngx_http_optcache_interim_reinit(ngx_http_request_t *r);
static void ngx_http_optcache_interim_wrap(ngx_http_upstream_t *u,
    ngx_http_optcache_interim_t *interim);
static ngx_uint_t ngx_http_optcache_interim_is(ngx_http_upstream_t *u);
static ngx_rare ngx_int_t ngx_http_optcache_interim_reset(
    ngx_http_request_t *r);
static ngx_rare ngx_int_t ngx_http_optcache_interim_send(
    ngx_http_request_t *r);
static u_char *ngx_http_optcache_interim_write(ngx_http_upstream_t *u,
    u_char *p, size_t *len);
static ngx_uint_t ngx_http_optcache_interim_passes(ngx_http_upstream_t *u,
    ngx_table_elt_t *h);


/* beside what nginx hides */

static ngx_str_t  ngx_http_optcache_interim_dropped[] = {
    ngx_string("connection"),
    ngx_string("content-length"),
    ngx_string("keep-alive"),
    ngx_string("proxy-authenticate"),
    ngx_string("proxy-authentication-info"),
    ngx_string("proxy-connection"),
    ngx_string("set-cookie"),
    ngx_string("set-cookie2"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_null_string
};


ngx_int_t
ngx_http_optcache_interim(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_interim_t  *interim;

    if (r->content_handler == NULL
        || r->content_handler == ngx_http_optcache_interim_content)
    {
        return NGX_OK;
    }

    interim = ngx_pcalloc(r->pool, sizeof(ngx_http_optcache_interim_t));
    if (interim == NULL) {
        return NGX_ERROR;
    }

    interim->content = r->content_handler;

    ctx->interim = interim;
    r->content_handler = ngx_http_optcache_interim_content;

    return NGX_OK;
}


/*
 * Subrequests that are cloned later are to get the handler that was there.
 * When it returns, the request may have gone to another location already.
 */

static ngx_int_t
ngx_http_optcache_interim_content(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                 *module;
    ngx_http_upstream_t       *u;
    ngx_http_optcache_ctx_t   *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->content_handler = (ctx && ctx->interim) ? ctx->interim->content
                                               : clcf->handler;

    if (r->content_handler == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = r->content_handler(r);

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);
    u = r->upstream;

    if (rc != NGX_DONE || ctx == NULL || ctx->interim == NULL || u == NULL
        || u->conf == NULL)
    {
        return rc;
    }

    module = &u->conf->module;

    if (module->len == sizeof("proxy") - 1
        && ngx_strncmp(module->data, "proxy", sizeof("proxy") - 1) == 0)
    {
        ngx_http_optcache_interim_wrap(u, ctx->interim);
    }

    return rc;
}


static ngx_int_t
ngx_http_optcache_interim_header(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_upstream_t          *u;
    ngx_http_optcache_ctx_t      *ctx;
    ngx_http_optcache_interim_t  *interim;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->interim == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;
    interim = ctx->interim;

    for ( ;; ) {
        rc = interim->header(r);

        /* it has gone from the status line to the fields */

        ngx_http_optcache_interim_wrap(u, interim);

        if (ngx_http_compat_early_hints(rc)) {
            /* nginx does the rest; $upstream_status is that of the response */

            if (u->state) {
                u->state->status = 0;
            }

            return ngx_http_optcache_interim_count(r, interim) == NGX_OK
                   ? rc : NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        if (rc != NGX_OK || !ngx_http_optcache_interim_is(u)
#if (NGX_HTTP_CACHE)
            || r->cache
#endif
           )
        {
            return rc;
        }

        if (ngx_http_optcache_interim_count(r, interim) != NGX_OK) {
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        if (ngx_http_optcache_interim_send(r) == NGX_ERROR
            || ngx_http_optcache_interim_reset(r) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }
}


/* Each of them takes memory of the request. */

static ngx_int_t
ngx_http_optcache_interim_count(ngx_http_request_t *r,
    ngx_http_optcache_interim_t *interim)
{
    if (++interim->count <= NGX_HTTP_OPTCACHE_INTERIM_MAX) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream sent too many interim responses");

    return NGX_DECLINED;
}


/* For another interim response, or another server to try. */

static ngx_int_t
ngx_http_optcache_interim_reinit(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->interim == NULL) {
        return NGX_ERROR;
    }

    rc = ctx->interim->reinit(r);

    ngx_http_optcache_interim_wrap(r->upstream, ctx->interim);

    return rc;
}


static void
ngx_http_optcache_interim_wrap(ngx_http_upstream_t *u,
    ngx_http_optcache_interim_t *interim)
{
    if (u->reinit_request != ngx_http_optcache_interim_reinit) {
        interim->reinit = u->reinit_request;
        u->reinit_request = ngx_http_optcache_interim_reinit;
    }

    if (u->process_header != ngx_http_optcache_interim_header) {
        interim->header = u->process_header;
        u->process_header = ngx_http_optcache_interim_header;
    }
}


/* All but a 101, after which there is another protocol. */

static ngx_uint_t
ngx_http_optcache_interim_is(ngx_http_upstream_t *u)
{
    return u->headers_in.status_n >= NGX_HTTP_CONTINUE
           && u->headers_in.status_n < NGX_HTTP_OK
           && u->headers_in.status_n != NGX_HTTP_SWITCHING_PROTOCOLS;
}


/*
 * As before the interim response, but for what was read behind it, which gets
 * the room: all that was read of it was copied, and is not looked at again.
 */

static ngx_int_t
ngx_http_optcache_interim_reset(ngx_http_request_t *r)
{
    size_t                len;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    len = u->buffer.last - u->buffer.pos;

    ngx_memmove(u->buffer.start, u->buffer.pos, len);

    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start + len;

    if (u->reinit_request(r) != NGX_OK) {
        return NGX_ERROR;
    }

    u->keepalive = 0;

    if (u->state) {
        u->state->status = 0;
    }

    ngx_memzero(&u->headers_in, sizeof(ngx_http_upstream_headers_in_t));
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;

    if (ngx_list_init(&u->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_list_init(&u->headers_in.trailers, r->pool, 2,
                         sizeof(ngx_table_elt_t));
}


/*
 * What does not get out at once goes with the response.  Nobody waits for the
 * answer to a background update or a part of a page.
 *
 * No limit of the rate applies: it delays what is written next, and who writes
 * a response that is not buffered does not wait for the end of a delay.
 */

static ngx_int_t
ngx_http_optcache_interim_send(ngx_http_request_t *r)
{
    size_t                len, limit_rate;
    ngx_buf_t            *b;
    ngx_int_t             rc;
    ngx_uint_t            limit_rate_set;
    ngx_chain_t           out;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->headers_in.status_n == NGX_HTTP_CONTINUE
        || r->http_version != NGX_HTTP_VERSION_11
        || r != r->main
        || r->header_sent
        || r->connection->error)
    {
        return NGX_OK;
    }

    (void) ngx_http_optcache_interim_write(u, NULL, &len);

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_http_optcache_interim_write(u, b->last, &len);
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    limit_rate = r->limit_rate;
    limit_rate_set = r->limit_rate_set;

    r->limit_rate = 0;
    r->limit_rate_set = 1;

    rc = ngx_http_write_filter(r, &out);

    r->limit_rate = limit_rate;
    r->limit_rate_set = limit_rate_set;

    return rc;
}


/*
 * Writes the header to p, or only says how long it is.  If it names fields of
 * the connection it goes without any.
 */

static u_char *
ngx_http_optcache_interim_write(ngx_http_upstream_t *u, u_char *p,
    size_t *len)
{
    ngx_str_t        *line;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    line = &u->headers_in.status_line;

    *len = sizeof("HTTP/1.1 " CRLF CRLF) - 1 + line->len;

    if (p) {
        p = ngx_sprintf(p, "HTTP/1.1 %V" CRLF, line);
    }

    part = &u->headers_in.headers.part;

    for (h = part->elts, i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            part = part->next;

            if (part == NULL) {
                break;
            }

            h = part->elts;
            i = 0;
        }

        if (!ngx_http_optcache_interim_passes(u, &h[i])) {
            continue;
        }

        *len += h[i].key.len + sizeof(": " CRLF) - 1 + h[i].value.len;

        if (p) {
            p = ngx_sprintf(p, "%V: %V" CRLF, &h[i].key, &h[i].value);
        }
    }

    return p ? ngx_cpymem(p, CRLF, sizeof(CRLF) - 1) : NULL;
}


static ngx_uint_t
ngx_http_optcache_interim_passes(ngx_http_upstream_t *u, ngx_table_elt_t *h)
{
    ngx_str_t  *name;

    if (h->hash == 0
        || h->value.len == 0
        || u->headers_in.connection
        || ngx_hash_find(&u->conf->hide_headers_hash, h->hash, h->lowcase_key,
                         h->key.len))
    {
        return 0;
    }

    for (name = ngx_http_optcache_interim_dropped; name->len; name++) {

        if (h->key.len == name->len
            && ngx_strncmp(h->lowcase_key, name->data, name->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}
