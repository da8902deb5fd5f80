
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Forgetting a subject by command: in Redis, on this host, and within about a
 * second on every host that knows of it.
 */


#ifndef _NGX_LIMITER_RESET_H_INCLUDED_
#define _NGX_LIMITER_RESET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_ask.h"


typedef struct {

    /* set by the caller */

    ngx_limiter_redis_t      *redis;
    ngx_limiter_item_t       *item;      /* zone and subject are read */
    ngx_pool_t               *pool;
    void                    (*handler)(void *data);
    void                     *data;

    /* the answer: NGX_ERROR if Redis has not done it */

    ngx_int_t                 rc;
} ngx_limiter_reset_t;


/*
 * Returns NGX_OK when it is done, NGX_AGAIN when the handler will be called
 * once, with reset->rc; NGX_DECLINED when Redis cannot be asked, or when out of
 * memory, and only this host has forgotten.  Until then "reset" has to last.
 */

ngx_int_t ngx_limiter_reset(ngx_limiter_reset_t *reset);

#endif /* _NGX_LIMITER_RESET_H_INCLUDED_ */
