
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_freshen.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_search.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_http_optcache_vary.h"


typedef struct {
    ngx_str_t                    *name;
    ngx_uint_t                    found;
} ngx_http_optcache_freshen_t;


static ngx_uint_t ngx_http_optcache_freshen_others(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e);
static ngx_uint_t ngx_http_optcache_freshen_same(ngx_str_t *before,
    ngx_str_t *after);
static u_char *ngx_http_optcache_freshen_rule(u_char *p, u_char *last,
    ngx_optcache_field_t *field);
static ngx_uint_t ngx_http_optcache_freshen_targeted(ngx_str_t *name);
static ngx_int_t ngx_http_optcache_freshen_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e);
static ngx_int_t ngx_http_optcache_freshen_merge(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_optcache_entry_t *e);
static ngx_int_t ngx_http_optcache_freshen_encoding(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_optcache_entry_t *e);
static void ngx_http_optcache_freshen_varies(ngx_table_elt_t *h, void *data);
static void ngx_http_optcache_freshen_protect(ngx_table_elt_t *h, void *data);
static ngx_uint_t ngx_http_optcache_freshen_stored(ngx_optcache_entry_t *e,
    ngx_str_t *name);
static ngx_uint_t ngx_http_optcache_freshen_said(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *name);
static void ngx_http_optcache_freshen_find(ngx_table_elt_t *h, void *data);


ngx_int_t
ngx_http_optcache_freshen(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                      rc;
    ngx_optcache_entry_t           e;
    ngx_http_optcache_response_t   resp;

    if (ngx_http_optcache_freshen_merge(r, &ctx->given, &ctx->entry) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.status = ctx->entry.status;

    rc = ngx_http_optcache_response_read(r, ctx, &resp, 1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    e = ctx->entry;

    if (resp.no_transform || resp.digest) {
        /* a form that we have made is not to be sent, or not what it says */
        e.gzip = NULL;
        e.gzip_len = 0;
    }

    if (ngx_http_optcache_response_entry(r, ctx, &resp, &e) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_TAGS;
        rc = ngx_http_optcache_tags(r, &resp, &e, &ctx->entry);
    }

    if (rc == NGX_OK && e.head.len > NGX_OPTCACHE_HEAD_MAX) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_SIZE;
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_optcache_freshen_store(r, ctx, &resp, &e);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_optcache_count_refused(ctx);

        if (!ngx_http_optcache_freshen_others(r, ctx, &resp, &e)) {
            ngx_http_optcache_remove(r, ctx);
        }
    }

    ctx->entry = e;

    return NGX_OK;
}


/*
 * Whether it is for the sake of who asks that nothing is stored (RFC 9111, 3.5
 * and 5.2.1.5), which says nothing of what is there for others: its ETag holds.
 * But a 304 speaks of that, too (4.3.4): it stays only under the rules that it
 * was stored by, and if it would be as fresh.  What others are not shown of the
 * rules is not there to be compared: then only what is fresh stays.
 */

static ngx_uint_t
ngx_http_optcache_freshen_others(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e)
{
    if (ngx_http_optcache_response_no_store(r, ctx)) {
        return 1;
    }

    if (ctx->refusal != NGX_HTTP_OPTCACHE_REFUSED_AUTHORIZATION
        && ctx->refusal != NGX_HTTP_OPTCACHE_REFUSED_COOKIE)
    {
        return 0;
    }

    if (resp->set_cookie
        || !ngx_http_optcache_freshen_same(&ctx->entry.head, &e->head))
    {
        return 0;
    }

    if (!resp->hidden && e->lifetime >= ctx->entry.lifetime) {
        return 1;
    }

    return !resp->targeted
           && !resp->freshness.cc.no_cache
           && resp->lifetime > resp->age;
}


/* Whether both say the same in Cache-Control, what goes before it, and Vary. */

static ngx_uint_t
ngx_http_optcache_freshen_same(ngx_str_t *before, ngx_str_t *after)
{
    u_char                *p, *q;
    ngx_optcache_field_t   a, b;

    p = before->data;
    q = after->data;

    for ( ;; ) {
        p = ngx_http_optcache_freshen_rule(p, before->data + before->len, &a);
        q = ngx_http_optcache_freshen_rule(q, after->data + after->len, &b);

        if (p == NULL || q == NULL) {
            return p == q;
        }

        if (a.name.len != b.name.len
            || ngx_strncasecmp(a.name.data, b.name.data, a.name.len) != 0
            || a.value.len != b.value.len
            || ngx_memcmp(a.value.data, b.value.data, a.value.len) != 0)
        {
            return 0;
        }
    }
}


/* The next line of either; NULL: there is none. */

static u_char *
ngx_http_optcache_freshen_rule(u_char *p, u_char *last,
    ngx_optcache_field_t *field)
{
    while (p && p < last) {
        p = ngx_optcache_field_read(p, last, field);

        if (p && (field->id == NGX_OPTCACHE_FIELD_CACHE_CONTROL
                  || field->id == NGX_OPTCACHE_FIELD_VARY
                  || ngx_http_optcache_freshen_targeted(&field->name)))
        {
            return p;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_optcache_freshen_targeted(ngx_str_t *name)
{
    const char  **target;

    for (target = ngx_http_optcache_targets; *target; target++) {
        if (name->len == ngx_strlen(*target)
            && ngx_strncasecmp(name->data, (u_char *) *target, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Beside others, if it is the 304 that says what it depends on. */

static ngx_int_t
ngx_http_optcache_freshen_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e)
{
    u_char     *key;
    ngx_int_t   rc;

    key = ctx->key.identity.data;

    ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_KEY;
    rc = ngx_http_optcache_search_respond(r, ctx, 1);

    if (rc == NGX_OK) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_VARY;
        rc = ngx_http_optcache_vary_respond(r, ctx, &resp->vary, e);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->key.identity.data != key) {
        e->key = ctx->key.identity;
    }

    ngx_http_optcache_store(r, ctx, e);

    return NGX_OK;
}


/* The response that the origin would have given: in r->headers_out. */

static ngx_int_t
ngx_http_optcache_freshen_merge(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_optcache_entry_t *e)
{
    u_char                *p, *last;
    ngx_uint_t             i;
    ngx_array_t            kept;
    ngx_table_elt_t       *h;
    ngx_optcache_field_t   field, *f;

    if (ngx_array_init(&kept, r->pool, 16, sizeof(ngx_optcache_field_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_optcache_response_behind(&r->headers_out.headers, given->n,
                                      ngx_http_optcache_freshen_protect, e);

    if (ngx_http_optcache_freshen_encoding(r, given, e) != NGX_OK) {
        return NGX_ERROR;
    }

    p = e->head.data;
    last = p + e->head.len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL) {
            return NGX_ERROR;
        }

        switch (field.id) {

        case NGX_OPTCACHE_FIELD_DATE:
            /* that of the 304, or when it came (RFC 9110, 6.6.1) */
            continue;

        case NGX_OPTCACHE_FIELD_CONTENT_TYPE:

            if (r->headers_out.content_type.len == 0
                || r->headers_out.content_type.data == given->type.data)
            {
                ngx_http_optcache_send_type(r, &field.value);
            }

            continue;

        default:
            break;
        }

        if (ngx_http_optcache_freshen_said(r, given, &field.name)) {
            continue;
        }

        f = ngx_array_push(&kept);
        if (f == NULL) {
            return NGX_ERROR;
        }

        *f = field;
    }

    f = kept.elts;

    for (i = 0; i < kept.nelts; i++) {

        h = ngx_http_compat_push_header(r, &f[i].name, &f[i].value);
        if (h == NULL) {
            return NGX_ERROR;
        }

        if (f[i].id == NGX_OPTCACHE_FIELD_LOCATION) {
            /* stored as one that nginx may complete */
            r->headers_out.location = h;
        }
    }

    if (r->headers_out.last_modified_time == -1) {
        r->headers_out.last_modified_time = e->last_modified;
    }

    return NGX_OK;
}


/*
 * Servers that compress add to Vary when they have something to compress, and
 * many do not for a 304, though all of it should be said again there (RFC 9110,
 * 15.4.5).  What is stored has its coding still, and depends on it.
 */

static ngx_int_t
ngx_http_optcache_freshen_encoding(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_optcache_entry_t *e)
{
    u_char                   *p, *last;
    ngx_optcache_field_t      field;
    ngx_http_rfc9111_vary_t   said, stored;

    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  encoding = ngx_string("Accept-Encoding");

    ngx_memzero(&said, sizeof(ngx_http_rfc9111_vary_t));
    ngx_memzero(&stored, sizeof(ngx_http_rfc9111_vary_t));

    ngx_http_optcache_response_behind(&r->headers_out.headers, given->n,
                                      ngx_http_optcache_freshen_varies, &said);

    if (said.n == 0 || said.any || said.encoding) {
        return NGX_OK;
    }

    p = e->head.data;
    last = p + e->head.len;

    while (p && p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p && field.id == NGX_OPTCACHE_FIELD_VARY) {
            ngx_http_rfc9111_vary_parse(&field.value, &stored);
        }
    }

    if (stored.encoding
        && ngx_http_compat_push_header(r, &vary, &encoding) == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_optcache_freshen_varies(ngx_table_elt_t *h, void *data)
{
    ngx_http_rfc9111_vary_t *vary = data;

    if (ngx_http_optcache_response_is(h, "Vary")) {
        ngx_http_rfc9111_vary_parse(&h->value, vary);
    }
}


/*
 * What describes the body that is kept, or names it, stays (RFC 9111, 3.2).  An
 * ETag that is another one is not believed (4.3.4): it answers ours.
 */

static void
ngx_http_optcache_freshen_protect(ngx_table_elt_t *h, void *data)
{
    ngx_optcache_entry_t *e = data;

    ngx_str_t  *name;

    static ngx_str_t  names[] = {
        ngx_string("Content-Encoding"),
        ngx_string("Content-Range"),
        ngx_string("Content-MD5"),
        ngx_string("Content-Digest"),
        ngx_null_string
    };

    static ngx_str_t  etag = ngx_string("ETag");

    for (name = names; name->len; name++) {

        if (ngx_http_optcache_response_is(h, (char *) name->data)) {
            h->hash = 0;
            return;
        }
    }

    if (ngx_http_optcache_response_is(h, (char *) etag.data)
        && ngx_http_optcache_freshen_stored(e, &etag))
    {
        h->hash = 0;
    }
}


static ngx_uint_t
ngx_http_optcache_freshen_stored(ngx_optcache_entry_t *e, ngx_str_t *name)
{
    ngx_optcache_field_t  field;

    return ngx_optcache_entry_field(e, ngx_optcache_field_id(name), &field)
           == NGX_OK;
}


static ngx_uint_t
ngx_http_optcache_freshen_said(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *name)
{
    ngx_http_optcache_freshen_t  f;

    f.name = name;
    f.found = 0;

    ngx_http_optcache_response_behind(&r->headers_out.headers, given->n,
                                      ngx_http_optcache_freshen_find, &f);
    return f.found;
}


static void
ngx_http_optcache_freshen_find(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_freshen_t *f = data;

    if (h->key.len == f->name->len
        && ngx_strncasecmp(h->key.data, f->name->data, f->name->len) == 0)
    {
        f->found = 1;
    }
}


void
ngx_http_optcache_freshen_head(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t             other;
    ngx_optcache_entry_t  *e;
    ngx_optcache_field_t   etag;

    e = &ctx->entry;

    /* what is stale is asked about in any case */

    if (r->method != NGX_HTTP_HEAD
        || !ctx->refused
        || r->headers_out.status != NGX_HTTP_OK
        || e->status != NGX_HTTP_OK)
    {
        return;
    }

    other = r->headers_out.content_length_n != -1
            && r->headers_out.content_length_n != (off_t) e->body_len;

    other |= r->headers_out.last_modified_time != -1
             && e->last_modified != -1
             && r->headers_out.last_modified_time != e->last_modified;

    if (r->headers_out.etag
        && ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_ETAG, &etag)
           == NGX_OK)
    {
        other |= etag.value.len != r->headers_out.etag->value.len
                 || ngx_memcmp(etag.value.data,
                               r->headers_out.etag->value.data,
                               etag.value.len)
                    != 0;
    }

    if (other) {
        ngx_http_optcache_remove(r, ctx);
    }
}
