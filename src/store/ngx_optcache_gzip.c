
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <zlib.h>

#include "ngx_optcache_gzip.h"


#define NGX_OPTCACHE_GZIP_BUF  8192


struct ngx_optcache_gzip_s {
    z_stream                  zstream;
    ngx_pool_t               *pool;
    ngx_chain_t              *out;
    ngx_chain_t             **last;
    ngx_buf_t                *buf;
    size_t                    buf_size;
    unsigned                  open:1;
};


static ngx_int_t ngx_optcache_gzip_next_buf(ngx_optcache_gzip_t *gz);
static void *ngx_optcache_gzip_alloc(void *opaque, u_int items, u_int size);
static void ngx_optcache_gzip_free(void *opaque, void *address);


ngx_optcache_gzip_t *
ngx_optcache_gzip_create(ngx_pool_t *pool, ngx_int_t level, off_t size)
{
    int                   wbits, memlevel;
    ngx_optcache_gzip_t  *gz;

    gz = ngx_pcalloc(pool, sizeof(ngx_optcache_gzip_t));
    if (gz == NULL) {
        return NULL;
    }

    gz->pool = pool;
    gz->last = &gz->out;
    gz->buf_size = NGX_OPTCACHE_GZIP_BUF;

    wbits = MAX_WBITS;
    memlevel = MAX_MEM_LEVEL - 1;

    /* a window larger than the body is never used */

    if (size >= 0) {
        while (wbits > 9 && size <= (off_t) 1 << (wbits - 1)) {
            wbits--;
            memlevel = ngx_max(memlevel - 1, 1);
        }

        gz->buf_size = (size_t) ngx_min(ngx_max(size / 2, 512),
                                        NGX_OPTCACHE_GZIP_BUF);
    }

    gz->zstream.zalloc = ngx_optcache_gzip_alloc;
    gz->zstream.zfree = ngx_optcache_gzip_free;
    gz->zstream.opaque = pool;

    /* 16 asks for the gzip format */

    if (deflateInit2(&gz->zstream, (int) level, Z_DEFLATED, wbits + 16,
                     memlevel, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return NULL;
    }

    gz->open = 1;

    return gz;
}


ngx_int_t
ngx_optcache_gzip_add(ngx_optcache_gzip_t *gz, u_char *data, size_t len,
    ngx_uint_t last)
{
    int  rc;

    gz->zstream.next_in = data;
    gz->zstream.avail_in = (uInt) len;

    for ( ;; ) {

        if (gz->zstream.avail_out == 0
            && ngx_optcache_gzip_next_buf(gz) != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = deflate(&gz->zstream, last ? Z_FINISH : Z_NO_FLUSH);

        gz->buf->last = gz->zstream.next_out;

        if (rc == Z_STREAM_END) {
            return NGX_OK;
        }

        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return NGX_ERROR;
        }

        if (gz->zstream.avail_out && !last) {
            return NGX_OK;
        }
    }
}


ngx_chain_t *
ngx_optcache_gzip_result(ngx_optcache_gzip_t *gz, size_t *len)
{
    *len = gz->zstream.total_out;

    return gz->out;
}


void
ngx_optcache_gzip_close(ngx_optcache_gzip_t *gz)
{
    if (gz->open) {
        (void) deflateEnd(&gz->zstream);
        gz->open = 0;
    }
}


static ngx_int_t
ngx_optcache_gzip_next_buf(ngx_optcache_gzip_t *gz)
{
    ngx_chain_t  *cl;

    gz->buf = ngx_create_temp_buf(gz->pool, gz->buf_size);
    if (gz->buf == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(gz->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = gz->buf;
    cl->next = NULL;

    *gz->last = cl;
    gz->last = &cl->next;

    gz->zstream.next_out = gz->buf->pos;
    gz->zstream.avail_out = (uInt) gz->buf_size;

    return NGX_OK;
}


static void *
ngx_optcache_gzip_alloc(void *opaque, u_int items, u_int size)
{
    return ngx_palloc(opaque, (size_t) items * size);
}


static void
ngx_optcache_gzip_free(void *opaque, void *address)
{
    /* large blocks, which most of it is, go back at once */

    (void) ngx_pfree(opaque, address);
}
