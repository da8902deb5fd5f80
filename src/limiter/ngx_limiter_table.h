
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A hash table of equal slots in a shared memory zone.  All its memory is
 * taken once, when the zone is made: nothing is allocated afterwards, so
 * inserting never fails and never fragments, it only makes the least recently
 * used slot leave.  Keys are compared whole; the hash is keyed with random
 * bytes, so that nobody outside can choose keys that fall into one chain.
 *
 * A slot in memory:
 *
 *     0  payload   P   zeroed when the slot is taken; aligned to 8 bytes if
 *                      it has a multiple of them, else to 4
 *     P  key      40
 *  P+40  len       1   bytes of the key, up to 40
 *  P+41            0   to 3, or to 7
 *        next      4   index of the next slot of the chain, + 1
 *        newer     4   index + 1, in order of use
 *        older     4   index + 1, in order of use
 *
 * The mutex of the zone's slab pool protects everything; every function here
 * but _create() is called with it held.  No lock is taken inside.  A process
 * that dies with the mutex held, in the middle of a change, leaves "busy" set:
 * the next one makes all chains anew of the slots that are in use, rather than
 * follow those that may be torn.  The slot that was just taken or removed is
 * free then, and nothing else is lost.  The order of use is known by "older",
 * which at any moment leads through all slots but the one that is changed.
 */


#ifndef _NGX_LIMITER_TABLE_H_INCLUDED_
#define _NGX_LIMITER_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_shared_number.h"


#define NGX_LIMITER_TABLE_MAGIC    0x6f70746c      /* "optl" */
#define NGX_LIMITER_TABLE_VERSION  8

/* "busy": that slot is moved in the order of use; all is laid out anew */
#define NGX_LIMITER_TABLE_MOVED    0x80000000
#define NGX_LIMITER_TABLE_ALL      0xffffffff

/* random bytes that key the hash, as many as XXH3 likes to have */
#define NGX_LIMITER_TABLE_SECRET   192

#define NGX_LIMITER_TABLE_KEY      40

/* counters of the table's user, in so many copies that workers seldom meet */
#define NGX_LIMITER_TABLE_COUNTERS  16
#define NGX_LIMITER_TABLE_COPIES    16


typedef struct {
    uint32_t                  magic;
    uint32_t                  version;

    uint32_t                  payload;   /* bytes */
    uint32_t                  stride;    /* bytes of a whole slot */
    uint32_t                  nslots;
    uint32_t                  nbuckets;  /* a power of two */

    uint32_t                  taken;     /* slots ever used since _carve() */
    uint32_t                  free;      /* removed ones: index + 1 */
    uint32_t                  newest;    /* index + 1 */
    uint32_t                  oldest;    /* index + 1 */

    uint32_t                  used;
    uint32_t                  busy;      /* the slot that is being changed,
                                            index + 1; 0: nothing */
    uint64_t                  evicted;

    uint32_t                  format;    /* of the payload, its user's own */
    uint32_t                  forgets;   /* times that something was forgotten
                                            by command, its user's own */

    uint64_t                  cycles;    /* configurations that named it */
    uint64_t                  cycle;     /* the last one that has a worker */

    ngx_shared_number_t       counters[NGX_LIMITER_TABLE_COPIES]
                                      [NGX_LIMITER_TABLE_COUNTERS];

    u_char                    secret[NGX_LIMITER_TABLE_SECRET];

    u_char                   *memory;
    size_t                    size;
    uint32_t                 *buckets;   /* index + 1; in "memory" */
    u_char                   *slots;     /* in "memory" */
} ngx_limiter_table_t;


/*
 * Makes a table of so many free pages of the pool, 0: of all that are left;
 * sets shpool->data to it.  "name" goes into the pool's log context.  Returns
 * NULL when the zone is too small.
 */

ngx_limiter_table_t *ngx_limiter_table_create(ngx_slab_pool_t *shpool,
    ngx_uint_t pages, size_t payload, const char *what, ngx_str_t *name);

/* Whether its memory has room for enough slots of such a payload. */

ngx_uint_t ngx_limiter_table_fits(ngx_limiter_table_t *table, size_t payload);

/* Forgets everything and lays out slots with another payload. */

ngx_int_t ngx_limiter_table_carve(ngx_limiter_table_t *table, size_t payload);

/*
 * The payload stored for a key of at most NGX_LIMITER_TABLE_KEY bytes, which
 * becomes the most recently used, or NULL.
 */

void *ngx_limiter_table_lookup(ngx_limiter_table_t *table, ngx_str_t *key);

/* The same, but a key that is not there is added.  Never NULL. */

void *ngx_limiter_table_insert(ngx_limiter_table_t *table, ngx_str_t *key);

void ngx_limiter_table_remove(ngx_limiter_table_t *table, ngx_str_t *key);

/*
 * The payload of slot i (from 0 to table->taken - 1) and its key, which points
 * into the slot; NULL if the slot is not in use.
 */

void *ngx_limiter_table_walk(ngx_limiter_table_t *table, uint32_t i,
    ngx_str_t *key);

/* Counters, which _carve() leaves alone; changed by atomic operations only. */

#define ngx_limiter_table_counter(table, worker, i)                           \
    (&(table)->counters[(worker) % NGX_LIMITER_TABLE_COPIES][i])

uint64_t ngx_limiter_table_counted(ngx_limiter_table_t *table, ngx_uint_t i);


#endif /* _NGX_LIMITER_TABLE_H_INCLUDED_ */
