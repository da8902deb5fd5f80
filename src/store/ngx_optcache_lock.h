
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Who asks upstream for a key: a table of locks in the memory of a zone, of a
 * size that is fixed when the zone is new, so that one finds no room in it if
 * too many keys are asked for at once, and does without.
 *
 *     parts     a robust mutex each, for a part of the sets
 *     sets      4 locks, of whatever keys have the same lower bits of a hash
 *
 * A lock is known by its key's hash, 64 bits of it, keyed by a secret of the
 * zone.  It is led while "lead" says by whom: the worker's slot, how many had
 * it before, and a ticket that makes it different from all others.
 *
 *     lead       ticket << 32 | generation << 12 | slot + 1; 0: nobody
 *
 * Else it may tell until when the key is known to be uncacheable, or be free.
 * "lead" is one word, which is written last, or first if it ends something:
 * wherever a worker is killed, what it leaves is a lock before or after the
 * change.  A lock led by a slot of another generation, or by a worker found
 * dead, is led by nobody.
 *
 * When one has failed, the next one to lead is waited for in its place: "first"
 * is the ticket of the first one since there was an answer.
 *
 * A waiter is known by the number of its worker (see ngx_waker.h).  What is to
 * be woken is returned, not woken: no system call is made under a mutex.
 */


#ifndef _NGX_OPTCACHE_LOCK_H_INCLUDED_
#define _NGX_OPTCACHE_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"


#define NGX_OPTCACHE_LOCK_WAYS         4          /* of a set */
#define NGX_OPTCACHE_LOCK_MAP          4          /* words: 256 workers */
#define NGX_OPTCACHE_LOCK_UNCACHEABLE  5000       /* ms, it is remembered */


typedef enum {
    NGX_OPTCACHE_LOCK_FAILED = 0,     /* there is no answer */
    NGX_OPTCACHE_LOCK_STORED,         /* it is to be found in the zone */
    NGX_OPTCACHE_LOCK_PASSED          /* it is uncacheable */
} ngx_optcache_lock_outcome_e;


/* a bit for each worker */

typedef uint64_t  ngx_optcache_lock_map_t[NGX_OPTCACHE_LOCK_MAP];


/* in shared memory; hash and lead are looked at without the mutex, too */

typedef struct {
    uint64_t                  hash;
    uint64_t                  lead;
    uint64_t                  until;      /* ms; 0: not uncacheable */
    ngx_optcache_lock_map_t   waiters;
    uint32_t                  first;      /* ticket: all since have failed */
    uint32_t                  failed;     /* the last one has */
} ngx_optcache_lock_way_t;                /* a cache line */


/* a lock as a request knows it */

typedef struct {
    uint64_t                  hash;
    uint64_t                  lead;       /* its own, or who it waits for */
    ngx_optcache_lock_way_t  *way;
} ngx_optcache_lock_t;


/*
 * A table for a zone whose pool has "pages" pages, allocated from the pool,
 * which is not locked.  NULL: no room.
 */

ngx_optcache_locks_t *ngx_optcache_lock_create(ngx_slab_pool_t *shpool,
    ngx_uint_t pages);

/* The lock of an identity, which nobody knows about yet. */

void ngx_optcache_lock_init(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_optcache_lock_t *lock);

/* The same for one whose hash in the zone is known, from a search. */

static ngx_inline void
ngx_optcache_lock_init_hash(ngx_optcache_lock_t *lock, uint64_t hash)
{
    lock->hash = hash;
    lock->lead = 0;
    lock->way = NULL;
}

/* Asks for the memory that taking the lock of such a hash begins with. */

void ngx_optcache_lock_prefetch(ngx_optcache_l1_t *l1, uint64_t hash);

/*
 * Takes the lock, if "lead", or waits: worker "number" is to be woken; -1: it
 * cannot be.  The time is in milliseconds of a clock that all workers share.
 *
 * NGX_OK: it is taken, and must be released; NGX_AGAIN: somebody else has it;
 * NGX_DECLINED: nobody has it, who is waited for or is to take it: uncacheable
 * of late, or there is no room.
 */

ngx_int_t ngx_optcache_lock_take(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, ngx_uint_t lead, ngx_int_t number,
    uint64_t now);

/*
 * Whether who is waited for has not released the lock, as far as one can see
 * at a glance; takes no mutex, and may be wrong for a dead worker.
 */

ngx_uint_t ngx_optcache_lock_taken(ngx_optcache_lock_t *lock);

/*
 * Whether another one leads in place of who is waited for, who has failed, as
 * have all in between: nothing is there that was not before.  The same glance.
 */

ngx_uint_t ngx_optcache_lock_followed(ngx_optcache_lock_t *lock);

/*
 * Releases the lock.  An answer that is stored or uncacheable is news for all
 * who wait, whoever has the lock: who went upstream without it says so, too.
 * Workers to wake are set in "map", others cleared.
 */

void ngx_optcache_lock_release(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, ngx_optcache_lock_outcome_e outcome,
    uint64_t now, ngx_optcache_lock_map_t map);

/*
 * Releases what workers had that are no more, and whose slots have been given
 * back: ngx_optcache_l1_attach() does that.  Sets the workers to wake in "map".
 */

void ngx_optcache_lock_sweep(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_map_t map);


#endif /* _NGX_OPTCACHE_LOCK_H_INCLUDED_ */
