
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Who is limited: a key of any length and any bytes, as it is written in
 * Redis and as it is found in shared memory.
 */


#ifndef _NGX_LIMITER_SUBJECT_H_INCLUDED_
#define _NGX_LIMITER_SUBJECT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_table.h"


/* longer ones are hashed: the key in shared memory tells the one in Redis */
#define NGX_LIMITER_SUBJECT_MAX  (NGX_LIMITER_TABLE_KEY - 1)


typedef struct {
    ngx_str_t                 text;      /* for Redis */
    ngx_str_t                 key;       /* for ngx_limiter_table.h */
    u_char                    buf[NGX_LIMITER_TABLE_KEY];
} ngx_limiter_subject_t;


/*
 * "text" is "raw" itself if it has at most NGX_LIMITER_SUBJECT_MAX bytes,
 * else "sha256:" and its digest in hex, allocated from the pool.  A raw key
 * that begins with "sha256:" is hashed too, so that nobody can write what
 * another's key is hashed to.  "raw" must live as long as the subject, which
 * must not be moved.
 */

ngx_int_t ngx_limiter_subject_init(ngx_limiter_subject_t *subject,
    ngx_str_t *raw, ngx_pool_t *pool);

/*
 * The subject of a key that was found in shared memory; everything is copied
 * to the pool.
 */

ngx_int_t ngx_limiter_subject_from_key(ngx_limiter_subject_t *subject,
    const ngx_str_t *key, ngx_pool_t *pool);


#endif /* _NGX_LIMITER_SUBJECT_H_INCLUDED_ */
