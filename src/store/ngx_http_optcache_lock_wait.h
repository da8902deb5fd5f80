
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A request that waits for another one of this host: for the files of the lock
 * only, see ngx_http_optcache_lock.h for the rest.
 */


#ifndef _NGX_HTTP_OPTCACHE_LOCK_WAIT_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_LOCK_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_optcache_lock.h"
#include "ngx_rare.h"


/* from the pool of its request */

struct ngx_http_optcache_lock_s {
    ngx_queue_t               queue;      /* of who waits */
    ngx_event_t               timer;
    ngx_http_request_t       *request;
    ngx_http_optcache_ctx_t  *ctx;
    ngx_optcache_l1_t        *zone;
    ngx_optcache_lock_t       lock;
    ngx_msec_t                since;      /* it waits */
    ngx_msec_t                checked;
    ngx_msec_t                timeout;

    unsigned                  may_lead:1;
    unsigned                  leads:1;
    unsigned                  waits:1;
    unsigned                  waited:1;
    unsigned                  over:1;     /* what became of it is known */
};


/*
 * NGX_AGAIN: the phases of the request are run again when what it waits for is
 * over, or its time; NGX_OK: it is over already; NGX_ERROR.
 */

ngx_rare ngx_int_t ngx_http_optcache_lock_wait(ngx_http_request_t *r,
    ngx_http_optcache_lock_t *lk);

/* It does not wait any more, or is about to go. */

ngx_rare void ngx_http_optcache_lock_end_wait(ngx_http_optcache_lock_t *lk);

/*
 * Whether somebody still asks.  One that takes the place of who has failed will
 * do; but a part of a page is to see first whom it would wait for.
 */

ngx_uint_t ngx_http_optcache_lock_taken(ngx_http_optcache_lock_t *lk);

/* ms until one that has waited goes upstream by itself; 0 or less: now */

ngx_msec_int_t ngx_http_optcache_lock_left(ngx_http_optcache_lock_t *lk);

/*
 * Has the workers of the map look at those who wait for keys of these lists,
 * which are bits.
 */

ngx_often void ngx_http_optcache_lock_wake(ngx_optcache_lock_map_t map,
    uint64_t lists);

#define ngx_http_optcache_lock_list(hash)  ((ngx_uint_t) ((hash) >> 58))


#endif /* _NGX_HTTP_OPTCACHE_LOCK_WAIT_H_INCLUDED_ */
