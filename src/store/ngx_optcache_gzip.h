
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_OPTCACHE_GZIP_H_INCLUDED_
#define _NGX_OPTCACHE_GZIP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_rare.h"


typedef struct ngx_optcache_gzip_s  ngx_optcache_gzip_t;


/*
 * Compresses a body piece by piece, as it passes, so that no turn of the event
 * loop pays for more than arrived in it.  RFC 1952, by zlib.
 *
 * "size" is the length of the body in bytes, or -1 when it is not known; it
 * saves memory for small ones.  Memory is from "pool" and goes back to it at
 * the end.  Returns NULL when out of memory.
 */

ngx_rare ngx_optcache_gzip_t *ngx_optcache_gzip_create(ngx_pool_t *pool,
    ngx_int_t level, off_t size);

/*
 * Takes the next bytes of the body; "last" with the last ones, which may be
 * none.  NGX_ERROR: give up, after ngx_optcache_gzip_close().
 */

ngx_int_t ngx_optcache_gzip_add(ngx_optcache_gzip_t *gz, u_char *data,
    size_t len, ngx_uint_t last);

/* What came out, after "last"; the chain lives as long as the pool. */

ngx_chain_t *ngx_optcache_gzip_result(ngx_optcache_gzip_t *gz, size_t *len);

/* Gives zlib's memory back; the result stays. */

void ngx_optcache_gzip_close(ngx_optcache_gzip_t *gz);


#endif /* _NGX_OPTCACHE_GZIP_H_INCLUDED_ */
