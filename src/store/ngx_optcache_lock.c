
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1_shm.h"
#include "ngx_optcache_lock.h"
#include "ngx_rare.h"


/* pages of a zone for each set of its table, and what there is at least */

#define NGX_OPTCACHE_LOCK_PAGES     8
#define NGX_OPTCACHE_LOCK_SETS_MIN  4
#define NGX_OPTCACHE_LOCK_SETS_MAX  2048

#define NGX_OPTCACHE_LOCK_PARTS     16


#define NGX_OPTCACHE_LOCK_GENERATION  0xfffff

#define ngx_optcache_lock_lead(ticket, generation, slot)                      \
    (((uint64_t) (ticket) << 32)                                              \
     | (((uint64_t) (generation) & NGX_OPTCACHE_LOCK_GENERATION) << 12)       \
     | ((slot) + 1))

#define ngx_optcache_lock_generation(lead)                                    \
    ((uint32_t) ((lead) >> 12) & NGX_OPTCACHE_LOCK_GENERATION)

#define ngx_optcache_lock_slot(lead)                                          \
    ((ngx_uint_t) ((lead) & 0xfff) - 1)

#define ngx_optcache_lock_ticket(lead)  ((uint32_t) ((lead) >> 32))


typedef struct {
    pthread_mutex_t           lock;
    uint32_t                  tickets;
    u_char                    unused[64 - sizeof(pthread_mutex_t)
                                     - sizeof(uint32_t)];
} ngx_optcache_lock_part_t;


typedef struct {
    ngx_optcache_lock_way_t   ways[NGX_OPTCACHE_LOCK_WAYS];
} ngx_optcache_lock_set_t;


struct ngx_optcache_locks_s {
    ngx_uint_t                nsets;      /* a power of 2 */
    ngx_optcache_lock_set_t  *sets;
    ngx_optcache_lock_part_t  parts[NGX_OPTCACHE_LOCK_PARTS];
};


static ngx_int_t ngx_optcache_lock_init_parts(ngx_optcache_locks_t *locks);
static ngx_int_t ngx_optcache_lock_try(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, ngx_uint_t lead, ngx_int_t number,
    uint64_t now);
static ngx_int_t ngx_optcache_lock_new(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, uint64_t now);
static ngx_often void ngx_optcache_lock_to(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, ngx_optcache_lock_way_t *way);
static ngx_rare void ngx_optcache_lock_news(ngx_optcache_locks_t *locks,
    uint64_t hash);
static void ngx_optcache_lock_pass(ngx_optcache_l1_t *l1,
    ngx_optcache_lock_t *lock, ngx_optcache_lock_way_t *way, uint64_t now);
static ngx_optcache_lock_way_t *ngx_optcache_lock_find(
    ngx_optcache_locks_t *locks, uint64_t hash, uint64_t now);
static ngx_uint_t ngx_optcache_lock_known(ngx_optcache_lock_way_t *way,
    uint64_t now);
static ngx_often ngx_optcache_lock_way_t *ngx_optcache_lock_room(
    ngx_optcache_locks_t *locks, uint64_t hash);
static ngx_uint_t ngx_optcache_lock_gone(ngx_optcache_l1_t *l1,
    uint64_t lead);
static ngx_optcache_lock_part_t *ngx_optcache_lock_part(
    ngx_optcache_locks_t *locks, uint64_t hash);


ngx_optcache_locks_t *
ngx_optcache_lock_create(ngx_slab_pool_t *shpool, ngx_uint_t pages)
{
    size_t                 size;
    ngx_uint_t             nsets;
    ngx_optcache_locks_t  *locks;

    for (nsets = NGX_OPTCACHE_LOCK_SETS_MIN;
         nsets < NGX_OPTCACHE_LOCK_SETS_MAX
         && nsets * 2 <= pages / NGX_OPTCACHE_LOCK_PAGES;
         nsets *= 2)
    { /* void */ }

    size = ngx_align(sizeof(ngx_optcache_locks_t), NGX_OPTCACHE_L1_CELL)
           + nsets * sizeof(ngx_optcache_lock_set_t);

    locks = ngx_slab_calloc_locked(shpool, size);
    if (locks == NULL) {
        return NULL;
    }

    locks->nsets = nsets;
    locks->sets = (ngx_optcache_lock_set_t *)
                      ((u_char *) locks + size
                       - nsets * sizeof(ngx_optcache_lock_set_t));

    if (ngx_optcache_lock_init_parts(locks) != NGX_OK) {
        return NULL;
    }

    return locks;
}


static ngx_int_t
ngx_optcache_lock_init_parts(ngx_optcache_locks_t *locks)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    pthread_mutexattr_t  attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) != 0)
    {
        goto done;
    }

    for (i = 0; i < NGX_OPTCACHE_LOCK_PARTS; i++) {
        if (pthread_mutex_init(&locks->parts[i].lock, &attr) != 0) {
            goto done;
        }
    }

    rc = NGX_OK;

done:

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


void
ngx_optcache_lock_init(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_optcache_lock_t *lock)
{
    ngx_optcache_lock_init_hash(lock, ngx_optcache_l1_hash(l1, key));
}


void
ngx_optcache_lock_prefetch(ngx_optcache_l1_t *l1, uint64_t hash)
{
    ngx_uint_t                i;
    ngx_optcache_lock_way_t  *way;

    way = l1->sh->locks->sets[hash & (l1->sh->locks->nsets - 1)].ways;

    for (i = 0; i < NGX_OPTCACHE_LOCK_WAYS; i++) {
        __builtin_prefetch(&way[i]);
    }
}


ngx_int_t
ngx_optcache_lock_take(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    ngx_uint_t lead, ngx_int_t number, uint64_t now)
{
    ngx_int_t                  rc;
    ngx_optcache_lock_part_t  *part;

    do {
        part = ngx_optcache_lock_part(l1->sh->locks, lock->hash);

        rc = ngx_optcache_lock_try(l1, lock, lead, number, now);

        ngx_optcache_l1_unlock(&part->lock);

        /* a slot that is given back is of another generation next time */

    } while (rc == NGX_AGAIN
             && !ngx_optcache_l1_alive(l1,
                                       ngx_optcache_lock_slot(lock->lead)));

    return rc;
}


static ngx_int_t
ngx_optcache_lock_try(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    ngx_uint_t lead, ngx_int_t number, uint64_t now)
{
    ngx_optcache_lock_way_t  *way;

    way = ngx_optcache_lock_find(l1->sh->locks, lock->hash, now);

    if (way == NULL) {
        return lead ? ngx_optcache_lock_new(l1, lock, now) : NGX_DECLINED;
    }

    if (way->lead == 0) {
        /* uncacheable */
        return NGX_DECLINED;
    }

    if (!ngx_optcache_lock_gone(l1, way->lead)) {

        if (number >= 0 && number < NGX_OPTCACHE_LOCK_MAP * 64) {
            way->waiters[number / 64] |= (uint64_t) 1 << number % 64;
        }

        lock->way = way;
        lock->lead = way->lead;

        return NGX_AGAIN;
    }

    if (!lead) {
        return NGX_DECLINED;
    }

    /* who waited for the one that died waits for this one now */

    way->failed = 1;

    ngx_optcache_lock_to(l1, lock, way);

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_lock_new(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    uint64_t now)
{
    ngx_optcache_lock_way_t  *way;

    way = ngx_optcache_lock_room(l1->sh->locks, lock->hash);
    if (way == NULL) {
        return NGX_DECLINED;
    }

    way->until = 0;

    if (way->hash != lock->hash || !way->failed) {
        way->failed = 0;
        ngx_memzero(way->waiters, sizeof(ngx_optcache_lock_map_t));
    }

    __atomic_store_n(&way->hash, lock->hash, __ATOMIC_RELEASE);

    ngx_optcache_l1_fence();

    ngx_optcache_lock_to(l1, lock, way);

    return NGX_OK;
}


static void
ngx_optcache_lock_to(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    ngx_optcache_lock_way_t *way)
{
    ngx_uint_t             slot, part;
    ngx_optcache_locks_t  *locks;

    locks = l1->sh->locks;
    part = (lock->hash & (locks->nsets - 1)) % NGX_OPTCACHE_LOCK_PARTS;
    slot = l1->slot - l1->sh->slots;

    lock->way = way;
    lock->lead = ngx_optcache_lock_lead(++locks->parts[part].tickets,
                                        l1->slot->generation, slot);

    if (!way->failed) {
        __atomic_store_n(&way->first, ngx_optcache_lock_ticket(lock->lead),
                         __ATOMIC_RELAXED);
    }

    __atomic_store_n(&way->lead, lock->lead, __ATOMIC_RELEASE);
}


ngx_uint_t
ngx_optcache_lock_taken(ngx_optcache_lock_t *lock)
{
    /* who finds it released sees what was stored before that */

    return __atomic_load_n(&lock->way->hash, __ATOMIC_ACQUIRE) == lock->hash
           && __atomic_load_n(&lock->way->lead, __ATOMIC_ACQUIRE)
              == lock->lead;
}


ngx_uint_t
ngx_optcache_lock_followed(ngx_optcache_lock_t *lock)
{
    uint32_t                  first;
    uint64_t                  lead;
    ngx_optcache_lock_way_t  *way;

    way = lock->way;

    lead = __atomic_load_n(&way->lead, __ATOMIC_ACQUIRE);
    first = __atomic_load_n(&way->first, __ATOMIC_RELAXED);

    return lead
           && __atomic_load_n(&way->hash, __ATOMIC_RELAXED) == lock->hash
           && ngx_optcache_lock_ticket(lock->lead) - first
              < ngx_optcache_lock_ticket(lead) - first;
}


ngx_often void
ngx_optcache_lock_release(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    ngx_optcache_lock_outcome_e outcome, uint64_t now,
    ngx_optcache_lock_map_t map)
{
    ngx_optcache_lock_way_t   *way;
    ngx_optcache_lock_part_t  *part;

    ngx_memzero(map, sizeof(ngx_optcache_lock_map_t));

    part = ngx_optcache_lock_part(l1->sh->locks, lock->hash);

    way = ngx_optcache_lock_find(l1->sh->locks, lock->hash, now);

    if (way && way->lead && (outcome != NGX_OPTCACHE_LOCK_FAILED
                             || way->lead == lock->lead))
    {
        ngx_memcpy(map, way->waiters, sizeof(ngx_optcache_lock_map_t));
    }

    if (outcome == NGX_OPTCACHE_LOCK_PASSED) {
        ngx_optcache_lock_pass(l1, lock, way, now);

    } else if (way && (outcome == NGX_OPTCACHE_LOCK_STORED
                       || way->lead == lock->lead))
    {
        way->until = 0;
        way->failed = (outcome == NGX_OPTCACHE_LOCK_FAILED);
        ngx_optcache_l1_fence();

        __atomic_store_n(&way->lead, 0, __ATOMIC_RELEASE);

    } else if (outcome == NGX_OPTCACHE_LOCK_STORED) {
        ngx_optcache_lock_news(l1->sh->locks, lock->hash);
    }

    ngx_optcache_l1_unlock(&part->lock);
}


/* Who waits for one that has failed is to look, whoever leads next. */

static void
ngx_optcache_lock_news(ngx_optcache_locks_t *locks, uint64_t hash)
{
    ngx_uint_t                i;
    ngx_optcache_lock_way_t  *way;

    way = locks->sets[hash & (locks->nsets - 1)].ways;

    for (i = 0; i < NGX_OPTCACHE_LOCK_WAYS; i++) {
        if (way[i].hash == hash) {
            way[i].failed = 0;
        }
    }
}


static void
ngx_optcache_lock_pass(ngx_optcache_l1_t *l1, ngx_optcache_lock_t *lock,
    ngx_optcache_lock_way_t *way, uint64_t now)
{
    if (way == NULL) {
        way = ngx_optcache_lock_room(l1->sh->locks, lock->hash);
        if (way == NULL) {
            return;
        }

        way->until = 0;
        __atomic_store_n(&way->hash, lock->hash, __ATOMIC_RELEASE);
        ngx_optcache_l1_fence();
    }

    way->until = now + NGX_OPTCACHE_LOCK_UNCACHEABLE;
    way->failed = 0;
    ngx_optcache_l1_fence();

    __atomic_store_n(&way->lead, 0, __ATOMIC_RELEASE);
}


void
ngx_optcache_lock_sweep(ngx_optcache_l1_t *l1, ngx_optcache_lock_map_t map)
{
    ngx_uint_t                 i, n, k;
    ngx_optcache_locks_t      *locks;
    ngx_optcache_lock_way_t   *way;
    ngx_optcache_lock_part_t  *part;

    ngx_memzero(map, sizeof(ngx_optcache_lock_map_t));

    locks = l1->sh->locks;

    for (i = 0; i < locks->nsets; i++) {
        part = ngx_optcache_lock_part(locks, i);

        for (n = 0; n < NGX_OPTCACHE_LOCK_WAYS; n++) {
            way = &locks->sets[i].ways[n];

            if (way->lead == 0 || !ngx_optcache_lock_gone(l1, way->lead)) {
                continue;
            }

            for (k = 0; k < NGX_OPTCACHE_LOCK_MAP; k++) {
                map[k] |= way->waiters[k];
            }

            way->failed = 1;
            ngx_optcache_l1_fence();

            __atomic_store_n(&way->lead, 0, __ATOMIC_RELEASE);
        }

        ngx_optcache_l1_unlock(&part->lock);
    }
}


/* Of a key: led, or uncacheable. */

static ngx_optcache_lock_way_t *
ngx_optcache_lock_find(ngx_optcache_locks_t *locks, uint64_t hash,
    uint64_t now)
{
    ngx_uint_t                i;
    ngx_optcache_lock_way_t  *way;

    way = locks->sets[hash & (locks->nsets - 1)].ways;

    for (i = 0; i < NGX_OPTCACHE_LOCK_WAYS; i++) {
        if (way[i].hash == hash
            && (way[i].lead || ngx_optcache_lock_known(&way[i], now)))
        {
            return &way[i];
        }
    }

    return NULL;
}


/*
 * Whether it is uncacheable, as far as is known.  "now" may have begun anew,
 * where it has 32 bits: what is known is never known for longer than that.
 */

static ngx_uint_t
ngx_optcache_lock_known(ngx_optcache_lock_way_t *way, uint64_t now)
{
    return way->until > now
           && way->until - now <= NGX_OPTCACHE_LOCK_UNCACHEABLE;
}


/*
 * One that is not led, that of the key itself if it has one: what has been
 * known the longest is forgotten.
 */

static ngx_optcache_lock_way_t *
ngx_optcache_lock_room(ngx_optcache_locks_t *locks, uint64_t hash)
{
    ngx_uint_t                i;
    ngx_optcache_lock_way_t  *way, *room;

    way = locks->sets[hash & (locks->nsets - 1)].ways;
    room = NULL;

    for (i = 0; i < NGX_OPTCACHE_LOCK_WAYS; i++) {
        if (way[i].lead) {
            continue;
        }

        if (way[i].hash == hash) {
            return &way[i];
        }

        if (room == NULL || way[i].until < room->until) {
            room = &way[i];
        }
    }

    return room;
}


/* Whether the worker is not there any more that its slot was of. */

static ngx_uint_t
ngx_optcache_lock_gone(ngx_optcache_l1_t *l1, uint64_t lead)
{
    uint32_t  generation;

    generation = l1->sh->slots[ngx_optcache_lock_slot(lead)].generation;

    return (generation & NGX_OPTCACHE_LOCK_GENERATION)
           != ngx_optcache_lock_generation(lead);
}


/* Takes the mutex; nothing is to be made sound when its holder died. */

static ngx_optcache_lock_part_t *
ngx_optcache_lock_part(ngx_optcache_locks_t *locks, uint64_t hash)
{
    ngx_optcache_lock_part_t  *part;

    part = &locks->parts[(hash & (locks->nsets - 1))
                         % NGX_OPTCACHE_LOCK_PARTS];

    if (ngx_optcache_l1_lock(&part->lock) == NGX_ABORT) {
        (void) pthread_mutex_consistent(&part->lock);
    }

    return part;
}
