
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


/* cells of what may have been found that are asked for at once */

#define NGX_OPTCACHE_L1_PREFETCH_FOUND  5


static ngx_rare void ngx_optcache_l1_shard_rebuild(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i);
static void ngx_optcache_l1_shard_count(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, ngx_optcache_l1_ref_t pins);
static void ngx_optcache_l1_shard_each(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, void (*handler)(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell));
static void ngx_optcache_l1_shard_unread(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static void ngx_optcache_l1_shard_relink(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static ngx_uint_t ngx_optcache_l1_shard_equal(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_str_t *key);
static ngx_uint_t ngx_optcache_l1_shard_lent(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node);
static uint32_t *ngx_optcache_l1_shard_bucket(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i, uint32_t hash);


ngx_optcache_l1_shard_t *
ngx_optcache_l1_shard_lock(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i)
{
    ngx_optcache_l1_shard_t  *shard;

    shard = &sh->shards[i];

    if (ngx_optcache_l1_lock(&shard->lock) == NGX_ABORT) {
        ngx_optcache_l1_shard_rebuild(sh, i);
        (void) pthread_mutex_consistent(&shard->lock);
    }

    return shard;
}


/*
 * A shard after a holder of its lock died: the nodes tell what it holds, and
 * the pins who reads it.  Only the order within the queues is lost.
 */

static void
ngx_optcache_l1_shard_rebuild(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i)
{
    ngx_uint_t                n;
    ngx_optcache_l1_shard_t  *shard;

    shard = &sh->shards[i];

    /* who sees a bucket that is empty from now on sees this, too */

    shard->rebuilding = 1;
    ngx_memory_barrier();

    ngx_optcache_l1_mem_lock(sh);

    ngx_memzero(shard->fifo, sizeof(shard->fifo));
    ngx_memzero(ngx_optcache_l1_shard_bucket(sh, i, 0),
                sh->nbuckets * sizeof(uint32_t));

    shard->entries = 0;
    shard->pinned = 0;

    ngx_optcache_l1_shard_each(sh, i, ngx_optcache_l1_shard_unread);

    for (n = 0; n < sh->nslots; n++) {
        ngx_optcache_l1_shard_count(sh, i, sh->slots[n].pins);
    }

    ngx_optcache_l1_shard_each(sh, i, ngx_optcache_l1_shard_relink);

    shard->rebuilt++;

    __atomic_store_n(&shard->linked, shard->linked + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&shard->rebuilding, 0, __ATOMIC_RELEASE);

    ngx_optcache_l1_unlock(&sh->lock);
}


static void
ngx_optcache_l1_shard_count(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    ngx_optcache_l1_ref_t pins)
{
    size_t                   size;
    uint32_t                 cell;
    ngx_optcache_l1_pin_t   *pin, *last;
    ngx_optcache_l1_node_t  *node;

    while (pins) {
        pin = (ngx_optcache_l1_pin_t *)
                  ngx_optcache_l1_piece(sh, &pins, &size);
        last = pin + size / sizeof(ngx_optcache_l1_pin_t);

        for ( /* void */ ; pin < last; pin++) {
            cell = ngx_optcache_l1_pinned(ngx_optcache_l1_get(pin));

            if (cell == 0) {
                continue;
            }

            node = ngx_optcache_l1_node(sh, cell);

            if (node->shard != i) {
                continue;
            }

            if (node->refs++ == 0) {
                sh->shards[i].pinned += node->cells;
            }
        }
    }
}


/* Entries of a shard, found or not; those being built are of none yet. */

static void
ngx_optcache_l1_shard_each(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    void (*handler)(ngx_optcache_l1_shctx_t *sh, uint32_t cell))
{
    uint32_t                 cell;
    uint64_t                 starts;
    ngx_uint_t               n;
    ngx_optcache_l1_node_t  *node;

    for (n = 0; n < sh->npages; n++) {

        for (starts = sh->pages[n].starts; starts; starts &= starts - 1) {
            cell = n * NGX_OPTCACHE_L1_CELLS + __builtin_ctzll(starts);
            node = ngx_optcache_l1_node(sh, cell);

            if (__atomic_load_n(&node->state, __ATOMIC_ACQUIRE)
                != NGX_OPTCACHE_L1_BUILDING
                && node->shard == i)
            {
                handler(sh, cell);
            }
        }
    }
}


static void
ngx_optcache_l1_shard_unread(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_node(sh, cell)->refs = 0;
}


static void
ngx_optcache_l1_shard_relink(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    uint32_t                *bucket;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    if (node->state == NGX_OPTCACHE_L1_DEAD) {

        if (node->refs == 0) {
            ngx_optcache_l1_mem_free_node(sh, cell);
        }

        return;
    }

    bucket = ngx_optcache_l1_shard_bucket(sh, node->shard, node->hash);

    node->next = *bucket;
    *bucket = ngx_optcache_l1_link_make(sh, cell, node->hash, node->next);

    if (node->refs) {
        node->queue = NGX_OPTCACHE_L1_PARKED;

    } else {
        ngx_optcache_l1_queue_push(sh, cell,
                                   node->queue ? node->queue
                                               : NGX_OPTCACHE_L1_MAIN);
    }

    sh->shards[node->shard].entries++;
}


void
ngx_optcache_l1_shard_prefetch(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint64_t hash)
{
    __builtin_prefetch(ngx_optcache_l1_shard_bucket(sh, i, (uint32_t) hash));
}


ngx_uint_t
ngx_optcache_l1_shard_none(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint64_t hash)
{
    uint32_t     link, cell;
    ngx_uint_t   n;

    link = __atomic_load_n(ngx_optcache_l1_shard_bucket(sh, i,
                                                        (uint32_t) hash),
                           __ATOMIC_ACQUIRE);

    if (ngx_optcache_l1_link_none(sh, link, hash)) {
        /* who takes the lock goes on where the one who rebuilt it was killed */
        return !__atomic_load_n(&sh->shards[i].rebuilding, __ATOMIC_ACQUIRE);
    }

    cell = link & sh->link_cell;

    /* what a search ends with, the identity, and a head that is not long */

    for (n = 0; n < NGX_OPTCACHE_L1_PREFETCH_FOUND; n++) {
        __builtin_prefetch(ngx_optcache_l1_cell(sh, cell + n));
    }

    return 0;
}


ngx_often uint32_t
ngx_optcache_l1_shard_find(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    ngx_str_t *key, uint64_t hash)
{
    uint32_t                 link, cell;
    ngx_optcache_l1_node_t  *node;

    link = *ngx_optcache_l1_shard_bucket(sh, i, (uint32_t) hash);

    while (!ngx_optcache_l1_link_none(sh, link, hash)) {
        cell = link & sh->link_cell;
        node = ngx_optcache_l1_node(sh, cell);

        if (node->hash == (uint32_t) hash
            && node->key_len == key->len
            && ngx_optcache_l1_shard_equal(sh, node, key))
        {
            return cell;
        }

        link = node->next;
    }

    return 0;
}


static ngx_uint_t
ngx_optcache_l1_shard_equal(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_str_t *key)
{
    size_t                  size, left;
    u_char                 *p, *data;
    ngx_optcache_l1_ref_t   ref;

    ref = node->more;
    p = ngx_optcache_l1_first(node, &size);

    data = key->data;
    left = key->len;

    for ( ;; ) {
        size = ngx_min(size, left);

        if (ngx_memcmp(p, data, size) != 0) {
            return 0;
        }

        data += size;
        left -= size;

        if (left == 0) {
            return 1;
        }

        p = ngx_optcache_l1_piece(sh, &ref, &size);
    }
}


void
ngx_optcache_l1_shard_link(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    uint32_t old)
{
    uint32_t                 *bucket;
    ngx_optcache_l1_node_t   *node, *last;
    ngx_optcache_l1_queue_e   queue;
    ngx_optcache_l1_shard_t  *shard;

    node = ngx_optcache_l1_node(sh, cell);
    queue = ngx_optcache_l1_queue_first(sh, node->shard, node->hash);

    if (old) {
        /* asked for as much as the one it replaces */

        last = ngx_optcache_l1_node(sh, old);
        node->freq = last->freq;

        if (last->queue != NGX_OPTCACHE_L1_SMALL) {
            queue = NGX_OPTCACHE_L1_MAIN;
        }

        /* a worker that is killed leaves one of them, not both */

        last->state = NGX_OPTCACHE_L1_DEAD;
    }

    ngx_optcache_l1_fence();
    __atomic_store_n(&node->state, NGX_OPTCACHE_L1_LIVE, __ATOMIC_RELEASE);
    ngx_optcache_l1_fence();

    bucket = ngx_optcache_l1_shard_bucket(sh, node->shard, node->hash);

    node->next = *bucket;
    __atomic_store_n(bucket, ngx_optcache_l1_link_make(sh, cell, node->hash,
                                                       node->next),
                     __ATOMIC_RELEASE);

    if (old) {
        /* not before: who takes no lock always finds one of them */
        ngx_optcache_l1_shard_unlink(sh, old);
    }

    ngx_optcache_l1_queue_push(sh, cell, queue);

    shard = &sh->shards[node->shard];

    shard->entries++;

    /* who reads it without the lock has seen the bucket as it was before */

    __atomic_store_n(&shard->linked, shard->linked + 1, __ATOMIC_RELEASE);
}


void
ngx_optcache_l1_shard_unlink(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_shard_hide(sh, cell);

    if (ngx_optcache_l1_node(sh, cell)->refs == 0) {
        ngx_optcache_l1_mem_lock(sh);
        ngx_optcache_l1_mem_free_node(sh, cell);
        ngx_optcache_l1_unlock(&sh->lock);
    }
}


ngx_often void
ngx_optcache_l1_shard_hide(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    uint32_t                *p;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    node->state = NGX_OPTCACHE_L1_DEAD;
    ngx_optcache_l1_fence();

    p = ngx_optcache_l1_shard_bucket(sh, node->shard, node->hash);

    while ((*p & sh->link_cell) != cell) {
        p = &ngx_optcache_l1_node(sh, *p & sh->link_cell)->next;
    }

    ngx_optcache_l1_set(p, node->next);

    ngx_optcache_l1_queue_pull(sh, cell);

    sh->shards[node->shard].entries--;
}


ngx_int_t
ngx_optcache_l1_shard_pin(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_l1_pin_t *pin)
{
    ngx_int_t                rc;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    ngx_optcache_l1_queue_hit(node);

    rc = NGX_OK;

    if (node->refs == 0) {

        if (ngx_rarely(ngx_optcache_l1_shard_lent(sh, node))) {

            if (node->cells > NGX_OPTCACHE_L1_COPIED) {
                return NGX_BUSY;
            }

            rc = NGX_AGAIN;
        }

        sh->shards[node->shard].pinned += node->cells;
    }

    ngx_optcache_l1_set(pin, cell);
    ngx_optcache_l1_fence();

    node->refs++;

    return rc;
}


/*
 * Whether so much of a zone is pinned that it is not to be more: what clients
 * do not read is never to be all of it.  As long as a shard has little of that,
 * there is no need to look at the others, whose numbers may be out of date.
 */

static ngx_uint_t
ngx_optcache_l1_shard_lent(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node)
{
    uint64_t    most, pinned;
    ngx_uint_t  i;

    most = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS;
    most -= most / NGX_OPTCACHE_L1_KEPT;

    pinned = sh->shards[node->shard].pinned + node->cells;

    if (pinned * sh->nshards <= most / NGX_OPTCACHE_L1_KEPT) {
        return 0;
    }

    pinned = 0;

    for (i = 0; i < sh->nshards; i++) {
        pinned += __atomic_load_n(&sh->shards[i].pinned, __ATOMIC_RELAXED);
    }

    /* one there is room for, however large */

    return pinned && pinned + node->cells > most;
}


ngx_often void
ngx_optcache_l1_shard_unpin(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_l1_pin_t *pin)
{
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    node->refs--;
    ngx_optcache_l1_set(pin, 0);

    ngx_optcache_l1_fence();

    if (node->refs) {
        return;
    }

    sh->shards[node->shard].pinned -= node->cells;

    if (node->state == NGX_OPTCACHE_L1_DEAD) {
        ngx_optcache_l1_mem_lock(sh);
        ngx_optcache_l1_mem_free_node(sh, cell);
        ngx_optcache_l1_unlock(&sh->lock);

    } else if (node->queue == NGX_OPTCACHE_L1_PARKED) {
        ngx_optcache_l1_queue_push(sh, cell, NGX_OPTCACHE_L1_MAIN);
    }
}


static uint32_t *
ngx_optcache_l1_shard_bucket(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    uint32_t hash)
{
    return sh->buckets + (size_t) i * sh->nbuckets
           + (((uint64_t) hash * sh->nbuckets) >> 32);
}
