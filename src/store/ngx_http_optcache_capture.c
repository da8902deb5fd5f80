
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_compress.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_overtaken.h"
#include "ngx_http_optcache_whole.h"
#include "ngx_rare.h"


#define NGX_HTTP_OPTCACHE_BUF_MIN  4096
#define NGX_HTTP_OPTCACHE_BUF_MAX  65536

/* a worker may always have as much that is not whole yet, whatever its zones */
#define NGX_HTTP_OPTCACHE_KEPT_MIN  (32 * 1024 * 1024)


static ngx_int_t ngx_http_optcache_capture_at_once(
    ngx_http_optcache_capture_t *cap, ngx_chain_t *in);
static ngx_int_t ngx_http_optcache_capture_buf(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, ngx_buf_t *b);
static ngx_uint_t ngx_http_optcache_capture_refused(ngx_int_t rc);
static ngx_int_t ngx_http_optcache_capture_compress(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, u_char *p, size_t n);
static ngx_int_t ngx_http_optcache_capture_room(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, size_t left);
static ngx_int_t ngx_http_optcache_capture_keep(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, size_t size);
static void ngx_http_optcache_capture_cleanup(void *data);
static ngx_rare ngx_int_t ngx_http_optcache_capture_file(ngx_http_request_t *r,
    ngx_buf_t *b, off_t pos, u_char *p, size_t size);
static ngx_often void ngx_http_optcache_capture_done(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_capture_gzip(ngx_http_optcache_capture_t *cap);
static ngx_rare ngx_uint_t ngx_http_optcache_capture_same(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_rare void ngx_http_optcache_capture_no_gzip(
    ngx_http_optcache_capture_t *cap);


/* bytes of responses that are not whole yet, in this worker */

static size_t  ngx_http_optcache_kept;


/*
 * A hit passes the same filters.  Those that change a body (SSI, sub, charset)
 * ask for it in memory, or take its length away, or, like XSLT, hold the header
 * back until they have it; they would find nothing to change in gzip, or break
 * it.  Those that add to a body without a length do nothing of that.
 */

void
ngx_http_optcache_capture_filtered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_capture_t   *cap;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (!ngx_rarely(olcf->gzip)) {
        return;
    }

    cap = ctx->capture;

    if (!r->header_sent
        || olcf->adds
        || r->filter_need_in_memory
        || r->filter_need_temporary
        || (cap->expected != -1
            && r->headers_out.content_length_n == -1
            && r->headers_out.content_encoding == NULL))
    {
        ngx_http_optcache_capture_no_gzip(cap);
        return;
    }

    cap->entry.untouched = 1;
}


void
ngx_http_optcache_capture_unfiltered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->capture == NULL) {
        return;
    }

    ctx->capture->entry.untouched = (ctx->held
                                     && (ctx->entry.untouched
                                         || ctx->entry.gzip_len)
                                     && ngx_http_optcache_capture_same(r, ctx));

    if (!ctx->capture->entry.untouched) {
        ngx_http_optcache_capture_no_gzip(ctx->capture);
    }
}


/* Filters look at the type: whether it is what it was. */

static ngx_uint_t
ngx_http_optcache_capture_same(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    size_t                 len;
    ngx_optcache_field_t   field;

    len = r->headers_out.content_type_len;

    return ngx_optcache_entry_field(&ctx->entry,
                                    NGX_OPTCACHE_FIELD_CONTENT_TYPE, &field)
           == NGX_OK
           && field.value.len >= len
           && (field.value.len == len || field.value.data[len] == ';')
           && ngx_strncasecmp(field.value.data,
                              r->headers_out.content_type.data, len)
              == 0;
}


void
ngx_http_optcache_capture_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    if (ngx_http_optcache_capture_at_once(ctx->capture, in) == NGX_OK) {
        ngx_http_optcache_capture_done(r, ctx);
        return;
    }

    for (cl = in; cl; cl = cl->next) {

        rc = ngx_http_optcache_capture_buf(r, ctx->capture, cl->buf);

        if (rc != NGX_OK) {
            ctx->refusal = ngx_http_optcache_capture_refused(rc);
            ngx_http_optcache_count_refused(ctx);

            if (ngx_rarely(ctx->background)) {
                ngx_http_optcache_overtaken(r, ctx);
            }

            ngx_http_optcache_capture_drop(ctx);
            return;
        }

        if (cl->buf->last_buf
            || (r != r->main && cl->buf->last_in_chain))
        {
            ngx_http_optcache_capture_done(r, ctx);
            return;
        }
    }
}


/*
 * A body of a known length that is all here is stored from where it lies, and
 * whoever waits for it does not wait for the end of the response.
 */

static ngx_int_t
ngx_http_optcache_capture_at_once(ngx_http_optcache_capture_t *cap,
    ngx_chain_t *in)
{
    off_t         len;
    ngx_chain_t  *cl;

    if (cap->expected <= 0 || cap->entry.body_len || cap->gzip || cap->later) {
        return NGX_DECLINED;
    }

    len = 0;

    for (cl = in; cl; cl = cl->next) {

        if (ngx_rarely(!ngx_buf_in_memory(cl->buf))
            && (!ngx_buf_special(cl->buf) || cl->buf->pos != cl->buf->last))
        {
            return NGX_DECLINED;
        }

        len += cl->buf->last - cl->buf->pos;
    }

    if (len != cap->expected || (uint64_t) len > cap->limit) {
        return NGX_DECLINED;
    }

    cap->entry.body = in;
    cap->entry.body_len = (size_t) len;
    cap->lent = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_capture_buf(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, ngx_buf_t *b)
{
    off_t       pos;
    size_t      n;
    uint64_t    left;
    ngx_int_t   rc;
    ngx_buf_t  *room;

    if (ngx_buf_special(b)) {
        return NGX_OK;
    }

    left = (uint64_t) ngx_buf_size(b);

    if (left > cap->limit - cap->entry.body_len) {
        return NGX_DECLINED;
    }

    pos = 0;

    while (left) {

        rc = ngx_http_optcache_capture_room(r, cap, (size_t) left);
        if (rc != NGX_OK) {
            return rc;
        }

        room = cap->buf;
        n = (size_t) ngx_min(left, (uint64_t) (room->end - room->last));

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(room->last, b->pos + pos, n);

        } else if (ngx_http_optcache_capture_file(r, b, pos, room->last,
                                                  n)
                   != NGX_OK)
        {
            return NGX_ERROR;
        }

        room->last += n;
        pos += n;
        left -= n;
        cap->entry.body_len += n;

        if (cap->gzip
            && ngx_http_optcache_capture_compress(r, cap, room->last - n, n)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_optcache_capture_refused(ngx_int_t rc)
{
    switch (rc) {

    case NGX_DECLINED:
        return NGX_HTTP_OPTCACHE_REFUSED_SIZE;

    case NGX_BUSY:
        return NGX_HTTP_OPTCACHE_REFUSED_MEMORY;

    default: /* NGX_ERROR */
        return NGX_HTTP_OPTCACHE_REFUSED_FILE;
    }
}


/* A body of unknown length may turn out to be a large one. */

static ngx_int_t
ngx_http_optcache_capture_compress(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, u_char *p, size_t n)
{
    if (cap->expected == -1
        && ngx_http_optcache_compress_reserve(r, cap, cap->entry.body_len,
                                              cap->limit))
    {
        ngx_optcache_gzip_close(cap->gzip);
        cap->gzip = NULL;

        return NGX_OK;
    }

    return ngx_optcache_gzip_add(cap->gzip, p, n, 0);
}


/* Memory for what comes: all of it at once when its length is known. */

static ngx_int_t
ngx_http_optcache_capture_room(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, size_t left)
{
    size_t        size;
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    if (cap->buf && cap->buf->last < cap->buf->end) {
        return NGX_OK;
    }

    if (cap->expected > (off_t) cap->entry.body_len) {
        size = (size_t) cap->expected - cap->entry.body_len;

    } else {
        size = ngx_max(left, ngx_min(cap->entry.body_len,
                                     NGX_HTTP_OPTCACHE_BUF_MAX));
        size = ngx_max(size, NGX_HTTP_OPTCACHE_BUF_MIN);
    }

    rc = ngx_http_optcache_capture_keep(r, cap, size);
    if (rc != NGX_OK) {
        return rc;
    }

    cap->buf = ngx_create_temp_buf(r->pool, size);
    if (cap->buf == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = cap->buf;
    cl->next = NULL;

    *cap->last = cl;
    cap->last = &cl->next;

    return NGX_OK;
}


/*
 * Clients decide for how long a response is not whole, and how many of them
 * there are.  More than the zone has room for would not be stored in the end.
 */

static ngx_int_t
ngx_http_optcache_capture_keep(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, size_t size)
{
    size_t                    most;
    ngx_pool_cleanup_t       *cln;
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    most = ctx->zone->shpool->end - (u_char *) ctx->zone->shpool;
    most = ngx_max(most, NGX_HTTP_OPTCACHE_KEPT_MIN);

    if (size > most - ngx_min(most, ngx_http_optcache_kept)) {
        return NGX_BUSY;
    }

    if (cap->kept == 0) {
        cln = ngx_pool_cleanup_add(r->pool, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_optcache_capture_cleanup;
        cln->data = cap;
    }

    cap->kept += size;
    ngx_http_optcache_kept += size;

    return NGX_OK;
}


static void
ngx_http_optcache_capture_cleanup(void *data)
{
    ngx_http_optcache_capture_t *cap = data;

    ngx_http_optcache_kept -= cap->kept;
    cap->kept = 0;
}


/*
 * A file that nginx is about to send or read itself, with its own calls.  With
 * "aio" it would not wait for the disk, so neither do we; a temporary file has
 * just been written, and is in memory.
 */

static ngx_int_t
ngx_http_optcache_capture_file(ngx_http_request_t *r, ngx_buf_t *b, off_t pos,
    u_char *p, size_t size)
{
    ssize_t                    n;
    ngx_http_core_loc_conf_t  *clcf;

    if (!b->in_file || b->file->directio) {
        return NGX_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->aio != NGX_HTTP_AIO_OFF && !b->temp_file) {
        return NGX_DECLINED;
    }

    n = ngx_read_file(b->file, p, size, b->file_pos + pos);

    return (n == (ssize_t) size) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_optcache_capture_done(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_capture_t  *cap;

    cap = ctx->capture;

    /* RFC 9111, 3.3: an incomplete response is not stored */

    if (ngx_rarely(!ngx_http_optcache_whole(r, cap))) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "optcache response not known to be whole");
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE;
        ngx_http_optcache_count_refused(ctx);
        ngx_http_optcache_capture_drop(ctx);
        return;
    }

    if (cap->gzip) {
        ngx_http_optcache_capture_gzip(cap);
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache store, status:%ui body:%uz gzip:%uz lifetime:%uD",
                   cap->entry.status, cap->entry.body_len,
                   cap->entry.gzip_len, cap->entry.lifetime);

    ngx_http_optcache_store(r, ctx, &cap->entry);

    if (cap->later && ctx->stored) {
        ngx_http_optcache_compress_start(r, ctx);
    }

    ngx_http_optcache_capture_drop(ctx);
}


static void
ngx_http_optcache_capture_gzip(ngx_http_optcache_capture_t *cap)
{
    size_t        len;
    ngx_chain_t  *out;

    if (ngx_optcache_gzip_add(cap->gzip, NULL, 0, 1) != NGX_OK) {
        return;
    }

    out = ngx_optcache_gzip_result(cap->gzip, &len);

    /* what gains nothing is not worth its memory */

    if (len < cap->entry.body_len) {
        cap->entry.gzip = out;
        cap->entry.gzip_len = len;
    }
}


static void
ngx_http_optcache_capture_no_gzip(ngx_http_optcache_capture_t *cap)
{
    if (cap->gzip) {
        ngx_optcache_gzip_close(cap->gzip);
        cap->gzip = NULL;
    }

    ngx_http_optcache_compress_release(cap);
}


ngx_often void
ngx_http_optcache_capture_drop(ngx_http_optcache_ctx_t *ctx)
{
    ngx_chain_t                  *cl;
    ngx_http_optcache_capture_t  *cap;

    cap = ctx->capture;
    ctx->capture = NULL;

    /* the next answer is not invalidated by what this one was */

    ngx_http_optcache_unlock(ctx,
                             ctx->stored ? NGX_OPTCACHE_LOCK_STORED
                             : ctx->overtaken ? NGX_OPTCACHE_LOCK_FAILED
                                              : NGX_OPTCACHE_LOCK_PASSED);

    ngx_http_optcache_capture_no_gzip(cap);

    if (cap->lent) {
        return;
    }

    /* a slow client may keep the request, but not a second copy of its body */

    for (cl = cap->entry.body; cl; cl = cl->next) {
        (void) ngx_pfree(ctx->request->pool, cl->buf->start);
    }

    ngx_http_optcache_capture_cleanup(cap);
}
