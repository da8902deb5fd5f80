
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_vary.h"
#include "ngx_http_rfc9110_encoding.h"


/* for how long the names are kept at least, seconds */

#define NGX_HTTP_OPTCACHE_VARY_LIFETIME  86400


static ngx_uint_t ngx_http_optcache_vary_coded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_optcache_vary_merge(ngx_http_rfc9111_vary_t *vary,
    ngx_http_rfc9111_vary_t *more);
static ngx_int_t ngx_http_optcache_vary_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *vary,
    ngx_optcache_entry_t *response);
static ngx_int_t ngx_http_optcache_vary_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *vary);
static u_char *ngx_http_optcache_vary_value(ngx_http_request_t *r,
    ngx_str_t *name, u_char *p);
static u_char *ngx_http_optcache_vary_host(ngx_http_request_t *r,
    ngx_str_t *name, u_char *p);
static ngx_uint_t ngx_http_optcache_vary_named(ngx_table_elt_t *h,
    ngx_str_t *name);
static ngx_uint_t ngx_http_optcache_vary_caseless(ngx_str_t *name);
static void ngx_http_optcache_vary_lower(u_char *p, u_char *last);
static u_char *ngx_http_optcache_vary_line(u_char *p, ngx_str_t *value);
static u_char *ngx_http_optcache_vary_codings(ngx_http_request_t *r,
    u_char *p);


static ngx_str_t  ngx_http_optcache_vary_encoding =
                                               ngx_string("accept-encoding");

static ngx_str_t  ngx_http_optcache_vary_identity = ngx_string("identity");


ngx_int_t
ngx_http_optcache_vary_select(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_buf_t                *b;
    ngx_optcache_field_t      field;
    ngx_http_rfc9111_vary_t   vary;

    if (ctx->base.data != ctx->key.identity.data
        || ctx->entry.body == NULL
        || ngx_optcache_entry_field(&ctx->entry, NGX_OPTCACHE_FIELD_VARY,
                                    &field)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    b = ctx->entry.body->buf;

    if (b->last - b->pos != NGX_OPTCACHE_ENTRY_NUMBER) {
        return NGX_DECLINED;
    }

    ngx_memzero(&vary, sizeof(ngx_http_rfc9111_vary_t));
    ngx_http_rfc9111_vary_parse(&field.value, &vary);

    if (vary.any) {
        return NGX_DECLINED;
    }

    ctx->vary = field.value;
    ngx_memcpy(ctx->number, b->pos, NGX_OPTCACHE_ENTRY_NUMBER);

    return ngx_http_optcache_vary_key(r, ctx, &vary);
}


ngx_int_t
ngx_http_optcache_vary_respond(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *said,
    ngx_optcache_entry_t *e)
{
    ngx_http_rfc9111_vary_t   vary, more;

    if (ctx->vary.data == NULL
        && said->n == 0 && !said->any && !said->encoding)
    {
        /* there is one answer to all, as mostly */
        return NGX_OK;
    }

    more = *said;

    more.encoding = said->encoding && ngx_http_optcache_vary_coded(r);

    ngx_memzero(&vary, sizeof(ngx_http_rfc9111_vary_t));

    if (ctx->vary.data) {
        ngx_http_rfc9111_vary_parse(&ctx->vary, &vary);
    }

    if (!ngx_http_optcache_vary_merge(&vary, &more)) {
        /* ctx->key is that of the names there were, if any */
        return NGX_OK;
    }

    if (vary.any || RAND_bytes(ctx->number, sizeof(ctx->number)) != 1) {
        return NGX_DECLINED;
    }

    if (ngx_http_optcache_vary_store(r, ctx, &vary, e) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_optcache_vary_key(r, ctx, &vary);
}


/*
 * Whether the answer is one of several that Accept-Encoding chooses from.  What
 * has no coding, though gzip was asked for and nothing else, has none for others
 * either.  It is for everybody, too, where it is of a type that is compressed
 * here.  But an error may be what one gets who takes nothing without a coding.
 */

static ngx_uint_t
ngx_http_optcache_vary_coded(ngx_http_request_t *r)
{
    ngx_str_t                     *line;
    ngx_http_optcache_loc_conf_t  *olcf;

    static ngx_str_t  gzip = ngx_string("gzip");

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        return 1;
    }

    line = ngx_http_optcache_accept_encoding(r);

    if (r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE
        && !ngx_http_rfc9110_accepts_identity(line))
    {
        return 1;
    }

    if (ngx_http_rfc9110_accepts(line, &gzip)
        && !ngx_http_rfc9110_accepts(line, &ngx_http_optcache_vary_identity))
    {
        return 0;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    return !olcf->gzip
           || ngx_http_test_content_type(r, &olcf->gzip_types) == NULL;
}


/* Adds fields to a set; 0 when they are all there. */

static ngx_uint_t
ngx_http_optcache_vary_merge(ngx_http_rfc9111_vary_t *vary,
    ngx_http_rfc9111_vary_t *more)
{
    ngx_uint_t  i, n;

    n = vary->n + vary->any + vary->encoding;

    for (i = 0; i < more->n; i++) {
        ngx_http_rfc9111_vary_parse(&more->names[i], vary);
    }

    vary->any |= more->any;
    vary->encoding |= more->encoding;

    return vary->n + vary->any + vary->encoding != n;
}


static ngx_int_t
ngx_http_optcache_vary_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *vary,
    ngx_optcache_entry_t *response)
{
    u_char                *p;
    size_t                 len;
    ngx_buf_t              b;
    ngx_uint_t             i;
    ngx_chain_t            body;
    ngx_optcache_entry_t   e;
    ngx_optcache_field_t   field;

    len = vary->encoding ? ngx_http_optcache_vary_encoding.len + 1 : 0;

    for (i = 0; i < vary->n; i++) {
        len += vary->names[i].len + 1;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->vary.data = p;

    for (i = 0; i < vary->n; i++) {
        p = ngx_cpymem(p, vary->names[i].data, vary->names[i].len);
        *p++ = ',';
    }

    if (vary->encoding) {
        p = ngx_cpymem(p, ngx_http_optcache_vary_encoding.data,
                       ngx_http_optcache_vary_encoding.len);
        *p++ = ',';
    }

    ctx->vary.len = p - 1 - ctx->vary.data;

    field.id = NGX_OPTCACHE_FIELD_VARY;
    ngx_str_set(&field.name, "Vary");
    field.value = ctx->vary;

    ngx_memzero(&e, sizeof(ngx_optcache_entry_t));
    ngx_memzero(&b, sizeof(ngx_buf_t));

    e.head.len = ngx_optcache_field_size(&field);
    e.head.data = ngx_pnalloc(r->pool, e.head.len);

    if (e.head.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_optcache_field_write(e.head.data, &field);

    b.pos = ctx->number;
    b.last = b.pos + NGX_OPTCACHE_ENTRY_NUMBER;
    b.memory = 1;

    body.buf = &b;
    body.next = NULL;

    e.key = ctx->base;
    e.body = &body;
    e.body_len = NGX_OPTCACHE_ENTRY_NUMBER;
    e.date = ngx_time();
    e.last_modified = -1;
    e.lifetime = NGX_HTTP_OPTCACHE_VARY_LIFETIME;
    e.tags = response->tags;
    e.ntags = response->ntags;

    if (ngx_http_optcache_marks_set(r, ctx, &e) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_optcache_store(r, ctx, &e);

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_vary_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *vary)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = 1 + NGX_OPTCACHE_ENTRY_NUMBER + sizeof(uint32_t) + ctx->base.len
          + (vary->n + vary->encoding) * (1 + SHA256_DIGEST_LENGTH);

    if (len > NGX_OPTCACHE_KEY_MAX) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->key.identity.data = p;

    *p++ = 'v';
    p = ngx_cpymem(p, ctx->number, NGX_OPTCACHE_ENTRY_NUMBER);

    *p++ = (u_char) ctx->base.len;
    *p++ = (u_char) (ctx->base.len >> 8);
    *p++ = (u_char) (ctx->base.len >> 16);
    *p++ = (u_char) (ctx->base.len >> 24);

    p = ngx_cpymem(p, ctx->base.data, ctx->base.len);

    for (i = 0; i < vary->n; i++) {
        p = ngx_http_optcache_vary_value(r, &vary->names[i], p);

        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    if (vary->encoding) {
        p = ngx_http_optcache_vary_codings(r, p);
    }

    ctx->key.identity.len = p - ctx->key.identity.data;

    return NGX_OK;
}


/*
 * RFC 9111, 4.1: values match that can be made the same by white space, by
 * joining lines, and by what is known of a field.
 */

static u_char *
ngx_http_optcache_vary_value(ngx_http_request_t *r, ngx_str_t *name, u_char *p)
{
    u_char           *value, *last;
    size_t            len;
    ngx_uint_t        i, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = 0;
    found = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_optcache_vary_named(&h[i], name)) {
                len += h[i].value.len + 1;
                found = 1;
            }
        }
    }

    if (!found) {
        return ngx_http_optcache_vary_host(r, name, p);
    }

    value = ngx_pnalloc(r->pool, len);
    if (value == NULL) {
        return NULL;
    }

    last = value;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_optcache_vary_named(&h[i], name)) {

                if (last != value) {
                    *last++ = ',';
                }

                last = ngx_http_optcache_vary_line(last, &h[i].value);
            }
        }
    }

    if (ngx_http_optcache_vary_caseless(name)) {
        ngx_http_optcache_vary_lower(value, last);
    }

    *p++ = 1;
    (void) SHA256(value, last - value, p);

    return p + SHA256_DIGEST_LENGTH;
}


/* A field that is not there, but for the host in HTTP/3. */

static u_char *
ngx_http_optcache_vary_host(ngx_http_request_t *r, ngx_str_t *name, u_char *p)
{
    ngx_str_t  host;

    if (name->len == sizeof("Host") - 1
        && ngx_strncasecmp(name->data, (u_char *) "Host", name->len) == 0)
    {
        host = ngx_http_compat_host(r);

    } else {
        ngx_str_null(&host);
    }

    if (host.len == 0) {
        *p++ = 0;
        return p;
    }

    *p++ = 1;
    (void) SHA256(host.data, host.len, p);

    return p + SHA256_DIGEST_LENGTH;
}


static ngx_uint_t
ngx_http_optcache_vary_named(ngx_table_elt_t *h, ngx_str_t *name)
{
    return h->key.len == name->len
           && ngx_strncasecmp(h->key.data, name->data, name->len) == 0;
}


/*
 * Fields of which the names of types, ranges and charsets are the same in any
 * case (RFC 9110, 12.5).
 */

static ngx_uint_t
ngx_http_optcache_vary_caseless(ngx_str_t *name)
{
    ngx_str_t  *known;

    static ngx_str_t  names[] = {
        ngx_string("accept"),
        ngx_string("accept-charset"),
        ngx_string("accept-language"),
        ngx_null_string
    };

    for (known = names; known->len; known++) {
        if (known->len == name->len
            && ngx_strncasecmp(known->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * RFC 9110, 5.6.6: the value of a parameter may be another in another case, as
 * the URI of a profile is.
 */

static void
ngx_http_optcache_vary_lower(u_char *p, u_char *last)
{
    ngx_uint_t  quoted, value;

    quoted = 0;
    value = 0;

    for ( /* void */ ; p < last; p++) {

        if (quoted) {

            if (*p == '\\' && p + 1 < last) {
                p++;

            } else if (*p == '"') {
                quoted = 0;
            }

        } else if (*p == '"') {
            quoted = 1;

        } else if (*p == ',' || *p == ';') {
            value = 0;

        } else if (*p == '=') {
            value = 1;

        } else if (!value) {
            *p = ngx_tolower(*p);
        }
    }
}


/* Copies a line without the white space around commas, but for strings. */

static u_char *
ngx_http_optcache_vary_line(u_char *p, ngx_str_t *value)
{
    u_char      *from, *last, *begin;
    ngx_uint_t   quoted;

    begin = p;
    from = value->data;
    last = from + value->len;
    quoted = 0;

    for ( /* void */ ; from < last; from++) {

        if (quoted) {
            *p++ = *from;

            if (*from == '\\' && from + 1 < last) {
                *p++ = *++from;

            } else if (*from == '"') {
                quoted = 0;
            }

            continue;
        }

        if ((*from == ' ' || *from == '\t')
            && (p == begin || p[-1] == ','))
        {
            continue;
        }

        if (*from == ',') {
            while (p > begin && (p[-1] == ' ' || p[-1] == '\t')) {
                p--;
            }
        }

        if (*from == '"') {
            quoted = 1;
        }

        *p++ = *from;
    }

    return p;
}


/*
 * Which of the codings that are commonly known a client takes, and whether it
 * takes nothing that has none; these are all the bits of a byte.  There is one
 * more byte if it takes some, and names what has none beside them: it may like
 * that better ("identity, gzip;q=0.5"), which is of its own then.
 */

static u_char *
ngx_http_optcache_vary_codings(ngx_http_request_t *r, u_char *p)
{
    ngx_str_t   *coding, *line;
    ngx_uint_t   bits;

    static ngx_str_t  codings[] = {
        ngx_string("gzip"),
        ngx_string("br"),
        ngx_string("zstd"),
        ngx_string("deflate"),
        ngx_string("compress"),
        ngx_string("dcb"),
        ngx_string("dcz"),
        ngx_null_string
    };

    line = ngx_http_optcache_accept_encoding(r);
    bits = !ngx_http_rfc9110_accepts_identity(line);

    for (coding = codings; coding->len; coding++) {
        bits = bits << 1 | ngx_http_rfc9110_accepts(line, coding);
    }

    *p++ = (u_char) bits;

    if (bits && ngx_http_rfc9110_accepts(line,
                                         &ngx_http_optcache_vary_identity))
    {
        *p++ = 1;
    }

    return p;
}
