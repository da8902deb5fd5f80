
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_metrics.h"


#define NGX_METRICS_MAGIC    0x6f63636e /* "occn" */
#define NGX_METRICS_VERSION  1

/* of a zone; what no worker has written to is not there */
#define NGX_METRICS_SIZE     (16 * 1024 * 1024)


struct ngx_metrics_shared_s {
    ngx_metrics_shared_t  *next;
    ngx_uint_t             n;
    size_t                 stride;   /* bytes from slot to slot */
    ngx_uint_t             touched;  /* slots that somebody has had */
    size_t                 len;
    u_char                 name[NGX_METRICS_NAME];
    u_char                *slots;
};


struct ngx_metrics_shctx_s {
    uint32_t               magic;
    uint32_t               version;
    ngx_metrics_shared_t  *blocks;
    ngx_pid_t              pids[NGX_METRICS_SLOTS];  /* 0: nobody's */
};


static ngx_int_t ngx_metrics_name(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static ngx_int_t ngx_metrics_init_zone(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_metrics_init_shctx(ngx_metrics_t *metrics,
    ngx_shm_zone_t *shm_zone);
static ngx_metrics_shared_t *ngx_metrics_find(ngx_metrics_t *metrics,
    ngx_metrics_block_t *block);
static ngx_metrics_shared_t *ngx_metrics_share(ngx_metrics_t *metrics,
    ngx_metrics_block_t *block);
static ngx_int_t ngx_metrics_slot(ngx_metrics_shctx_t *sh);
static void ngx_metrics_attach(ngx_metrics_block_t *block, ngx_uint_t slot);


ngx_metrics_t *
ngx_metrics_create(ngx_conf_t *cf, ngx_str_t *name, void *tag)
{
    ngx_metrics_t   *metrics;
    ngx_shm_zone_t  *shm_zone;

    metrics = ngx_pcalloc(cf->pool, sizeof(ngx_metrics_t));
    if (metrics == NULL) {
        return NULL;
    }

    if (ngx_array_init(&metrics->blocks, cf->pool, 4,
                       sizeof(ngx_metrics_block_t *))
        != NGX_OK)
    {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, name, NGX_METRICS_SIZE, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_metrics_init_zone;
    shm_zone->data = metrics;

    metrics->slot = -1;

    return metrics;
}


ngx_metrics_block_t *
ngx_metrics_add(ngx_conf_t *cf, ngx_metrics_t *metrics, ngx_str_t *name,
    ngx_uint_t n)
{
    ngx_metrics_block_t  *block, **last;

    block = ngx_pcalloc(cf->pool, sizeof(ngx_metrics_block_t));
    if (block == NULL) {
        return NULL;
    }

    block->n = ngx_min(n, NGX_METRICS_MAX);

    if (ngx_metrics_name(cf, &block->name, name) != NGX_OK) {
        return NULL;
    }

    block->own = ngx_pcalloc(cf->pool, block->n * sizeof(uint64_t));
    if (block->own == NULL) {
        return NULL;
    }

    last = ngx_array_push(&metrics->blocks);
    if (last == NULL) {
        return NULL;
    }

    *last = block;

    return block;
}


/* Two that are too long, and begin alike, are two names. */

static ngx_int_t
ngx_metrics_name(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    size_t  len;

    if (text->len <= NGX_METRICS_NAME) {
        *name = *text;
        return NGX_OK;
    }

    name->len = NGX_METRICS_NAME;
    name->data = ngx_pnalloc(cf->pool, NGX_METRICS_NAME);

    if (name->data == NULL) {
        return NGX_ERROR;
    }

    len = NGX_METRICS_NAME - (sizeof("00000000") - 1);

    ngx_memcpy(name->data, text->data, len);

    (void) ngx_sprintf(name->data + len, "%08xD",
                       ngx_crc32_long(text->data, text->len));

    return NGX_OK;
}


static ngx_int_t
ngx_metrics_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_uint_t             i;
    ngx_metrics_t         *metrics;
    ngx_metrics_block_t  **blocks;

    metrics = shm_zone->data;
    metrics->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ngx_metrics_init_shctx(metrics, shm_zone) != NGX_OK) {
        return NGX_ERROR;
    }

    blocks = metrics->blocks.elts;

    for (i = 0; i < metrics->blocks.nelts; i++) {

        blocks[i]->shared = ngx_metrics_find(metrics, blocks[i]);

        if (blocks[i]->shared == NULL) {
            blocks[i]->shared = ngx_metrics_share(metrics, blocks[i]);
        }

        if (blocks[i]->shared == NULL) {
            ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                          "no room to count \"%V\" in \"%V\"",
                          &blocks[i]->name, &shm_zone->shm.name);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_metrics_init_shctx(ngx_metrics_t *metrics, ngx_shm_zone_t *shm_zone)
{
    ngx_slab_pool_t  *shpool;

    shpool = metrics->shpool;

    if (shpool->data == NULL) {
        shpool->data = ngx_slab_calloc(shpool, sizeof(ngx_metrics_shctx_t));
        if (shpool->data == NULL) {
            return NGX_ERROR;
        }

        /* it is told above, once */
        shpool->log_nomem = 0;

        metrics->sh = shpool->data;
        metrics->sh->magic = NGX_METRICS_MAGIC;
        metrics->sh->version = NGX_METRICS_VERSION;

        return NGX_OK;
    }

    metrics->sh = shpool->data;

    if (metrics->sh->magic == NGX_METRICS_MAGIC
        && metrics->sh->version == NGX_METRICS_VERSION)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                  "the zone \"%V\" was laid out by another version of the "
                  "module, nginx must be restarted", &shm_zone->shm.name);

    return NGX_ERROR;
}


static ngx_metrics_shared_t *
ngx_metrics_find(ngx_metrics_t *metrics, ngx_metrics_block_t *block)
{
    ngx_metrics_shared_t  *shared;

    for (shared = metrics->sh->blocks; shared; shared = shared->next) {

        if (shared->n == block->n
            && shared->len == block->name.len
            && ngx_memcmp(shared->name, block->name.data, shared->len) == 0)
        {
            return shared;
        }
    }

    return NULL;
}


/*
 * Slots are not zeroed here: who is the first in one does.  Nobody but the
 * master allocates of this pool, and it does so without the mutex: while it
 * reads a configuration it does not hear that a worker died who had it.
 */

static ngx_metrics_shared_t *
ngx_metrics_share(ngx_metrics_t *metrics, ngx_metrics_block_t *block)
{
    ngx_slab_pool_t       *shpool;
    ngx_metrics_shared_t  *shared;

    shpool = metrics->shpool;

    shared = ngx_slab_calloc_locked(shpool, sizeof(ngx_metrics_shared_t));
    if (shared == NULL) {
        return NULL;
    }

    shared->n = block->n;
    shared->stride = ngx_align(block->n * sizeof(uint64_t),
                               NGX_CPU_CACHE_LINE);

    shared->slots = ngx_slab_alloc_locked(shpool, shared->stride
                                                  * NGX_METRICS_SLOTS);
    if (shared->slots == NULL) {
        ngx_slab_free_locked(shpool, shared);
        return NULL;
    }

    shared->len = block->name.len;
    ngx_memcpy(shared->name, block->name.data, shared->len);

    shared->next = metrics->sh->blocks;
    metrics->sh->blocks = shared;

    return shared;
}


void
ngx_metrics_start(ngx_metrics_t *metrics, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_metrics_block_t  **blocks;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    metrics->slot = ngx_metrics_slot(metrics->sh);

    if (metrics->slot != -1) {
        blocks = metrics->blocks.elts;

        for (i = 0; i < metrics->blocks.nelts; i++) {
            if (blocks[i]->shared) {
                ngx_metrics_attach(blocks[i], metrics->slot);
            }
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    if (metrics->slot == -1) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "more than %d workers, what this one does is not "
                      "counted", NGX_METRICS_SLOTS);
    }
}


/* a slot of nobody, or of somebody who is dead; -1 if there is none */

static ngx_int_t
ngx_metrics_slot(ngx_metrics_shctx_t *sh)
{
    ngx_int_t  i;

    for (i = 0; i < NGX_METRICS_SLOTS; i++) {

        if (sh->pids[i] == 0
            || sh->pids[i] == ngx_pid
            || (kill(sh->pids[i], 0) == -1 && ngx_errno == ESRCH))
        {
            sh->pids[i] = ngx_pid;
            return i;
        }
    }

    return -1;
}


static void
ngx_metrics_attach(ngx_metrics_block_t *block, ngx_uint_t slot)
{
    ngx_metrics_shared_t  *shared;

    shared = block->shared;

    while (shared->touched <= slot) {
        ngx_memzero(shared->slots + shared->touched * shared->stride,
                    shared->stride);

        /* who sums, without the mutex, finds it zeroed */

        __atomic_store_n(&shared->touched, shared->touched + 1,
                         __ATOMIC_RELEASE);
    }

    block->own = (uint64_t *) (void *) (shared->slots + slot * shared->stride);
}


void
ngx_metrics_stop(ngx_metrics_t *metrics)
{
    if (metrics->slot == -1) {
        return;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    metrics->sh->pids[metrics->slot] = 0;

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


uint64_t
ngx_metrics_sum(ngx_metrics_block_t *block, ngx_uint_t i)
{
    uint64_t               sum, *counters;
    ngx_uint_t             slot, touched;
    ngx_metrics_shared_t  *shared;

    shared = block->shared;

    if (shared == NULL || i >= block->n) {
        return 0;
    }

    sum = 0;

    touched = __atomic_load_n(&shared->touched, __ATOMIC_ACQUIRE);

    for (slot = 0; slot < touched; slot++) {
        counters = (uint64_t *) (void *)
                       (shared->slots + slot * shared->stride);
        sum += counters[i];
    }

    return sum;
}
