
/*
 * Copyright (C) The Optcache authors
 */


/*
 * First level: shared memory of this host, shared by the workers and kept
 * over a reload.  An entry is
 *
 *     node     meta data, identity, header fields
 *     body     in pieces of at most 64 KiB
 *     gzip     the same
 *
 * A reader pins the node under the lock of a part of the zone and then reads
 * without it; nothing in a published node changes, but for the clock up to
 * which it was compared with invalidations.  A pin is written down with the
 * worker that took it: when a worker is killed, the next one to start
 * gives back what it held.  So it is with an entry that was being written.
 */


#ifndef _NGX_OPTCACHE_L1_H_INCLUDED_
#define _NGX_OPTCACHE_L1_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_metrics.h"
#include "ngx_optcache_entry.h"
#include "ngx_rare.h"


/* of a zone, bytes: its parts have numbers of 32 bits */

#define NGX_OPTCACHE_L1_SIZE_MAX  ((uint64_t) 1 << 38)

#define NGX_OPTCACHE_L1_USES_MAX  255
#define NGX_OPTCACHE_L1_USES_AGE  3600           /* seconds */


typedef struct ngx_optcache_l1_shctx_s  ngx_optcache_l1_shctx_t;
typedef struct ngx_optcache_l1_slot_s   ngx_optcache_l1_slot_t;
typedef struct ngx_optcache_locks_s     ngx_optcache_locks_t;


/* whom a process expects to leave next: only a guess */

typedef struct {
    uint32_t                  shard;
    uint32_t                  cell;        /* of a node, 0: none */
    ngx_uint_t                chosen;      /* shard is known */
} ngx_optcache_l1_next_t;


/* one zone as one process sees it */

typedef struct {
    ngx_optcache_l1_shctx_t  *sh;
    ngx_slab_pool_t          *shpool;
    ngx_optcache_l1_slot_t   *slot;        /* this worker's place */
    uint64_t                 *pins;        /* of it, that are not in use */
    ngx_optcache_l1_next_t    next;
    time_t                    tried;       /* to get a slot, epoch seconds */
    ngx_str_t                 name;
    ngx_metrics_block_t      *requests;    /* NULL: nobody counts here */
    ngx_uint_t                several;     /* an entry may be of several URIs,
                                              by a key of this configuration */
    ngx_metrics_block_t      *answers;
} ngx_optcache_l1_t;


/* a search that found nothing */

typedef struct {
    u_char                   *key;         /* the bytes of the identity */
    u_char                   *hashed;      /* the same, or NULL */
    uint64_t                  hash;        /* of it */
    uint64_t                  linked;      /* into its shard, by then */
} ngx_optcache_l1_absent_t;


/* what is in a zone, of the whole host; bytes but for the last three */

typedef struct {
    uint64_t                  size;        /* as configured */
    uint64_t                  used;
    uint64_t                  free;        /* the rest is of the zone itself */
    uint64_t                  entries;
    uint64_t                  evicted;     /* for others, since it was made */
    time_t                    oldest;      /* epoch seconds: when the oldest
                                              was received of those that are
                                              next to leave; 0: none */
} ngx_optcache_l1_stats_t;


/*
 * Adds the shared memory zone "name" of "size" bytes, at configuration.  The
 * result is from cf->pool; NULL when out of memory, or after an error has
 * been logged.
 */

ngx_optcache_l1_t *ngx_optcache_l1_create(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, void *tag);

/*
 * Registers this worker (init_process) and gives back what workers that are
 * no more had pinned.  Without it, or after NGX_ERROR, lookups miss.
 */

ngx_int_t ngx_optcache_l1_attach(ngx_optcache_l1_t *l1, ngx_log_t *log);

/*
 * Tries again, at most once a second, for a worker that could not be
 * registered when it started; says so in the log when it succeeds.
 */

ngx_rare void ngx_optcache_l1_attach_late(ngx_optcache_l1_t *l1,
    ngx_log_t *log);

/* Takes this worker out of the list (exit_process). */

void ngx_optcache_l1_detach(ngx_optcache_l1_t *l1);

/*
 * Finds the entry of an identity, fresh or stale.  On NGX_OK the entry points
 * into shared memory, but for e->key, which is *key, and is pinned until
 * "pool" is destroyed; chains, bufs and tags are from "pool", and so is a head
 * that does not lie in one piece; they must not be written through.  It has to
 * be compared with what was invalidated since e->moment.clock.  While three
 * quarters of the zone are pinned, it is a copy, from "pool", of what is not.
 * NGX_DECLINED: none.  NGX_BUSY: there is one, too large to be copied.
 * NGX_ERROR: out of memory.
 */

ngx_int_t ngx_optcache_l1_lookup(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_pool_t *pool, ngx_optcache_entry_t *e);

/*
 * The same, which remembers that it has found nothing; absent->key is NULL if
 * it has, or could not look at all.  "absent" may be NULL.
 */

ngx_int_t ngx_optcache_l1_search(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_optcache_l1_absent_t *absent);

/*
 * Says that an identity is to be searched for next: its hash is known then, and
 * the memory that the search begins with is on its way to the processor.
 */

void ngx_optcache_l1_expect(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_optcache_l1_absent_t *absent);

/*
 * Stores a copy of an entry, in place of the one with its identity; others,
 * that are not asked for, leave to make room.  NGX_DECLINED when there is no
 * room: the entry is larger than the zone, or all of it is pinned.
 */

ngx_int_t ngx_optcache_l1_store(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *e);

/*
 * The same, faster if "absent" is from a search of this zone for the identity,
 * whose bytes have not changed since: it is known by where they lie.
 */

ngx_int_t ngx_optcache_l1_store_absent(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *e, ngx_optcache_l1_absent_t *absent);

/*
 * Stores a copy of an entry in place of "old" and of nothing else: "old" is
 * from a lookup of the same identity, has a body, and is still pinned.
 * NGX_DECLINED when it has been removed or replaced meanwhile, or when there
 * is no room for both; what is stored under the identity stays.
 */

ngx_int_t ngx_optcache_l1_replace(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *old, ngx_optcache_entry_t *e);

/*
 * Writes down up to which clock of the ledger an entry, from a lookup, was
 * compared.  Does nothing to one that was decoded.
 */

static ngx_inline void
ngx_optcache_l1_compared(ngx_optcache_entry_t *e, uint64_t clock)
{
    e->moment.clock = clock;

    if (e->compared) {
        __atomic_store_n(e->compared, clock, __ATOMIC_RELAXED);
    }
}

/*
 * Whether an entry may have been stored for an identity since a search found
 * none: if not, to search again would find none either.  Takes no lock: what
 * another worker stores at this very moment may be seen later, but what it had
 * stored when it released a mutex that this one has taken since is seen.
 */

ngx_uint_t ngx_optcache_l1_changed(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_absent_t *absent);

/* Removes the entry of an identity, if there is one. */

void ngx_optcache_l1_remove(ngx_optcache_l1_t *l1, ngx_str_t *key);

/*
 * Counts a request for an identity and returns how many there have been with
 * this one, up to NGX_OPTCACHE_L1_USES_MAX.  An identity that was not asked
 * for within NGX_OPTCACHE_L1_USES_AGE seconds, or whose place another one has
 * taken since, is new.  "now" is in epoch seconds.  Takes no locks.
 */

ngx_rare ngx_uint_t ngx_optcache_l1_uses(ngx_optcache_l1_t *l1, ngx_str_t *key,
    time_t now);

/*
 * Counts what is there.  Takes the locks of all parts, one after the other:
 * the numbers are not of one moment.
 */

void ngx_optcache_l1_stats(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_stats_t *stats);


#endif /* _NGX_OPTCACHE_L1_H_INCLUDED_ */
