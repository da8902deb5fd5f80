
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_optcache_watch.h"


#define NGX_OPTCACHE_WATCH_MAGIC    0x6f706c77      /* "oplw" */
#define NGX_OPTCACHE_WATCH_VERSION  1

#define NGX_OPTCACHE_WATCH_SIZE     (128 * 1024)    /* of the zone */

#define NGX_OPTCACHE_WATCH_TURN     250   /* ms, to see who listens */
#define NGX_OPTCACHE_WATCH_LATE     1000  /* ms, then another worker does */


static ngx_int_t ngx_optcache_watch_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_optcache_watch_timer_handler(ngx_event_t *ev);
static void ngx_optcache_watch_up_handler(void *data, uint64_t *servers,
    ngx_uint_t n);
static void ngx_optcache_watch_down_handler(void *data);
static void ngx_optcache_watch_changed_handler(void *data, ngx_str_t *key);
static void ngx_optcache_watch_heard_handler(void *data, ngx_msec_t age);
static void ngx_optcache_watch_all(ngx_optcache_watch_t *watch);
static void ngx_optcache_watch_wake(ngx_optcache_watch_t *watch,
    ngx_uint_t list);


static ngx_redis_tracking_handlers_t  ngx_optcache_watch_handlers = {
    ngx_optcache_watch_up_handler,
    ngx_optcache_watch_down_handler,
    ngx_optcache_watch_changed_handler,
    ngx_optcache_watch_heard_handler
};


ngx_optcache_watch_t *
ngx_optcache_watch_create(ngx_conf_t *cf, ngx_str_t *prefix, void *tag)
{
    ngx_str_t              name;
    ngx_shm_zone_t        *shm_zone;
    ngx_optcache_watch_t  *watch;

    watch = ngx_pcalloc(cf->pool, sizeof(ngx_optcache_watch_t));
    if (watch == NULL) {
        return NULL;
    }

    watch->prefix = *prefix;

    /* no optcache_zone has a colon in its name */

    ngx_str_set(&name, "optcache:leases");

    shm_zone = ngx_shared_memory_add(cf, &name, NGX_OPTCACHE_WATCH_SIZE, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_optcache_watch_init_zone;
    shm_zone->data = watch;

    return watch;
}


static ngx_int_t
ngx_optcache_watch_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t             *shpool;
    ngx_optcache_watch_t        *watch;
    ngx_optcache_watch_shctx_t  *sh;

    watch = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    sh = shpool->data;

    if (sh == NULL) {
        sh = ngx_slab_calloc(shpool, sizeof(ngx_optcache_watch_shctx_t));
        if (sh == NULL) {
            return NGX_ERROR;
        }

        sh->magic = NGX_OPTCACHE_WATCH_MAGIC;
        sh->version = NGX_OPTCACHE_WATCH_VERSION;

        shpool->data = sh;
    }

    if (sh->magic != NGX_OPTCACHE_WATCH_MAGIC
        || sh->version != NGX_OPTCACHE_WATCH_VERSION)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "the zone \"%V\" was laid out by another version of the "
                      "module, nginx must be restarted",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    watch->sh = sh;

    return NGX_OK;
}


ngx_int_t
ngx_optcache_watch_open(ngx_optcache_watch_t *watch, ngx_cycle_t *cycle,
    ngx_redis_conf_t *conf, ngx_waker_t *waker)
{
    watch->waker = waker;

    watch->tracker = ngx_redis_tracker_create(cycle, conf, &watch->prefix, 1,
                                              &ngx_optcache_watch_handlers,
                                              watch);
    if (watch->tracker == NULL) {
        return NGX_ERROR;
    }

    watch->timer.handler = ngx_optcache_watch_timer_handler;
    watch->timer.data = watch;
    watch->timer.log = cycle->log;
    watch->timer.cancelable = 1;

    ngx_add_timer(&watch->timer, 1 + ngx_worker * 10 % 100);

    return NGX_OK;
}


void
ngx_optcache_watch_close(ngx_optcache_watch_t *watch)
{
    if (watch->tracker == NULL) {
        return;
    }

    if (watch->timer.timer_set) {
        ngx_del_timer(&watch->timer);
    }

    ngx_redis_tracker_close(watch->tracker);
    ngx_keeper_leave(&watch->sh->keeper);
}


static void
ngx_optcache_watch_timer_handler(ngx_event_t *ev)
{
    ngx_optcache_watch_t  *watch;

    watch = ev->data;

    if (ngx_keeper_is(&watch->sh->keeper, ngx_redis_tracking_now(),
                      NGX_OPTCACHE_WATCH_LATE))
    {
        ngx_redis_tracker_open(watch->tracker);

    } else {
        ngx_redis_tracker_close(watch->tracker);
    }

    if (!ngx_exiting) {
        ngx_add_timer(&watch->timer, NGX_OPTCACHE_WATCH_TURN);
    }
}


/* Nothing is known of the time before. */

static void
ngx_optcache_watch_up_handler(void *data, uint64_t *servers, ngx_uint_t n)
{
    ngx_optcache_watch_t *watch = data;

    ngx_shared_number_set(&watch->sh->heard, ngx_redis_tracking_now());

    ngx_optcache_watch_all(watch);
}


/* Those that wait look, which tells them whether Redis is there. */

static void
ngx_optcache_watch_down_handler(void *data)
{
    ngx_optcache_watch_all(data);
}


static void
ngx_optcache_watch_heard_handler(void *data, ngx_msec_t age)
{
    ngx_optcache_watch_t *watch = data;

    ngx_shared_number_set(&watch->sh->heard, ngx_redis_tracking_now() - age);
}


static void
ngx_optcache_watch_changed_handler(void *data, ngx_str_t *key)
{
    ngx_optcache_watch_t *watch = data;

    uint64_t  hash;

    if (key == NULL) {
        ngx_optcache_watch_all(watch);
        return;
    }

    hash = ngx_optcache_watch_hash(key);

    (void) ngx_atomic_fetch_add(
                    &watch->sh->changes[hash % NGX_OPTCACHE_WATCH_COUNTS], 1);

    ngx_optcache_watch_wake(watch, ngx_optcache_watch_list(hash));
}


static void
ngx_optcache_watch_all(ngx_optcache_watch_t *watch)
{
    ngx_uint_t  i;

    (void) ngx_atomic_fetch_add(&watch->sh->all, 1);

    for (i = 0; i < NGX_OPTCACHE_WATCH_LISTS; i++) {
        ngx_optcache_watch_wake(watch, i);
    }
}


static void
ngx_optcache_watch_wake(ngx_optcache_watch_t *watch, ngx_uint_t list)
{
    uint64_t    bits, *waiters;
    ngx_uint_t  i;

    waiters = watch->sh->waiters[list];

    for (i = 0; i < NGX_WAKER_SLOTS / 64; i++) {

        bits = __atomic_exchange_n(&waiters[i], 0, __ATOMIC_SEQ_CST);

        for ( /* void */ ; bits; bits &= bits - 1) {
            ngx_waker_wake(watch->waker, i * 64 + __builtin_ctzll(bits),
                           (uint64_t) 1 << list);
        }
    }
}


ngx_uint_t
ngx_optcache_watch_trusted(ngx_optcache_watch_t *watch)
{
    uint64_t  heard;

    heard = ngx_shared_number_get(&watch->sh->heard);

    return heard
           && ngx_redis_tracking_now() - heard < NGX_OPTCACHE_WATCH_TRUST;
}


uint64_t
ngx_optcache_watch_hash(ngx_str_t *name)
{
    return XXH3_64bits(name->data, name->len);
}


uint64_t
ngx_optcache_watch_note(ngx_optcache_watch_t *watch, uint64_t hash)
{
    uint64_t                     changes;
    ngx_optcache_watch_shctx_t  *sh;

    sh = watch->sh;

    changes = __atomic_load_n(&sh->changes[hash % NGX_OPTCACHE_WATCH_COUNTS],
                              __ATOMIC_SEQ_CST);

    /* neither goes back: the sum is another one when one of them is */

    return changes + __atomic_load_n(&sh->all, __ATOMIC_SEQ_CST);
}


void
ngx_optcache_watch_wait(ngx_optcache_watch_t *watch, uint64_t hash,
    ngx_int_t number)
{
    uint64_t  *waiters;

    if (number < 0 || number >= NGX_WAKER_SLOTS) {
        return;
    }

    waiters = watch->sh->waiters[ngx_optcache_watch_list(hash)];

    (void) __atomic_fetch_or(&waiters[number / 64],
                             (uint64_t) 1 << number % 64, __ATOMIC_SEQ_CST);
}
