
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


static void ngx_optcache_l1_stats_oldest(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_fifo_t *fifo, ngx_optcache_l1_stats_t *stats);


void
ngx_optcache_l1_stats(ngx_optcache_l1_t *l1, ngx_optcache_l1_stats_t *stats)
{
    uint64_t                  cells, free;
    ngx_uint_t                i;
    ngx_optcache_l1_shard_t  *shard;
    ngx_optcache_l1_shctx_t  *sh;

    sh = l1->sh;

    ngx_memzero(stats, sizeof(ngx_optcache_l1_stats_t));

    for (i = 0; i < sh->nshards; i++) {

        shard = ngx_optcache_l1_shard_lock(sh, i);

        stats->entries += shard->entries;
        stats->evicted += shard->evicted;

        ngx_optcache_l1_stats_oldest(sh, &shard->fifo[NGX_OPTCACHE_L1_SMALL],
                                     stats);
        ngx_optcache_l1_stats_oldest(sh, &shard->fifo[NGX_OPTCACHE_L1_MAIN],
                                     stats);

        ngx_optcache_l1_unlock(&shard->lock);
    }

    ngx_optcache_l1_mem_lock(sh);

    free = sh->free;

    ngx_optcache_l1_unlock(&sh->lock);

    cells = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS;

    stats->size = l1->shpool->end - (u_char *) l1->shpool;
    stats->free = free * NGX_OPTCACHE_L1_CELL;
    stats->used = (cells - free) * NGX_OPTCACHE_L1_CELL;
}


/* Under the lock of the shard.  Entries are queued in the order they came. */

static void
ngx_optcache_l1_stats_oldest(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_fifo_t *fifo, ngx_optcache_l1_stats_t *stats)
{
    time_t  date;

    if (fifo->oldest == 0) {
        return;
    }

    date = (time_t) ngx_optcache_l1_node(sh, fifo->oldest)->date;

    if (stats->oldest == 0 || date < stats->oldest) {
        stats->oldest = date;
    }
}
