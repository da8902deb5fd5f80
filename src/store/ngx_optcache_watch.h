
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether a key of Redis, a lease, has changed since one has looked: one worker
 * of a host listens for all of them (ngx_redis_tracker.h), counts changes in
 * shared memory of a fixed size, and wakes those that wait.
 *
 *     changes   by 12 bits of the hash of the name: keys that have them in
 *               common change together, for who looks
 *     waiters   a bit for each worker (ngx_waker.h), by the list, 6 bits of
 *               the hash, that what it waits for is in
 *
 * Nothing is locked.  Who waits sets its bit and then compares the count; who
 * listens counts and then takes the bits: one of the two sees the other.
 *
 * A connection that is lost for a moment is no reason not to wait: when it is
 * back all are woken.  Who waits looks by himself when a lease ought to have
 * ended, too.
 */


#ifndef _NGX_OPTCACHE_WATCH_H_INCLUDED_
#define _NGX_OPTCACHE_WATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_keeper.h"
#include "ngx_redis_tracker.h"
#include "ngx_waker.h"


#define NGX_OPTCACHE_WATCH_COUNTS  4096
#define NGX_OPTCACHE_WATCH_LISTS   64
#define NGX_OPTCACHE_WATCH_TRUST   1000   /* ms without a word of Redis */

#define ngx_optcache_watch_list(hash)  ((ngx_uint_t) ((hash) >> 58))


/* in shared memory */

typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    ngx_keeper_t              keeper;
    ngx_shared_number_t       heard;    /* ms, 0: never */
    ngx_atomic_t              all;      /* changes of all keys */
    ngx_atomic_t              changes[NGX_OPTCACHE_WATCH_COUNTS];
    uint64_t                  waiters[NGX_OPTCACHE_WATCH_LISTS]
                                     [NGX_WAKER_SLOTS / 64];
} ngx_optcache_watch_shctx_t;


typedef struct {
    ngx_optcache_watch_shctx_t  *sh;
    ngx_str_t                    prefix;   /* of the keys */
    ngx_redis_tracker_t         *tracker;  /* of this worker */
    ngx_waker_t                 *waker;
    ngx_event_t                  timer;
} ngx_optcache_watch_t;


/*
 * Prepares to listen to keys that begin with "prefix", while configuration is
 * read; all of it is from cf->pool.  NULL when out of memory.
 */

ngx_optcache_watch_t *ngx_optcache_watch_create(ngx_conf_t *cf,
    ngx_str_t *prefix, void *tag);

/*
 * Begins in a worker (init_process): it listens as soon as no other does.
 * Waiters are woken by "waker", for the reason 1 << list.  NGX_ERROR when out
 * of memory.
 */

ngx_int_t ngx_optcache_watch_open(ngx_optcache_watch_t *watch,
    ngx_cycle_t *cycle, ngx_redis_conf_t *conf, ngx_waker_t *waker);

/* Ends it (exit_process). */

void ngx_optcache_watch_close(ngx_optcache_watch_t *watch);

/* Whether changes are told of, or were a moment ago. */

ngx_uint_t ngx_optcache_watch_trusted(ngx_optcache_watch_t *watch);

/* The hash of a key's name. */

uint64_t ngx_optcache_watch_hash(ngx_str_t *name);

/*
 * A number that is another one when a key of this hash may have changed.  To
 * be taken before one looks at the key.
 */

uint64_t ngx_optcache_watch_note(ngx_optcache_watch_t *watch, uint64_t hash);

/*
 * Worker "number" is to be woken, once, when a key of the hash's list changes;
 * -1: it cannot be.  The note is to be compared after that.
 */

void ngx_optcache_watch_wait(ngx_optcache_watch_t *watch, uint64_t hash,
    ngx_int_t number);


#endif /* _NGX_OPTCACHE_WATCH_H_INCLUDED_ */
