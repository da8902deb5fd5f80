
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_optcache_lock.h"


/* pages of data that a zone has at least */

#define NGX_OPTCACHE_L1_PAGES_MIN  4

/* bytes that are worth a lock of their own */

#define NGX_OPTCACHE_L1_SHARD      (1024 * 1024)


static ngx_int_t ngx_optcache_l1_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_optcache_l1_format(ngx_optcache_l1_t *l1);
static ngx_int_t ngx_optcache_l1_divide(ngx_optcache_l1_shctx_t *sh);
static ngx_int_t ngx_optcache_l1_init_locks(ngx_optcache_l1_shctx_t *sh);


ngx_optcache_l1_t *
ngx_optcache_l1_create(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ngx_shm_zone_t     *shm_zone;
    ngx_optcache_l1_t  *l1;

    l1 = ngx_pcalloc(cf->pool, sizeof(ngx_optcache_l1_t));
    if (l1 == NULL) {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, name, size, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "optcache_zone \"%V\" is already defined", name);
        return NULL;
    }

    l1->name = *name;

    shm_zone->init = ngx_optcache_l1_init_zone;
    shm_zone->data = l1;

    return l1;
}


static ngx_int_t
ngx_optcache_l1_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_optcache_l1_t  *l1;

    l1 = shm_zone->data;
    l1->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {

        /*
         * A reload: the zone goes on as it is.  What another version of the
         * module left in "data" is not looked at.
         */

        l1->sh = l1->shpool->data;

        if (l1->sh->magic != NGX_OPTCACHE_L1_MAGIC
            || l1->sh->version != NGX_OPTCACHE_L1_VERSION)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "optcache_zone \"%V\" was laid out by another "
                          "version of the module: restart nginx, or give the "
                          "zone another name", &l1->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

#ifdef MADV_HUGEPAGE

    /*
     * Entries lie all over a zone, so that the processor looks up more pages
     * than it remembers.  Where the host does not allow for larger ones, it
     * stays as it is.
     */

    (void) madvise(shm_zone->shm.addr, shm_zone->shm.size, MADV_HUGEPAGE);

#endif

    if (ngx_optcache_l1_format(l1) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "optcache_zone \"%V\" is too small", &l1->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Lays out an empty zone: the slab pool gives all it has, once. */

static ngx_int_t
ngx_optcache_l1_format(ngx_optcache_l1_t *l1)
{
    size_t                    size;
    ngx_optcache_locks_t     *locks;
    ngx_optcache_l1_shctx_t  *sh;

    l1->shpool->log_nomem = 0;

    locks = ngx_optcache_lock_create(l1->shpool, l1->shpool->pfree);
    if (locks == NULL) {
        return NGX_ERROR;
    }

    size = l1->shpool->pfree * ngx_pagesize;

    if (size < sizeof(ngx_optcache_l1_shctx_t)) {
        return NGX_ERROR;
    }

    sh = ngx_slab_alloc_locked(l1->shpool, size);
    if (sh == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(sh, sizeof(ngx_optcache_l1_shctx_t));

    sh->size = size;
    sh->locks = locks;

    if (ngx_optcache_l1_divide(sh) != NGX_OK
        || ngx_optcache_l1_init_locks(sh) != NGX_OK
        || RAND_bytes((u_char *) &sh->seed, sizeof(sh->seed)) != 1)
    {
        return NGX_ERROR;
    }

    ngx_optcache_l1_page_init(sh);

    sh->version = NGX_OPTCACHE_L1_VERSION;
    sh->magic = NGX_OPTCACHE_L1_MAGIC;

    l1->sh = sh;
    l1->shpool->data = sh;

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_l1_divide(ngx_optcache_l1_shctx_t *sh)
{
    size_t       fixed, page, meta;
    u_char      *p;
    ngx_uint_t   bits;

    for (sh->nshards = 1;
         sh->nshards < NGX_OPTCACHE_L1_SHARDS_MAX
         && sh->nshards * 2 <= sh->size / NGX_OPTCACHE_L1_SHARD;
         sh->nshards *= 2)
    { /* void */ }

    sh->nslots = ngx_min(sh->size / NGX_OPTCACHE_L1_PAGE,
                         NGX_OPTCACHE_L1_SLOTS_MAX);
    sh->nslots = ngx_max(sh->nslots, NGX_OPTCACHE_L1_SLOTS_MIN);

    fixed = ngx_align(sizeof(ngx_optcache_l1_shctx_t), NGX_OPTCACHE_L1_CELL)
            + sh->nslots * sizeof(ngx_optcache_l1_slot_t)
            + sh->nshards * sizeof(ngx_optcache_l1_shard_t)
            + NGX_OPTCACHE_L1_PAGE;

    meta = sizeof(ngx_optcache_l1_page_t)
           + sizeof(uint64_t)
           + (NGX_OPTCACHE_L1_BUCKETS + NGX_OPTCACHE_L1_GHOSTS)
             * sizeof(uint32_t);
    page = NGX_OPTCACHE_L1_PAGE + meta;

    if (sh->size < fixed + NGX_OPTCACHE_L1_PAGES_MIN * page
        || (sh->size - fixed) / page
           > NGX_MAX_UINT32_VALUE / NGX_OPTCACHE_L1_CELLS)
    {
        return NGX_ERROR;
    }

    sh->npages = (sh->size - fixed) / page;
    sh->nbuckets = sh->npages * NGX_OPTCACHE_L1_BUCKETS / sh->nshards;
    sh->nghosts = sh->npages * NGX_OPTCACHE_L1_GHOSTS / sh->nshards;
    sh->nuses = sh->npages / NGX_OPTCACHE_L1_WAYS * NGX_OPTCACHE_L1_WAYS;

    /* the largest zones have no bit to spare */

    bits = 32 - __builtin_clz(sh->npages * NGX_OPTCACHE_L1_CELLS - 1);

    sh->link_cell = ~(uint32_t) 0 >> (32 - bits);
    sh->link_more = sh->link_cell + 1;
    sh->link_tag = sh->link_more ? ~(sh->link_cell | sh->link_more) : 0;
    sh->link_shift = bits + 1;

    p = (u_char *) sh;
    p += ngx_align(sizeof(ngx_optcache_l1_shctx_t), NGX_OPTCACHE_L1_CELL);

    sh->shards = (ngx_optcache_l1_shard_t *) p;
    p += sh->nshards * sizeof(ngx_optcache_l1_shard_t);

    sh->slots = (ngx_optcache_l1_slot_t *) p;
    p += sh->nslots * sizeof(ngx_optcache_l1_slot_t);

    sh->pages = (ngx_optcache_l1_page_t *) p;
    p += sh->npages * sizeof(ngx_optcache_l1_page_t);

    sh->uses = (uint64_t *) p;
    p += sh->nuses * sizeof(uint64_t);

    sh->buckets = (uint32_t *) p;
    p += (size_t) sh->nshards * sh->nbuckets * sizeof(uint32_t);

    sh->ghosts = (uint32_t *) p;
    p += (size_t) sh->nshards * sh->nghosts * sizeof(uint32_t);

    ngx_memzero(sh->shards, p - (u_char *) sh->shards);

    sh->data = ngx_align_ptr(p, NGX_OPTCACHE_L1_PAGE);

    return NGX_OK;
}


/* The memory may have been used before: nothing in it is believed. */

static ngx_int_t
ngx_optcache_l1_init_locks(ngx_optcache_l1_shctx_t *sh)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    pthread_mutexattr_t  attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) != 0
        || pthread_mutex_init(&sh->lock, &attr) != 0)
    {
        goto done;
    }

    for (i = 0; i < sh->nshards; i++) {
        if (pthread_mutex_init(&sh->shards[i].lock, &attr) != 0) {
            goto done;
        }
    }

    for (i = 0; i < sh->nslots; i++) {
        if (pthread_mutex_init(&sh->slots[i].lock, &attr) != 0) {
            goto done;
        }
    }

    rc = NGX_OK;

done:

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}
