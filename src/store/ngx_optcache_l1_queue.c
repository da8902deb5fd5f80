
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What leaves when a zone is full is decided as in S3-FIFO (Yang et al.,
 * "FIFO queues are all you need for cache eviction", SOSP 2023): an entry
 * starts in a small queue, which holds about a tenth.  At its end it goes on
 * to the main queue if it was asked for again, and else leaves, so that what
 * is asked for once drives nobody out; what returns soon after that starts in
 * the main queue.  At the end of that one it starts again as often as it was
 * hit, up to three times.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


/* hits that are counted */

#define NGX_OPTCACHE_L1_FREQ         3

/* hits that lead to the main queue, and those that a large entry needs */

#define NGX_OPTCACHE_L1_HITS         2
#define NGX_OPTCACHE_L1_HITS_LARGE   3

/* of a zone's cells are a large entry */

#define NGX_OPTCACHE_L1_LARGE        16

/* entries that one search for a victim lets start again */

#define NGX_OPTCACHE_L1_STEPS        128

/* a zone has no need of them yet while such a part of it is free */

#define NGX_OPTCACHE_L1_ROOM         16

/* entries of a shard that leave at once, at most */

#define NGX_OPTCACHE_L1_VICTIMS      16


static ngx_uint_t ngx_optcache_l1_queue_evict_some(
    ngx_optcache_l1_shctx_t *sh, ngx_uint_t i, uint64_t cells);
static ngx_often ngx_uint_t ngx_optcache_l1_queue_fullest(
    ngx_optcache_l1_shctx_t *sh);
static uint32_t ngx_optcache_l1_queue_victim(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i);
static uint32_t ngx_optcache_l1_queue_oldest(ngx_optcache_l1_shard_t *shard);
static ngx_uint_t ngx_optcache_l1_queue_stays(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static uint32_t *ngx_optcache_l1_queue_ghost(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, uint32_t hash);


void
ngx_optcache_l1_queue_prefetch(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint64_t hash)
{
    uint32_t  newest;

    newest = sh->shards[i].fifo[NGX_OPTCACHE_L1_SMALL].newest;

    __builtin_prefetch(ngx_optcache_l1_queue_ghost(sh, i, (uint32_t) hash));
    __builtin_prefetch(ngx_optcache_l1_node(sh, newest), 1);
}


ngx_optcache_l1_queue_e
ngx_optcache_l1_queue_first(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint32_t hash)
{
    uint32_t  *ghost;

    ghost = ngx_optcache_l1_queue_ghost(sh, i, hash);

    if (*ghost == hash) {
        *ghost = 0;
        return NGX_OPTCACHE_L1_MAIN;
    }

    return NGX_OPTCACHE_L1_SMALL;
}


void
ngx_optcache_l1_queue_hit(ngx_optcache_l1_node_t *node)
{
    if (node->freq < NGX_OPTCACHE_L1_FREQ) {
        node->freq++;
    }
}


ngx_often void
ngx_optcache_l1_queue_push(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_l1_queue_e queue)
{
    ngx_optcache_l1_fifo_t  *fifo;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);
    fifo = &sh->shards[node->shard].fifo[queue];

    node->queue = queue;
    node->newer = 0;
    node->older = fifo->newest;

    if (fifo->newest) {
        ngx_optcache_l1_node(sh, fifo->newest)->newer = cell;

    } else {
        fifo->oldest = cell;
    }

    fifo->newest = cell;
    fifo->cells += node->cells;
}


ngx_often void
ngx_optcache_l1_queue_pull(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_fifo_t  *fifo;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    if (node->queue == NGX_OPTCACHE_L1_PARKED) {
        return;
    }

    fifo = &sh->shards[node->shard].fifo[node->queue];

    if (node->newer) {
        ngx_optcache_l1_node(sh, node->newer)->older = node->older;

    } else {
        fifo->newest = node->older;
    }

    if (node->older) {
        ngx_optcache_l1_node(sh, node->older)->newer = node->newer;

    } else {
        fifo->oldest = node->newer;
    }

    fifo->cells -= node->cells;
    node->queue = NGX_OPTCACHE_L1_PARKED;
}


ngx_often ngx_uint_t
ngx_optcache_l1_queue_evict(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_next_t *next, uint64_t cells)
{
    ngx_uint_t                i, n, freed;
    ngx_optcache_l1_shard_t  *shard;

    i = next->chosen ? next->shard : ngx_optcache_l1_queue_fullest(sh);
    next->chosen = 0;

    for (n = 0; n < sh->nshards; n++) {

        shard = ngx_optcache_l1_shard_lock(sh, i);

        freed = ngx_optcache_l1_queue_evict_some(sh, i, cells);

        ngx_optcache_l1_unlock(&shard->lock);

        if (freed) {
            return freed;
        }

        i = (i + 1) & (sh->nshards - 1);
    }

    return 0;
}


/*
 * One step: from one of them to the next, and what will be met of it.  A node
 * is read here that may be somebody's body by now, so that what it says need
 * not be true, but must be a cell.
 */

void
ngx_optcache_l1_queue_expect(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_next_t *next)
{
    uint32_t                  hash;
    uint64_t                  all;
    ngx_optcache_l1_node_t   *node;

    all = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS;

    if (__atomic_load_n(&sh->free, __ATOMIC_RELAXED)
        > all / NGX_OPTCACHE_L1_ROOM)
    {
        return;
    }

    if (!next->chosen) {
        next->shard = ngx_optcache_l1_queue_fullest(sh);
        next->cell = ngx_optcache_l1_queue_oldest(&sh->shards[next->shard]);
        next->chosen = 1;

    } else if (next->cell) {
        node = ngx_optcache_l1_node(sh, next->cell);
        hash = __atomic_load_n(&node->hash, __ATOMIC_RELAXED);

        ngx_optcache_l1_shard_prefetch(sh, next->shard, hash);
        __builtin_prefetch(ngx_optcache_l1_queue_ghost(sh, next->shard, hash),
                           1);

        next->cell = __atomic_load_n(&node->newer, __ATOMIC_RELAXED);
    }

    if (next->cell >= all) {
        next->cell = 0;
    }

    if (next->cell) {
        __builtin_prefetch(ngx_optcache_l1_node(sh, next->cell), 1);
        __builtin_prefetch(&sh->pages[next->cell / NGX_OPTCACHE_L1_CELLS], 1);
    }
}


/*
 * Entries that have not been asked for are in no cache of the processor; what
 * is met of one when it leaves is asked for while others are chosen.
 */

static ngx_uint_t
ngx_optcache_l1_queue_evict_some(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint64_t cells)
{
    uint32_t                 victims[NGX_OPTCACHE_L1_VICTIMS];
    ngx_uint_t               n, k, freed;
    ngx_optcache_l1_node_t  *node;

    freed = 0;

    for (n = 0; n < NGX_OPTCACHE_L1_VICTIMS && freed < cells; n++) {

        victims[n] = ngx_optcache_l1_queue_victim(sh, i);

        if (victims[n] == 0) {
            break;
        }

        node = ngx_optcache_l1_node(sh, victims[n]);
        freed += node->cells;

        ngx_optcache_l1_shard_prefetch(sh, i, node->hash);
        ngx_optcache_l1_queue_pull(sh, victims[n]);
    }

    if (n == 0) {
        return 0;
    }

    for (k = 0; k < n; k++) {
        ngx_optcache_l1_shard_hide(sh, victims[k]);
    }

    sh->shards[i].evicted += n;

    ngx_optcache_l1_mem_lock(sh);

    for (k = 0; k < n; k++) {
        ngx_optcache_l1_mem_free_node(sh, victims[k]);
    }

    ngx_optcache_l1_unlock(&sh->lock);

    return freed;
}


/*
 * Of two shards the one with more in it, or they would drift apart; what is
 * read here without a lock may be out of date.
 */

static ngx_uint_t
ngx_optcache_l1_queue_fullest(ngx_optcache_l1_shctx_t *sh)
{
    ngx_uint_t  hand, i, k;

    hand = ngx_atomic_fetch_add(&sh->hand, 1);

    i = hand & (sh->nshards - 1);
    k = (hand * 2654435761u >> 16) & (sh->nshards - 1);

    return (sh->shards[k].entries > sh->shards[i].entries) ? k : i;
}


static uint32_t
ngx_optcache_l1_queue_victim(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i)
{
    uint32_t                  cell;
    ngx_uint_t                steps;
    ngx_optcache_l1_node_t   *node;
    ngx_optcache_l1_shard_t  *shard;

    shard = &sh->shards[i];
    steps = 0;

    for ( ;; ) {
        cell = ngx_optcache_l1_queue_oldest(shard);

        if (cell == 0) {
            return 0;
        }

        node = ngx_optcache_l1_node(sh, cell);

        if (node->refs) {
            /* is in use, and its memory too: to be seen when it is not */
            ngx_optcache_l1_queue_pull(sh, cell);
            continue;
        }

        if (steps++ < NGX_OPTCACHE_L1_STEPS
            && ngx_optcache_l1_queue_stays(sh, cell))
        {
            continue;
        }

        if (node->queue == NGX_OPTCACHE_L1_SMALL) {
            *ngx_optcache_l1_queue_ghost(sh, i, node->hash) = node->hash;
        }

        return cell;
    }
}


static uint32_t
ngx_optcache_l1_queue_oldest(ngx_optcache_l1_shard_t *shard)
{
    ngx_optcache_l1_fifo_t  *small, *main;

    small = &shard->fifo[NGX_OPTCACHE_L1_SMALL];
    main = &shard->fifo[NGX_OPTCACHE_L1_MAIN];

    if (main->oldest == 0
        || small->cells > (small->cells + main->cells) / 10)
    {
        return small->oldest;
    }

    return main->oldest;
}


/* Whether the oldest of a queue starts again, or goes on to the main one. */

static ngx_uint_t
ngx_optcache_l1_queue_stays(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_uint_t               hits, large;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    if (node->queue == NGX_OPTCACHE_L1_MAIN) {

        if (node->freq == 0) {
            return 0;
        }

        node->freq--;

    } else {

        large = (node->cells > sh->npages * NGX_OPTCACHE_L1_CELLS
                               / NGX_OPTCACHE_L1_LARGE);
        hits = large ? NGX_OPTCACHE_L1_HITS_LARGE : NGX_OPTCACHE_L1_HITS;

        if (node->freq < hits) {
            return 0;
        }

        node->freq = 0;
    }

    ngx_optcache_l1_queue_pull(sh, cell);
    ngx_optcache_l1_queue_push(sh, cell, NGX_OPTCACHE_L1_MAIN);

    return 1;
}


static uint32_t *
ngx_optcache_l1_queue_ghost(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint32_t hash)
{
    return sh->ghosts + (size_t) i * sh->nghosts
           + (((uint64_t) hash * sh->nghosts) >> 32);
}
