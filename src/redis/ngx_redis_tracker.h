
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Listens to changes of keys wherever they are: at one server, at the master
 * that sentinels know of, or at all masters of a cluster.  The promise of
 * ngx_redis_tracking.h, for all of them together.
 */


#ifndef _NGX_REDIS_TRACKER_H_INCLUDED_
#define _NGX_REDIS_TRACKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_masters.h"
#include "ngx_redis_tracking.h"


typedef struct {
    ngx_redis_conf_t               *conf;
    ngx_redis_tracking_keys_t       keys;
    ngx_log_t                      *log;

    ngx_redis_tracking_t           *single;   /* unless there is a cluster */
    ngx_redis_masters_t            *masters;  /* NULL: closed */

    ngx_redis_tracking_handlers_t  *handlers;
    void                           *data;
} ngx_redis_tracker_t;


/*
 * Prepares a tracker in cycle->pool; it does not connect yet.  "prefixes" must
 * live as long, and none may begin with another.  NULL when out of memory.
 */

ngx_redis_tracker_t *ngx_redis_tracker_create(ngx_cycle_t *cycle,
    ngx_redis_conf_t *conf, ngx_str_t *prefixes, ngx_uint_t n,
    ngx_redis_tracking_handlers_t *handlers, void *data);

/*
 * Connects, and again and again when that is in vain.  To be called again now
 * and then: it may have been out of memory.
 */

void ngx_redis_tracker_open(ngx_redis_tracker_t *tracker);

/* Closes; down() is called if it was up.  Never from within a handler. */

void ngx_redis_tracker_close(ngx_redis_tracker_t *tracker);


#endif /* _NGX_REDIS_TRACKER_H_INCLUDED_ */
