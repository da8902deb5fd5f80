
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The inside of the first level: what lies in shared memory.  Only
 * ngx_optcache_l1*.c include it.  A zone is cut up once, when it is new:
 *
 *     shctx      lists of pages with room, the lock of the memory
 *     slots      one for each worker: what it pins, what it builds
 *     shards     hash table and queues of a part of the entries, a lock each
 *     pages      two bit maps for each page of the data
 *     uses       counters of requests, one for each page of the data
 *     buckets    of all shards, 8 for a page of data
 *     ghosts     of all shards, 4 for a page of data
 *     data       pages of 64 cells of 64 bytes
 *
 * All that is stored lies in cells.  A piece is a run of cells within a page,
 * or some whole pages, a chain is a list of pieces; no two of them need lie
 * side by side, so every cell that is free is of use to everybody.  A reference
 * to a piece holds its first cell, its length, and whether the piece starts
 * with the reference to the next one.
 *
 *     node       ngx_optcache_l1_node_t, identity, tags, head
 *     body       the bytes of the body
 *     gzip       the same
 *     pins       of one worker, ngx_optcache_l1_pin_t
 *
 * Three kinds of locks, taken in this order: of a worker's slot, of a shard,
 * of the memory.  No two of a kind are held at once.  They are robust mutexes:
 * the kernel tells the next one to take it that the holder died, whoever has
 * its pid by now.  A worker holds the lock of its slot for all its life: who
 * gets it knows that the worker is no more.
 *
 * A worker that is killed has done all before some instruction and nothing
 * behind it, as whoever gets its lock sees, so that only the compiler is to
 * keep to the order.  What the next one believes, and makes the rest of:
 *
 *     starts, node->state, references that are set    the maps, the lists
 *     node->state, shard and hash                     buckets, queues
 *     pins                                            node->refs
 */


#ifndef _NGX_OPTCACHE_L1_SHM_H_INCLUDED_
#define _NGX_OPTCACHE_L1_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "ngx_optcache_l1.h"


#define NGX_OPTCACHE_L1_MAGIC      0x4c31434f       /* "OCL1" */
#define NGX_OPTCACHE_L1_VERSION    9

#define NGX_OPTCACHE_L1_CELL       64               /* bytes */
#define NGX_OPTCACHE_L1_CELLS      64               /* of a page */
#define NGX_OPTCACHE_L1_PAGE       (NGX_OPTCACHE_L1_CELL                      \
                                    * NGX_OPTCACHE_L1_CELLS)

/* whole pages of a piece, at most */

#define NGX_OPTCACHE_L1_PAGES      16

/* for each page of data */

#define NGX_OPTCACHE_L1_BUCKETS    8
#define NGX_OPTCACHE_L1_GHOSTS     4

/* such a part of a zone is not to be pinned; what is copied then, in cells */

#define NGX_OPTCACHE_L1_KEPT       4
#define NGX_OPTCACHE_L1_COPIED     1024

/* places where the counter of a key may be */

#define NGX_OPTCACHE_L1_WAYS       4

/* living workers of all generations that can share a zone */

#define NGX_OPTCACHE_L1_SLOTS_MIN  32
#define NGX_OPTCACHE_L1_SLOTS_MAX  512

#define NGX_OPTCACHE_L1_SHARDS_MAX 64


/* what the compiler must not move stores across */

#define ngx_optcache_l1_fence()    __atomic_signal_fence(__ATOMIC_SEQ_CST)


/* first cell << 32 | whether it starts with a reference << 16 | cells; or 0 */

typedef uint64_t  ngx_optcache_l1_ref_t;

#define ngx_optcache_l1_ref(cell, n, more)                                    \
    (((uint64_t) (cell) << 32) | ((uint64_t) (more) << 16) | (n))

#define ngx_optcache_l1_ref_cell(ref)   ((uint32_t) ((ref) >> 32))
#define ngx_optcache_l1_ref_n(ref)      ((ngx_uint_t) ((ref) & 0xffff))
#define ngx_optcache_l1_ref_more(ref)   ((ngx_uint_t) ((ref) >> 16 & 1))


/*
 * What a worker pins: the cell of a node, or, with the highest bit, where its
 * next pin is that is not in use.
 */

typedef uint64_t  ngx_optcache_l1_pin_t;

#define NGX_OPTCACHE_L1_UNUSED  ((uint64_t) 1 << 63)

#define ngx_optcache_l1_pinned(pin)                                           \
    (((pin) & NGX_OPTCACHE_L1_UNUSED) ? 0 : (uint32_t) (pin))

#define ngx_optcache_l1_pin_unused(next)                                      \
    ((uint64_t) (uintptr_t) (next) | NGX_OPTCACHE_L1_UNUSED)

#define ngx_optcache_l1_pin_next(pin)                                         \
    ((ngx_optcache_l1_pin_t *) (uintptr_t) ((pin) & ~NGX_OPTCACHE_L1_UNUSED))


/*
 * A reference or a pin that others may read is written as a whole: a half of
 * one, on a machine whose words have 32 bits, is of something else, for who
 * reads it meanwhile or comes after a worker that was killed in between.
 */

#define ngx_optcache_l1_get(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define ngx_optcache_l1_set(p, n)  __atomic_store_n(p, n, __ATOMIC_RELAXED)


typedef enum {
    NGX_OPTCACHE_L1_BUILDING = 1,         /* by slot "owner" */
    NGX_OPTCACHE_L1_LIVE,                 /* to be found in its shard */
    NGX_OPTCACHE_L1_DEAD,                 /* not any more, but is read */
    NGX_OPTCACHE_L1_FREE
} ngx_optcache_l1_state_e;


typedef enum {
    NGX_OPTCACHE_L1_PARKED = 0,           /* in no queue, as it is pinned */
    NGX_OPTCACHE_L1_SMALL,
    NGX_OPTCACHE_L1_MAIN
} ngx_optcache_l1_queue_e;


/*
 * Protected by the lock of its shard, as far as it changes when it is LIVE:
 * refs, state, queue, freq and the links.  A head that changes (304) gets an
 * entry of its own.
 *
 * The clock is written by any reader, as a whole and without a lock: what each
 * of them writes is true, so that it does not matter who is the last one.
 */

typedef struct {
    ngx_optcache_l1_ref_t     more;       /* must be first: the next piece */

    uint32_t                  hash;       /* 32 bits of it */
    uint32_t                  next;       /* in the bucket: link, 0: none */
    uint32_t                  head_len;
    uint16_t                  key_len;
    uint16_t                  ntags;
    uint32_t                  refs;       /* pins */
    uint8_t                   state;
    uint8_t                   queue : 4;
    uint8_t                   freq : 4;   /* hits lately, up to 3 */
    uint8_t                   shard;
    uint8_t                   n;          /* cells of the first piece */
    uint32_t                  newer;      /* in the queue */
    uint32_t                  older;

    ngx_optcache_l1_ref_t     body;
    ngx_optcache_l1_ref_t     gzip;
    uint32_t                  cells;      /* of all its chains */

    /* to here, a cache line: all that is looked at of what has to leave */

    uint16_t                  status : 15;
    uint16_t                  untouched : 1;
    uint16_t                  owner;      /* while it is built */

    uint64_t                  clock;      /* compared with the ledger to it */
    ngx_optcache_origin_t     origin;

    time_t                    last_modified;
    uint32_t                  date;       /* until 2106 */
    uint32_t                  age;
    uint32_t                  lifetime;
    uint32_t                  max_stale;
    uint32_t                  stale_while_revalidate;
    uint32_t                  stale_if_error;
    uint32_t                  body_len;
    uint32_t                  gzip_len;
} ngx_optcache_l1_node_t;


/* protected by the lock of the memory */

typedef struct {
    uint64_t                  used;       /* a bit for each cell */
    uint64_t                  starts;     /* a node is complete from here */
    uint32_t                  next;       /* of a list; page + 1, 0: none */
    uint32_t                  prev;
    uint32_t                  run;        /* cells of the longest free run */
} ngx_optcache_l1_page_t;


typedef struct {
    uint32_t                  newest;     /* cell, 0: none */
    uint32_t                  oldest;
    uint64_t                  cells;
} ngx_optcache_l1_fifo_t;


typedef struct {
    pthread_mutex_t           lock;

    ngx_optcache_l1_fifo_t    fifo[NGX_OPTCACHE_L1_MAIN + 1];
    uint64_t                  pinned;     /* cells, each once */
    ngx_uint_t                entries;
    uint64_t                  evicted;
    ngx_uint_t                rebuilt;    /* times */
    uint64_t                  linked;     /* nodes, ever */
    ngx_uint_t                rebuilding; /* its buckets are not complete */
} ngx_optcache_l1_shard_t;


/* written by its worker alone, or by who found it dead */

struct ngx_optcache_l1_slot_s {
    pthread_mutex_t           lock;       /* held as long as it lives */

    ngx_optcache_l1_ref_t     pins;       /* chain of pins */
    uint32_t                  building;   /* cell of a node, 0: none */
    uint32_t                  generation; /* workers that had it before */
};


struct ngx_optcache_l1_shctx_s {
    uint32_t                  magic;
    uint32_t                  version;
    uint64_t                  size;       /* of all of it */
    uint64_t                  seed;       /* keys the hash */

    uint32_t                  nslots;
    uint32_t                  nshards;
    uint32_t                  npages;
    uint32_t                  nbuckets;   /* of a shard */
    uint32_t                  nghosts;    /* of a shard */
    uint32_t                  nuses;

    uint32_t                  link_cell;  /* bits of a link: the cell; */
    uint32_t                  link_more;  /* whether others may follow it; */
    uint32_t                  link_tag;   /* of the hash, by "link_shift" */
    uint32_t                  link_shift;

    ngx_optcache_locks_t     *locks;      /* ngx_optcache_lock.h */
    ngx_optcache_l1_slot_t   *slots;
    ngx_optcache_l1_shard_t  *shards;
    ngx_optcache_l1_page_t   *pages;
    uint64_t                 *uses;
    uint32_t                 *buckets;
    uint32_t                 *ghosts;
    u_char                   *data;

    ngx_atomic_t              hand;       /* the shard that evicts next */

    /* below: protected by "lock" */

    pthread_mutex_t           lock;
    uint64_t                  free;       /* cells */
    uint64_t                  runs;       /* bit n - 1: lists[n] has pages */
    uint32_t                  lists[NGX_OPTCACHE_L1_CELLS + 1];
    ngx_uint_t                rebuilt;    /* times */
};


/* bits of "n" cells, 1 to 64 */

#define ngx_optcache_l1_mask(n)                                               \
    (((n) == 64) ? ~(uint64_t) 0 : ((uint64_t) 1 << (n)) - 1)

#define ngx_optcache_l1_cell(sh, cell)                                        \
    ((sh)->data + (size_t) (cell) * NGX_OPTCACHE_L1_CELL)

#define ngx_optcache_l1_node(sh, cell)                                        \
    ((ngx_optcache_l1_node_t *) ngx_optcache_l1_cell(sh, cell))


/*
 * A link of a bucket: with the cell of a node it has as many bits of its hash
 * as there is room for, and whether it is the last one.  So what is not there
 * is known as such without a look at what is, which would have to come from
 * memory.  In a zone of 32 megabytes these are 12 bits, in one of 4 gigabytes 5.
 */

#define ngx_optcache_l1_link_hash(sh, hash)                                   \
    ((uint32_t) ((uint64_t) (hash) << (sh)->link_shift) & (sh)->link_tag)

#define ngx_optcache_l1_link_make(sh, cell, hash, more)                       \
    ((cell) | ngx_optcache_l1_link_hash(sh, hash)                             \
     | ((more) ? (sh)->link_more : 0))

#define ngx_optcache_l1_link_other(sh, link, hash)                            \
    (((link) & (sh)->link_tag) != ngx_optcache_l1_link_hash(sh, hash))

#define ngx_optcache_l1_link_last(sh, link)                                   \
    ((sh)->link_more && !((link) & (sh)->link_more))

/* whether such a hash is neither here nor behind it */

#define ngx_optcache_l1_link_none(sh, link, hash)                             \
    ((link) == 0                                                              \
     || (ngx_optcache_l1_link_last(sh, link)                                  \
         && ngx_optcache_l1_link_other(sh, link, hash)))


/* where a chain is read or written */

typedef struct {
    ngx_optcache_l1_shctx_t  *sh;
    ngx_optcache_l1_ref_t     next;
    u_char                   *pos;
    size_t                    size;
} ngx_optcache_l1_cursor_t;


/* a buffer and its link, allocated at once */

typedef struct {
    ngx_chain_t               chain;
    ngx_buf_t                 buf;
} ngx_optcache_l1_link_t;


/* ngx_optcache_l1.c */

/* The hash of an identity, keyed by a secret of the zone. */

uint64_t ngx_optcache_l1_hash(ngx_optcache_l1_t *l1, ngx_str_t *key);


/* ngx_optcache_l1_view.c */

/*
 * Makes an entry of a node, which must be pinned, but for its key; "body" and
 * "gzip" are what the first buffers are made of, the rest is from "pool".
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_optcache_l1_view(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_optcache_l1_link_t *body, ngx_optcache_l1_link_t *gzip);

/*
 * Copies what an entry that was made so has in shared memory to "pool": it need
 * not be pinned any more.  NGX_ERROR when out of memory.
 */

ngx_rare ngx_int_t ngx_optcache_l1_view_own(ngx_pool_t *pool,
    ngx_optcache_entry_t *e);

/* Begins to read or write what follows a node. */

void ngx_optcache_l1_first_cursor(ngx_optcache_l1_cursor_t *cursor,
    ngx_optcache_l1_shctx_t *sh, ngx_optcache_l1_node_t *node);

/* Up to "max" bytes of a chain that lie side by side. */

size_t ngx_optcache_l1_read(ngx_optcache_l1_cursor_t *cursor, size_t max,
    u_char **p);


/* ngx_optcache_l1_page.c: runs of cells; under the lock of the memory */

/* All cells are free from now on; no locks. */

void ngx_optcache_l1_page_init(ngx_optcache_l1_shctx_t *sh);

/* Cells for a chain of "size" bytes, in as few pieces as there can be. */

uint64_t ngx_optcache_l1_page_cells(size_t size);

/*
 * Cells that a piece for "size" bytes, or for a part of them, is to have at
 * least; with "any" one is enough.
 */

ngx_uint_t ngx_optcache_l1_page_least(ngx_optcache_l1_shctx_t *sh,
    size_t size, ngx_uint_t any);

/*
 * A piece for "size" bytes, or for a part of them if there is no run of as
 * many cells; 0 if there is none of "min" cells.
 */

ngx_optcache_l1_ref_t ngx_optcache_l1_page_take(ngx_optcache_l1_shctx_t *sh,
    size_t size, ngx_uint_t min);

/*
 * The first of "n" cells, up to those of a page, that are free and lie side by
 * side; 0 if there are none.
 */

uint32_t ngx_optcache_l1_page_take_run(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t n);

/*
 * Asks for the memory where an entry of "n" cells would be written next, so
 * that it is there by then; takes no lock.
 */

void ngx_optcache_l1_page_prefetch(ngx_optcache_l1_shctx_t *sh, uint64_t n);

/*
 * Allocates a chain for *size bytes; *ref is set while it grows.
 * NGX_DECLINED: no room for the *size that are left.
 */

ngx_int_t ngx_optcache_l1_page_alloc(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t *ref, size_t *size, ngx_uint_t any);

/* Sets or clears the bits of a piece in the maps. */

void ngx_optcache_l1_page_map(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_uint_t used);

/*
 * Frees a chain, or the next one; *changed is 0 at first.  What is freed lies
 * side by side mostly, so a page is put into its list when all of it is done:
 * by the next call that has to do with another page, or by _free_done().
 */

void ngx_optcache_l1_page_free(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_uint_t *changed);
void ngx_optcache_l1_page_free_done(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t changed);

/* Puts a page into the list it belongs to, when its map has changed. */

void ngx_optcache_l1_page_list(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i);


/* ngx_optcache_l1_mem.c: nodes with all their chains, pins */

/* Takes and gives back a robust lock; NGX_ABORT: taken, its holder died. */

ngx_int_t ngx_optcache_l1_lock(pthread_mutex_t *lock);
void ngx_optcache_l1_unlock(pthread_mutex_t *lock);

/* Takes the lock of the memory, which is made sound if need be. */

void ngx_optcache_l1_mem_lock(ngx_optcache_l1_shctx_t *sh);

/* Cells of an entry, in as few pieces as there can be. */

uint64_t ngx_optcache_l1_mem_needs(ngx_optcache_entry_t *e);

/* Frees the chains of a node, under the lock of the memory. */

void ngx_optcache_l1_mem_free_node(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);

/*
 * Allocates the chains of a node, which slot "owner" builds; takes the lock
 * of the memory.  Returns its cell, 0 when there is no room: *lacking cells
 * have to be freed first, at least.  With "any" it takes what there is,
 * however short the pieces.
 */

uint32_t ngx_optcache_l1_mem_build(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, ngx_optcache_entry_t *e, ngx_uint_t any,
    ngx_uint_t *lacking);

/* Whether slot "owner" builds a node there; under the lock of the memory. */

ngx_uint_t ngx_optcache_l1_mem_builds(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, uint32_t cell);

/*
 * Puts a piece of up to "size" bytes before the pins of a slot, all of them
 * not in use; under the lock of the memory.  NGX_DECLINED: no room.
 */

ngx_int_t ngx_optcache_l1_mem_pins(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_slot_t *slot, size_t size);

/* Where the *size bytes of a piece are; *ref becomes that of the next. */

ngx_inline static u_char *
ngx_optcache_l1_piece(ngx_optcache_l1_shctx_t *sh, ngx_optcache_l1_ref_t *ref,
    size_t *size)
{
    u_char  *p;

    p = ngx_optcache_l1_cell(sh, ngx_optcache_l1_ref_cell(*ref));
    *size = ngx_optcache_l1_ref_n(*ref) * NGX_OPTCACHE_L1_CELL;

    if (ngx_optcache_l1_ref_more(*ref)) {
        *ref = *(ngx_optcache_l1_ref_t *) p;
        *size -= sizeof(ngx_optcache_l1_ref_t);

        return p + sizeof(ngx_optcache_l1_ref_t);
    }

    *ref = 0;

    return p;
}


/* The same for the first piece of a node, whose next one is node->more. */

ngx_inline static u_char *
ngx_optcache_l1_first(ngx_optcache_l1_node_t *node, size_t *size)
{
    *size = node->n * NGX_OPTCACHE_L1_CELL - sizeof(ngx_optcache_l1_node_t);

    return (u_char *) node + sizeof(ngx_optcache_l1_node_t);
}


/* ngx_optcache_l1_shard.c: hash table, pins */

/* Takes the lock of a shard, which is made sound if need be. */

ngx_optcache_l1_shard_t *ngx_optcache_l1_shard_lock(
    ngx_optcache_l1_shctx_t *sh, ngx_uint_t i);

/*
 * Whether there is no entry with such a hash, without the lock; not said of a
 * shard that is being made sound.  If there may be one, its memory is on its way
 * to the processor.
 */

ngx_uint_t ngx_optcache_l1_shard_none(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, uint64_t hash);

/* Asks for the memory that a search begins with; without the lock. */

void ngx_optcache_l1_shard_prefetch(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, uint64_t hash);

/* These are called under the lock of the shard.  0: there is none. */

uint32_t ngx_optcache_l1_shard_find(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, ngx_str_t *key, uint64_t hash);

/* Lets a node be found that was built; it replaces "old", unless that is 0. */

void ngx_optcache_l1_shard_link(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    uint32_t old);

/*
 * Lets it be found no more, and takes it out of its queue; _unlink frees it
 * then, unless it is pinned.
 */

void ngx_optcache_l1_shard_hide(ngx_optcache_l1_shctx_t *sh, uint32_t cell);
void ngx_optcache_l1_shard_unlink(ngx_optcache_l1_shctx_t *sh, uint32_t cell);

/*
 * Counts a hit and pins a node; what was in *pin is overwritten.  NGX_AGAIN:
 * enough is pinned for long, and this one is to be so for as long as it takes
 * to copy it.  NGX_BUSY: it is not pinned, and too large to be copied.
 */

ngx_int_t ngx_optcache_l1_shard_pin(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell, ngx_optcache_l1_pin_t *pin);

/* One pin less; what nobody is to find or read any more is freed. */

void ngx_optcache_l1_shard_unpin(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_l1_pin_t *pin);

/* Number of a hash's shard. */

#define ngx_optcache_l1_shard_of(sh, hash)                                    \
    ((ngx_uint_t) ((hash) >> 56) & ((sh)->nshards - 1))


/* ngx_optcache_l1_queue.c: what stays and what leaves */

/* Asks for the memory by which _first() decides, and what _push() begins with. */

void ngx_optcache_l1_queue_prefetch(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, uint64_t hash);

/* The queue that an entry of this hash starts in. */

ngx_optcache_l1_queue_e ngx_optcache_l1_queue_first(
    ngx_optcache_l1_shctx_t *sh, ngx_uint_t i, uint32_t hash);

/* These are called under the lock of the shard. */

void ngx_optcache_l1_queue_hit(ngx_optcache_l1_node_t *node);
void ngx_optcache_l1_queue_push(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_l1_queue_e queue);
void ngx_optcache_l1_queue_pull(ngx_optcache_l1_shctx_t *sh, uint32_t cell);

/*
 * Called after each entry that is stored: asks for the memory of one of those
 * that are to leave after some more of them, which is in no cache of the
 * processor, as nobody has asked for them.  Takes no lock, "next" is of this
 * process.
 */

void ngx_optcache_l1_queue_expect(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_next_t *next);

/*
 * Lets entries go, of the shard that is expected to or of any, until they had
 * so many cells, or some of them if there are not as many; takes locks.
 * Returns their cells, 0 when all that is left is pinned.
 */

ngx_uint_t ngx_optcache_l1_queue_evict(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_next_t *next, uint64_t cells);


/* ngx_optcache_l1_worker.c: slots, pins */

/*
 * Takes a pin of this worker that is not in use, and puts it back.  NULL: no
 * room for more of them.  Takes locks.
 */

ngx_optcache_l1_pin_t *ngx_optcache_l1_worker_pin(ngx_optcache_l1_t *l1);
void ngx_optcache_l1_worker_unpin(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_pin_t *pin);

/*
 * Whether slot "i" is some worker's who lives; of a dead one, gives back what
 * it had.  Takes locks; cheap if it lives.
 */

ngx_uint_t ngx_optcache_l1_alive(ngx_optcache_l1_t *l1, ngx_uint_t i);


#endif /* _NGX_OPTCACHE_L1_SHM_H_INCLUDED_ */
