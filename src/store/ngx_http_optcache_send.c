
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_since.h"
#include "ngx_http_rfc9110_encoding.h"
#include "ngx_http_rfc9111_vary.h"
#include "ngx_rare.h"


/* of a body; the processor sees by itself that what is longer goes on */

#define NGX_HTTP_OPTCACHE_SEND_PREFETCH  2048


static ngx_uint_t ngx_http_optcache_send_gzip(ngx_http_request_t *r,
    ngx_optcache_entry_t *e);
static void ngx_http_optcache_send_prefetch(ngx_chain_t *body);
static ngx_often ngx_int_t ngx_http_optcache_send_fields(
    ngx_http_request_t *r, ngx_optcache_entry_t *e, ngx_uint_t *varies);
static ngx_rare ngx_uint_t ngx_http_optcache_send_whole(
    ngx_optcache_field_t *field);
static ngx_int_t ngx_http_optcache_send_field(ngx_http_request_t *r,
    ngx_optcache_field_t *field);
static ngx_apart void ngx_http_optcache_send_charset(ngx_http_request_t *r,
    ngx_str_t *type, u_char *p);
static ngx_int_t ngx_http_optcache_send_coding(ngx_http_request_t *r,
    ngx_uint_t varies, ngx_uint_t gzip);
static void ngx_http_optcache_send_ranges(ngx_http_request_t *r,
    ngx_optcache_entry_t *e);
static ngx_rare ngx_uint_t ngx_http_optcache_send_etag(ngx_str_t *value);
static ngx_rare ngx_uint_t ngx_http_optcache_send_two_forms(
    ngx_http_request_t *r);
static ngx_rare ngx_uint_t ngx_http_optcache_send_if_range(
    ngx_http_request_t *r, ngx_optcache_entry_t *e);
static ngx_uint_t ngx_http_optcache_send_varies(ngx_str_t *line);
static ngx_int_t ngx_http_optcache_send_age(ngx_http_request_t *r,
    ngx_optcache_entry_t *e);


static ngx_str_t  ngx_http_optcache_gzip_coding = ngx_string("gzip");


ngx_often ngx_int_t
ngx_http_optcache_send(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_chain_t  *body;

    ctx->sent = 1;

    ngx_http_optcache_count_hit(ctx);

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_optcache_send_head(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    body = ngx_http_optcache_send_body(r, ctx);
    if (body == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_output_filter(r, body);
}


ngx_often ngx_int_t
ngx_http_optcache_send_head(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t             gzip, varies;
    ngx_optcache_entry_t  *e;

    e = &ctx->entry;

    if (r->headers_in.if_none_match) {
        /* RFC 9110, 13.1.3: it is ignored then; nginx would look at both */
        r->headers_in.if_modified_since = NULL;
    }

    /* what is sent in place of an error: RFC 9110, 13.1.1, lets ignore them */

    r->headers_in.if_match = NULL;
    r->headers_in.if_unmodified_since = NULL;

    if (r->method != NGX_HTTP_GET) {
        /* RFC 9110, 14.2: it has a meaning for GET only; nginx minds HEAD */
        r->headers_in.range = NULL;
    }

    gzip = ngx_http_optcache_send_gzip(r, e);

    ngx_http_optcache_send_prefetch(gzip ? e->gzip : e->body);

    r->headers_out.status = e->status;
    r->headers_out.content_length_n = gzip ? e->gzip_len : e->body_len;
    r->headers_out.last_modified_time = e->last_modified;

    if (ngx_rarely(r->headers_in.if_modified_since != NULL)
        && ngx_http_optcache_since(r, e) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_optcache_send_fields(r, e, &varies) != NGX_OK
        || ngx_http_optcache_send_age(r, e) != NGX_OK
        || ngx_http_optcache_send_status(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (e->gzip_len
        && ngx_http_optcache_send_coding(r, varies, gzip) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!gzip) {
        ngx_http_optcache_send_ranges(r, e);
    }

    ctx->gzip = gzip;

    return NGX_OK;
}


/*
 * The stored gzip goes to who takes it, but not to who asks for a range: a
 * range is of the form without coding, which keeps its strong validator.  Nor
 * does it go into a page, whose coding a part of it has to have.
 */

static ngx_uint_t
ngx_http_optcache_send_gzip(ngx_http_request_t *r, ngx_optcache_entry_t *e)
{
    if (e->gzip_len == 0 || r->headers_in.range || r != r->main) {
        return 0;
    }

    return ngx_http_rfc9110_accepts(ngx_http_optcache_accept_encoding(r),
                                    &ngx_http_optcache_gzip_coding);
}


/*
 * The kernel copies the body, for which it waits, as it is in no cache of the
 * processor; so it comes while the header is made.
 */

static void
ngx_http_optcache_send_prefetch(ngx_chain_t *body)
{
    u_char  *p, *last;

    if (body == NULL) {
        return;
    }

    p = body->buf->pos;
    last = p + ngx_min(body->buf->last - p, NGX_HTTP_OPTCACHE_SEND_PREFETCH);

    for ( /* void */ ; p < last; p += NGX_CPU_CACHE_LINE) {
        __builtin_prefetch(p);
    }
}


static ngx_int_t
ngx_http_optcache_send_fields(ngx_http_request_t *r, ngx_optcache_entry_t *e,
    ngx_uint_t *varies)
{
    u_char                        *p, *last;
    ngx_optcache_field_t           field;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    *varies = 0;

    p = e->head.data;
    last = p + e->head.len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL) {
            return NGX_ERROR;
        }

        if (field.id == NGX_OPTCACHE_FIELD_VARY && e->gzip_len) {
            *varies |= ngx_http_optcache_send_varies(&field.value);
        }

        if (field.id == NGX_OPTCACHE_FIELD_CONTENT_TYPE) {

            /* a file takes the type that who redirects to it has brought */

            if (ngx_rarely(r->headers_out.content_type.len)
                && r->content_handler == NULL)
            {
                continue;
            }

            ngx_http_optcache_send_type(r, &field.value);
            continue;
        }

        if (r->headers_in.range
            && ngx_http_optcache_send_whole(&field))
        {
            continue;
        }

        if (ngx_rarely(field.id == NGX_OPTCACHE_FIELD_SET_COOKIE)
            && (olcf->set_cookie != NGX_HTTP_OPTCACHE_COOKIE_KEEP
                || field.value.len == 0))
        {
            /* stored where it is kept, put into Redis by somebody, or a mark */
            continue;
        }

        if (ngx_http_optcache_send_field(r, &field) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* What is said of a whole body, and is wrong of a part (RFC 9530, 2). */

static ngx_uint_t
ngx_http_optcache_send_whole(ngx_optcache_field_t *field)
{
    ngx_str_t  *name;

    static ngx_str_t  names[] = {
        ngx_string("Content-Digest"),
        ngx_string("Content-MD5"),
        ngx_null_string
    };

    if (field->id == NGX_OPTCACHE_FIELD_CONTENT_RANGE) {
        /* the answer may get one of its own */
        return 1;
    }

    for (name = names; name->len; name++) {
        if (name->len == field->name.len
            && ngx_strncasecmp(name->data, field->name.data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_optcache_send_field(ngx_http_request_t *r,
    ngx_optcache_field_t *field)
{
    ngx_table_elt_t  *h;

    h = ngx_http_compat_push_header(r, &field->name, &field->value);
    if (h == NULL) {
        return NGX_ERROR;
    }

    switch (field->id) {

    case NGX_OPTCACHE_FIELD_CONTENT_ENCODING:
        r->headers_out.content_encoding = h;
        break;

    case NGX_OPTCACHE_FIELD_LAST_MODIFIED:
        r->headers_out.last_modified = h;
        break;

    case NGX_OPTCACHE_FIELD_ETAG:
        r->headers_out.etag = h;
        break;

    case NGX_OPTCACHE_FIELD_DATE:
        r->headers_out.date = h;
        break;

    case NGX_OPTCACHE_FIELD_EXPIRES:
        r->headers_out.expires = h;
        break;

    case NGX_OPTCACHE_FIELD_LOCATION:
        r->headers_out.location = h;
        break;

    case NGX_OPTCACHE_FIELD_SERVER:

        if (field->value.len == 0) {
            /* the upstream said none, and nginx's own is not wanted */
            h->hash = 0;
        }

        r->headers_out.server = h;
        break;

    case NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE:
        ngx_http_compat_add_www_authenticate(r, h);
        break;

    case NGX_OPTCACHE_FIELD_CACHE_CONTROL:
        return ngx_http_compat_add_cache_control(r, h);

    case NGX_OPTCACHE_FIELD_OTHER:
        return ngx_http_compat_add_link(r, h);

    default:
        break;
    }

    return NGX_OK;
}


/*
 * As it is when it comes from an upstream: filters compare the type without
 * its charset, and the charset filter leaves a response alone that has one.
 */

void
ngx_http_optcache_send_type(ngx_http_request_t *r, ngx_str_t *type)
{
    u_char  *p;

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);

    p = memchr(type->data, ';', type->len);
    if (p) {
        ngx_http_optcache_send_charset(r, type, p);
    }
}


/* From a semicolon in the type. */

static void
ngx_http_optcache_send_charset(ngx_http_request_t *r, ngx_str_t *type,
    u_char *p)
{
    u_char  *last, *end;

    last = type->data + type->len;

    for ( /* void */ ; p < last; p++) {

        if (*p != ';') {
            continue;
        }

        end = p;

        while (p + 1 < last && p[1] == ' ') {
            p++;
        }

        if (last - p <= (ssize_t) sizeof("charset=") - 1
            || ngx_strncasecmp(p + 1, (u_char *) "charset=",
                               sizeof("charset=") - 1)
               != 0)
        {
            continue;
        }

        p += sizeof("charset=");

        if (p < last && *p == '"') {
            p++;
        }

        if (last > p && *(last - 1) == '"') {
            last--;
        }

        r->headers_out.content_type_len = end - type->data;
        r->headers_out.charset.data = p;
        r->headers_out.charset.len = last - p;

        return;
    }
}


/*
 * An entry that has both forms varies on Accept-Encoding, whichever is sent
 * (RFC 9110, 12.5.5); the validator of the gzip form is a weak one (8.8.3).
 */

static ngx_int_t
ngx_http_optcache_send_coding(ngx_http_request_t *r, ngx_uint_t varies,
    ngx_uint_t gzip)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  accept_encoding = ngx_string("Accept-Encoding");
    static ngx_str_t  content_encoding = ngx_string("Content-Encoding");

    if (!varies
        && ngx_http_compat_push_header(r, &vary, &accept_encoding) == NULL)
    {
        return NGX_ERROR;
    }

    if (!gzip) {
        return NGX_OK;
    }

    h = ngx_http_compat_push_header(r, &content_encoding,
                                    &ngx_http_optcache_gzip_coding);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.content_encoding = h;

    ngx_http_weak_etag(r);

    return NGX_OK;
}


/* RFC 9110, 14.2: of a GET and a 200, and of the form without coding. */

static void
ngx_http_optcache_send_ranges(ngx_http_request_t *r, ngx_optcache_entry_t *e)
{
    if (e->status != NGX_HTTP_OK || r->method == NGX_HTTP_POST) {
        return;
    }

    r->allow_ranges = 1;

    /* nginx cuts several ranges out of one buffer only: all is sent then */

    r->single_range = (e->body && e->body->next);

    if (ngx_rarely(r->headers_in.range != NULL)
        && r->headers_in.if_range
        && !ngx_http_optcache_send_if_range(r, e))
    {
        r->headers_in.range = NULL;
    }
}


/*
 * RFC 9110, 13.1.5: only a strong validator can say that a part is of what the
 * client has.  A date is one if Date shows that it was over by then (8.8.2.2),
 * and there is one form only: it does not tell which one the client has.
 * Whether it is the one of the entry is seen by nginx.
 */

static ngx_uint_t
ngx_http_optcache_send_if_range(ngx_http_request_t *r, ngx_optcache_entry_t *e)
{
    time_t      date;
    ngx_str_t  *value;

    value = &r->headers_in.if_range->value;

    if (ngx_http_optcache_send_etag(value)) {
        return value->data[0] == '"';
    }

    if (e->gzip_len
        || ngx_http_optcache_send_two_forms(r)
        || r->headers_out.date == NULL)
    {
        return 0;
    }

    date = ngx_parse_http_time(r->headers_out.date->value.data,
                               r->headers_out.date->value.len);

    return date != NGX_ERROR && e->last_modified < date;
}


void
ngx_http_optcache_send_dated_range(ngx_http_request_t *r)
{
    if (r->headers_in.range
        && !ngx_http_optcache_send_etag(&r->headers_in.if_range->value)
        && ngx_http_optcache_send_two_forms(r))
    {
        r->headers_in.range = NULL;
    }
}


/* Weak or not; what is none is a date, or nothing. */

static ngx_uint_t
ngx_http_optcache_send_etag(ngx_str_t *value)
{
    return value->len >= 2 && value->data[value->len - 1] == '"';
}


/* The client may have the form in gzip, though it is not there now. */

static ngx_uint_t
ngx_http_optcache_send_two_forms(ngx_http_request_t *r)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    return olcf->gzip
           && ngx_http_test_content_type(r, &olcf->gzip_types) != NULL;
}


/* Whether a line of Vary has Accept-Encoding. */

static ngx_uint_t
ngx_http_optcache_send_varies(ngx_str_t *line)
{
    ngx_http_rfc9111_vary_t  vary;

    ngx_memzero(&vary, sizeof(ngx_http_rfc9111_vary_t));

    ngx_http_rfc9111_vary_parse(line, &vary);

    return vary.encoding;
}


static ngx_int_t
ngx_http_optcache_send_age(ngx_http_request_t *r, ngx_optcache_entry_t *e)
{
    u_char     *p, *last;
    int64_t     n;
    ngx_str_t   value;

    static ngx_str_t  age = ngx_string("Age");

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = p + NGX_INT64_LEN;
    p = last;

    /* never below 0; ngx_sprintf() costs more than a header line */

    n = ngx_optcache_entry_age(e, ngx_time());

    do {
        *--p = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    value.data = p;
    value.len = last - p;

    if (ngx_http_compat_push_header(r, &age, &value) == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_often ngx_chain_t *
ngx_http_optcache_send_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *body;

    body = ctx->gzip ? ctx->entry.gzip : ctx->entry.body;

    if (body == NULL) {

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NULL;
        }

        b->sync = (r != r->main);

        body = ngx_alloc_chain_link(r->pool);
        if (body == NULL) {
            return NULL;
        }

        body->buf = b;
        body->next = NULL;
    }

    for (cl = body; cl->next; cl = cl->next) { /* void */ }

    cl->buf->last_buf = (r == r->main);
    cl->buf->last_in_chain = 1;

    return body;
}


ngx_often ngx_uint_t
ngx_http_optcache_acceptable(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    u_char                *last;
    ngx_int_t              rc;
    ngx_str_t              head;
    ngx_optcache_field_t   field;

    head = ctx->entry.head;
    last = head.data + head.len;

    /* there may be several: a coding for each line */

    while ((rc = ngx_optcache_field_find(&head,
                                         NGX_OPTCACHE_FIELD_CONTENT_ENCODING,
                                         &field))
           == NGX_OK)
    {
        if (!ngx_http_rfc9110_acceptable(ngx_http_optcache_accept_encoding(r),
                                         &field.value,
                                         ngx_http_optcache_send_varies(
                                                                &ctx->vary)))
        {
            return 0;
        }

        head.data = field.value.data + field.value.len;
        head.len = last - head.data;
    }

    return rc == NGX_DECLINED;
}
