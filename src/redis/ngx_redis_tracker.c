
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_tracker.h"


ngx_redis_tracker_t *
ngx_redis_tracker_create(ngx_cycle_t *cycle, ngx_redis_conf_t *conf,
    ngx_str_t *prefixes, ngx_uint_t n,
    ngx_redis_tracking_handlers_t *handlers, void *data)
{
    ngx_redis_tracker_t  *tracker;

    tracker = ngx_pcalloc(cycle->pool, sizeof(ngx_redis_tracker_t));
    if (tracker == NULL) {
        return NULL;
    }

    tracker->conf = conf;
    tracker->keys.prefixes = prefixes;
    tracker->keys.n = n;
    tracker->log = cycle->log;
    tracker->handlers = handlers;
    tracker->data = data;

    if (conf->cluster) {
        return tracker;
    }

    tracker->single = ngx_redis_tracking_create(conf, &tracker->keys,
                                                cycle->pool, cycle->log, 0,
                                                handlers, data);

    return tracker->single ? tracker : NULL;
}


void
ngx_redis_tracker_open(ngx_redis_tracker_t *tracker)
{
    if (tracker->single) {
        ngx_redis_tracking_open(tracker->single);
        return;
    }

    if (tracker->masters == NULL) {
        tracker->masters = ngx_redis_masters_create(tracker->conf,
                                                    &tracker->keys,
                                                    tracker->log,
                                                    tracker->handlers,
                                                    tracker->data);
    }
}


void
ngx_redis_tracker_close(ngx_redis_tracker_t *tracker)
{
    if (tracker->single) {
        ngx_redis_tracking_close(tracker->single);
        return;
    }

    if (tracker->masters) {
        ngx_redis_masters_free(tracker->masters);
        tracker->masters = NULL;
    }
}
