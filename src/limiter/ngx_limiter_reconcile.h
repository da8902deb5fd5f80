
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Redis is back: what this host has let in meanwhile is told to it, and if it
 * has lost its memory, what this host knows of it.  One worker walks through
 * all zones, some slots at a time, so that no lock is held for long and no more
 * than some commands are under way: of a million subjects for some minutes.  If
 * there is a reload meanwhile, or the worker dies, the next one begins anew, and
 * finds what was told.  Subjects that come before their turn are told of with
 * their request, see ngx_limiter_carry.h; so are those of zones whose rates are
 * from variables, which nobody knows between requests.
 */


#ifndef _NGX_LIMITER_RECONCILE_H_INCLUDED_
#define _NGX_LIMITER_RECONCILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_task.h"


/*
 * Prepares it in this worker (init_process), for all zones that there are;
 * listens to redis->fleet, which there must be.  "zones" must outlive it.
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_limiter_reconcile_init(ngx_cycle_t *cycle,
    ngx_limiter_redis_t *redis, ngx_limiter_zone_t **zones, ngx_uint_t nzones);

/* Ends its timer (exit_process). */

void ngx_limiter_reconcile_close(void);


#endif /* _NGX_LIMITER_RECONCILE_H_INCLUDED_ */
