
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis said of blacklist keys, kept in the shared memory of this host for
 * as long as Redis promises to tell of changes.  One worker listens for all;
 * when it does not hear from Redis any more, or nobody listens, nothing that is
 * kept is relied upon, and every check asks.
 *
 * The payload of a slot of ngx_limiter_table.h, whose key is 'w' and the
 * SHA-256 of a blacklist key:
 *
 *     0  value       8   what was found, see ngx_token_watch_lookup()
 *     8  epoch       4   of the promise it was found under; 0: of none, while
 *                        the rest is written
 *    12  since       4   1: of a key that holds a time
 *
 * Locks: the mutex of the token zone's slab pool protects the tables.  Words of
 * ngx_token_watch_shm_t are read and written without a lock.  The listener
 * first counts a change and then removes the slot under the lock; who stores
 * compares the count under the lock.  So an answer that was overtaken by
 * a change is never kept.  The servers are written under the lock, with the
 * epoch.
 */


#ifndef _NGX_TOKEN_WATCH_H_INCLUDED_
#define _NGX_TOKEN_WATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_keeper.h"
#include "ngx_limiter_table.h"
#include "ngx_redis_cluster.h"
#include "ngx_redis_tracker.h"


/* changes are counted by this many kinds of keys, to know which were not */
#define NGX_TOKEN_WATCH_KINDS  1024

#define NGX_TOKEN_WATCH_NONE   ((uint64_t) -1)


typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    ngx_keeper_t              keeper;
    ngx_atomic_t              up;        /* changes are reported */
    ngx_atomic_t              epoch;     /* grows whenever they may have been
                                            missed */
    ngx_shared_number_t       heard;     /* ms, when Redis was asked for
                                            what it has answered */
    ngx_atomic_t              changes[NGX_TOKEN_WATCH_KINDS];

    /* who reports changes */
    ngx_uint_t                nservers;
    uint64_t                  servers[NGX_REDIS_CLUSTER_MAX_MEMBERS];
} ngx_token_watch_shm_t;


typedef struct {
    ngx_token_watch_shm_t    *shm;
    ngx_slab_pool_t          *shpool;    /* of the token zone */
    ngx_limiter_table_t      *table;
    ngx_limiter_table_t      *revoked;   /* by this host */

    ngx_redis_tracker_t      *tracker;
    ngx_event_t               timer;
    ngx_log_t                *log;
} ngx_token_watch_t;


/* How things stood when a question was sent. */

typedef struct {
    ngx_atomic_uint_t         epoch;
    ngx_atomic_uint_t         changes;
    unsigned                  trusted:1;
} ngx_token_watch_note_t;


/* Prepares the memory; called by the init handler of its zone. */

ngx_int_t ngx_token_watch_init(ngx_slab_pool_t *shpool, ngx_log_t *log);

/*
 * Begins to listen, in this worker (init_process), to what happens to keys that
 * begin with one of the prefixes; it lives in cycle->pool.  NULL when out of
 * memory.
 */

ngx_token_watch_t *ngx_token_watch_create(ngx_cycle_t *cycle,
    ngx_slab_pool_t *own, ngx_slab_pool_t *shpool, ngx_limiter_table_t *table,
    ngx_limiter_table_t *revoked, ngx_redis_conf_t *conf, ngx_str_t *prefixes,
    ngx_uint_t n);

/* Ends it (exit_process). */

void ngx_token_watch_close(ngx_token_watch_t *watch);

/*
 * What Redis holds under the key of this digest: the number it was stored with,
 * or NGX_TOKEN_WATCH_NONE if Redis has to be asked.  One key may be asked for
 * in two senses, as one that holds a time ("since") or one that is there; of
 * these the last one is kept.
 */

uint64_t ngx_token_watch_lookup(ngx_token_watch_t *watch, u_char *digest,
    ngx_uint_t since);

/* To be taken before the question is sent; whether its answer may be kept. */

void ngx_token_watch_note(ngx_token_watch_t *watch, u_char *digest,
    ngx_token_watch_note_t *note);

/*
 * Keeps the answer, unless it is of a server (ngx_redis_command_server()) that
 * does not report changes, or there was one since, or this host has revoked the
 * key itself: that is looked up then.
 */

void ngx_token_watch_store(ngx_token_watch_t *watch, u_char *digest,
    const ngx_token_watch_note_t *note, uint64_t server, ngx_uint_t since,
    uint64_t value);

/* Forgets one; called with the token zone locked. */

void ngx_token_watch_forget(ngx_token_watch_t *watch, u_char *digest);


#endif /* _NGX_TOKEN_WATCH_H_INCLUDED_ */
