
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/evp.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_body.h"
#include "ngx_rare.h"
#include "ngx_sha256.h"
#include "ngx_text.h"


#define NGX_HTTP_OPTCACHE_BODY_PIECE  65536


static ngx_often ngx_uint_t ngx_http_optcache_body_wanted(
    ngx_http_request_t *r, ngx_http_optcache_loc_conf_t *olcf);
static void ngx_http_optcache_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_optcache_body_hash(ngx_http_request_t *r,
    EVP_MD_CTX *md);
static ngx_int_t ngx_http_optcache_body_hash_file(ngx_http_request_t *r,
    ngx_buf_t *b, EVP_MD_CTX *md);
static off_t ngx_http_optcache_body_size(ngx_http_request_t *r);
static u_char *ngx_http_optcache_body_fields(ngx_http_request_t *r,
    u_char *p, size_t *size);
static u_char ngx_http_optcache_body_field(ngx_str_t *name);


ngx_int_t
ngx_http_optcache_body_read(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_int_t  rc;

    if (r->request_body
        || r->discard_body
        || ngx_mostly(!ngx_http_optcache_body_wanted(r, olcf)))
    {
        return NGX_OK;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_optcache_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


/*
 * RFC 9110, 13.2.1: a precondition of a POST is for the origin, as is any
 * range it may mean.
 */

static ngx_uint_t
ngx_http_optcache_body_wanted(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    return r == r->main
           && r->method == NGX_HTTP_POST
           && (olcf->methods & NGX_HTTP_POST)
           && r->headers_in.content_length_n <= (off_t) olcf->max_size
           && r->headers_in.upgrade == NULL
           && r->headers_in.range == NULL
           && r->headers_in.if_match == NULL
           && r->headers_in.if_none_match == NULL
           && r->headers_in.if_modified_since == NULL
           && r->headers_in.if_unmodified_since == NULL;
}


static void
ngx_http_optcache_body_handler(ngx_http_request_t *r)
{
    /* whoever reads it next is to find it whole */

    r->preserve_body = 1;

    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}


ngx_int_t
ngx_http_optcache_body_digest(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    u_char       *hex, digest[EVP_MAX_MD_SIZE];
    ngx_int_t     rc;
    EVP_MD_CTX   *md;

    if (r->request_body == NULL
        || r->reading_body
        || !ngx_http_optcache_body_wanted(r, olcf)
        || ngx_http_optcache_body_size(r) > (off_t) olcf->max_size)
    {
        return NGX_OK;
    }

    hex = ngx_pnalloc(r->pool, 2 * NGX_SHA256_LEN);
    if (hex == NULL) {
        return NGX_ERROR;
    }

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        ngx_log_error(NGX_LOG_EMERG, r->connection->log, 0,
                      "no memory for the digest of a body");
        return NGX_ERROR;
    }

    rc = EVP_DigestInit_ex(md, EVP_sha256(), NULL)
         ? ngx_http_optcache_body_hash(r, md) : NGX_DECLINED;

    if (rc == NGX_OK && EVP_DigestFinal_ex(md, digest, NULL)) {
        (void) ngx_hex_dump(hex, digest, NGX_SHA256_LEN);

        ctx->body.data = hex;
        ctx->body.len = 2 * NGX_SHA256_LEN;
    }

    EVP_MD_CTX_free(md);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/*
 * From its beginning, as ngx_http_upstream_reinit() sends it: it may have been
 * sent once.  NGX_DECLINED: it is not all there.
 */

static ngx_int_t
ngx_http_optcache_body_hash(ngx_http_request_t *r, EVP_MD_CTX *md)
{
    off_t         size;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (b->in_file) {
            rc = ngx_http_optcache_body_hash_file(r, b, md);

            if (rc != NGX_OK) {
                return rc;
            }

            size += b->file_last;
            continue;
        }

        if (b->last > b->start) {

            if (!EVP_DigestUpdate(md, b->start, b->last - b->start)) {
                return NGX_DECLINED;
            }

            size += b->last - b->start;
        }
    }

    return (size == ngx_http_optcache_body_size(r)) ? NGX_OK : NGX_DECLINED;
}


/* Just written, it is in the memory of the system: there is nothing to wait. */

static ngx_int_t
ngx_http_optcache_body_hash_file(ngx_http_request_t *r, ngx_buf_t *b,
    EVP_MD_CTX *md)
{
    off_t      pos;
    size_t     size;
    u_char    *piece;
    ssize_t    n;
    ngx_int_t  rc;

    piece = ngx_alloc(NGX_HTTP_OPTCACHE_BODY_PIECE, r->connection->log);
    if (piece == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    for (pos = 0; pos < b->file_last; pos += n) {

        size = (size_t) ngx_min(b->file_last - pos,
                                NGX_HTTP_OPTCACHE_BODY_PIECE);

        n = ngx_read_file(b->file, piece, size, pos);

        if (n <= 0 || !EVP_DigestUpdate(md, piece, n)) {
            rc = NGX_DECLINED;
            break;
        }
    }

    ngx_free(piece);

    return rc;
}


/* Once a body has been read, its length is known, however it came. */

static off_t
ngx_http_optcache_body_size(ngx_http_request_t *r)
{
    return ngx_max(r->headers_in.content_length_n, 0);
}


ngx_int_t
ngx_http_optcache_body_identity(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *uri, ngx_str_t *identity)
{
    u_char  *p;
    size_t   size;

    size = 0;
    (void) ngx_http_optcache_body_fields(r, NULL, &size);

    identity->len = ctx->body.len + size + 1 + uri->len;
    identity->data = ngx_pnalloc(r->pool, identity->len);

    if (identity->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(identity->data, ctx->body.data, ctx->body.len);
    p = ngx_http_optcache_body_fields(r, p, &size);
    *p++ = '\0';
    (void) ngx_text_copy(p, uri);

    return NGX_OK;
}


/*
 * What the body is (RFC 9110, 8.3 to 8.5), all lines: the letter of the field,
 * the value, and a zero byte, which no value has.
 */

static u_char *
ngx_http_optcache_body_fields(ngx_http_request_t *r, u_char *p, size_t *size)
{
    u_char            type;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            type = ngx_http_optcache_body_field(&h[i].key);

            if (type == 0) {
                continue;
            }

            if (p) {
                *p++ = type;
                p = ngx_text_copy(p, &h[i].value);
                *p++ = '\0';

            } else {
                *size += h[i].value.len + 2;
            }
        }
    }

    return p;
}


/* Zero: of any other field. */

static u_char
ngx_http_optcache_body_field(ngx_str_t *name)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t  name;
        u_char     type;
    }  fields[] = {
        { ngx_string("Content-Type"), 't' },
        { ngx_string("Content-Encoding"), 'e' },
        { ngx_string("Content-Language"), 'l' },
        { ngx_null_string, 0 }
    };

    for (i = 0; fields[i].name.len; i++) {

        if (name->len == fields[i].name.len
            && ngx_strncasecmp(name->data, fields[i].name.data, name->len)
               == 0)
        {
            break;
        }
    }

    return fields[i].type;
}


ngx_int_t
ngx_http_optcache_body_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->body.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = ctx->body.len;
    v->data = ctx->body.data;

    return NGX_OK;
}
