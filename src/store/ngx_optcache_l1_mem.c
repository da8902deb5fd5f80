
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


/* cells of a node without what follows it */

#define NGX_OPTCACHE_L1_NODE                                                  \
    ((sizeof(ngx_optcache_l1_node_t) + NGX_OPTCACHE_L1_CELL - 1)              \
     / NGX_OPTCACHE_L1_CELL)


static void ngx_optcache_l1_mem_rebuild(ngx_optcache_l1_shctx_t *sh);
static ngx_uint_t ngx_optcache_l1_mem_owned(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static void ngx_optcache_l1_mem_mark(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref);
static void ngx_optcache_l1_mem_mark_node(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static size_t ngx_optcache_l1_mem_size(ngx_optcache_entry_t *e);
static uint32_t ngx_optcache_l1_mem_run(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, ngx_optcache_entry_t *e, uint64_t cells);
static uint32_t ngx_optcache_l1_mem_pieces(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, ngx_optcache_entry_t *e, ngx_uint_t any,
    ngx_uint_t *lacking);
static uint32_t ngx_optcache_l1_mem_node(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, size_t *size, ngx_uint_t any);
static ngx_often ngx_optcache_l1_node_t *ngx_optcache_l1_mem_begin(
    ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner, uint32_t cell,
    ngx_uint_t n);


ngx_int_t
ngx_optcache_l1_lock(pthread_mutex_t *lock)
{
    switch (pthread_mutex_lock(lock)) {

    case EOWNERDEAD:
        return NGX_ABORT;

    default:
        return NGX_OK;
    }
}


void
ngx_optcache_l1_unlock(pthread_mutex_t *lock)
{
    (void) pthread_mutex_unlock(lock);
}


void
ngx_optcache_l1_mem_lock(ngx_optcache_l1_shctx_t *sh)
{
    if (ngx_optcache_l1_lock(&sh->lock) == NGX_ABORT) {
        ngx_optcache_l1_mem_rebuild(sh);
        (void) pthread_mutex_consistent(&sh->lock);
    }
}


/*
 * The maps and lists after a holder of the lock died: what can be reached is
 * in use, all else is free.
 */

static void
ngx_optcache_l1_mem_rebuild(ngx_optcache_l1_shctx_t *sh)
{
    uint32_t     cell;
    uint64_t     starts;
    ngx_uint_t   i;

    for (i = 0; i < sh->npages; i++) {
        sh->pages[i].used = (i == 0);
        sh->pages[i].run = 0;
    }

    ngx_memzero(sh->lists, sizeof(sh->lists));
    sh->runs = 0;

    for (i = 0; i < sh->npages; i++) {

        for (starts = sh->pages[i].starts; starts; starts &= starts - 1) {
            cell = i * NGX_OPTCACHE_L1_CELLS + __builtin_ctzll(starts);

            if (ngx_optcache_l1_mem_owned(sh, cell)) {
                ngx_optcache_l1_mem_mark_node(sh, cell);

            } else {
                sh->pages[i].starts &= ~(starts & -starts);
            }
        }
    }

    for (i = 0; i < sh->nslots; i++) {
        ngx_optcache_l1_mem_mark(sh, sh->slots[i].pins);
    }

    sh->free = 0;

    for (i = sh->npages; i-- > 0; /* void */ ) {
        sh->free += NGX_OPTCACHE_L1_CELLS
                    - __builtin_popcountll(sh->pages[i].used);
        ngx_optcache_l1_page_list(sh, i);
    }

    sh->rebuilt++;
}


static ngx_uint_t
ngx_optcache_l1_mem_owned(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    switch (node->state) {

    case NGX_OPTCACHE_L1_BUILDING:
        if (node->owner < sh->nslots
            && __atomic_load_n(&sh->slots[node->owner].building,
                               __ATOMIC_ACQUIRE) == cell)
        {
            return 1;
        }

        /* it may have been linked meanwhile, without a lock of the memory */

        return __atomic_load_n(&node->state, __ATOMIC_ACQUIRE)
               != NGX_OPTCACHE_L1_BUILDING;

    case NGX_OPTCACHE_L1_LIVE:
    case NGX_OPTCACHE_L1_DEAD:
        return 1;

    default: /* NGX_OPTCACHE_L1_FREE */
        return 0;
    }
}


static void
ngx_optcache_l1_mem_mark(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref)
{
    size_t  size;

    while (ref) {
        ngx_optcache_l1_page_map(sh, ref, 1);
        (void) ngx_optcache_l1_piece(sh, &ref, &size);
    }
}


static void
ngx_optcache_l1_mem_mark_node(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    ngx_optcache_l1_mem_mark(sh, ngx_optcache_l1_ref(cell, node->n, 1));
    ngx_optcache_l1_mem_mark(sh, node->body);
    ngx_optcache_l1_mem_mark(sh, node->gzip);
}


/* Bytes of a node and what follows it. */

static size_t
ngx_optcache_l1_mem_size(ngx_optcache_entry_t *e)
{
    return sizeof(ngx_optcache_l1_node_t) + e->key.len
           + e->ntags * sizeof(uint64_t) + e->head.len;
}


ngx_often uint64_t
ngx_optcache_l1_mem_needs(ngx_optcache_entry_t *e)
{
    return ngx_optcache_l1_page_cells(ngx_optcache_l1_mem_size(e))
           + ngx_optcache_l1_page_cells(e->body_len)
           + ngx_optcache_l1_page_cells(e->gzip_len);
}


ngx_often void
ngx_optcache_l1_mem_free_node(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_uint_t               changed;
    ngx_optcache_l1_page_t  *page;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    node->state = NGX_OPTCACHE_L1_FREE;
    ngx_optcache_l1_fence();

    page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];
    page->starts &= ~((uint64_t) 1 << cell % NGX_OPTCACHE_L1_CELLS);

    changed = 0;

    ngx_optcache_l1_page_free(sh, node->body, &changed);
    ngx_optcache_l1_page_free(sh, node->gzip, &changed);
    ngx_optcache_l1_page_free(sh, ngx_optcache_l1_ref(cell, node->n, 1),
                              &changed);
    ngx_optcache_l1_page_free_done(sh, changed);
}


uint32_t
ngx_optcache_l1_mem_build(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    ngx_optcache_entry_t *e, ngx_uint_t any, ngx_uint_t *lacking)
{
    uint32_t  cell;
    uint64_t  n, free;

    n = ngx_optcache_l1_mem_needs(e);

    /*
     * Read without the lock, it may be out of date, or what a worker left that
     * died; with "any" the lock is taken, and makes it sound.  Once: were it
     * read again, and had grown, there would be no end of what is lacking.
     */

    free = __atomic_load_n(&sh->free, __ATOMIC_RELAXED);

    if (!any && free < n) {
        *lacking = n - free;
        return 0;
    }

    ngx_optcache_l1_mem_lock(sh);

    cell = ngx_optcache_l1_mem_run(sh, owner, e, n);

    if (cell == 0) {
        cell = ngx_optcache_l1_mem_pieces(sh, owner, e, any, lacking);
    }

    ngx_optcache_l1_unlock(&sh->lock);

    return cell;
}


/* All chains side by side, as they mostly fit: they will be freed so, too. */

static uint32_t
ngx_optcache_l1_mem_run(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    ngx_optcache_entry_t *e, uint64_t cells)
{
    uint32_t                 cell, at;
    ngx_uint_t               n;
    ngx_optcache_l1_node_t  *node;

    if (cells > NGX_OPTCACHE_L1_CELLS) {
        return 0;
    }

    cell = ngx_optcache_l1_page_take_run(sh, cells);

    if (cell == 0) {
        return 0;
    }

    n = ngx_optcache_l1_page_cells(ngx_optcache_l1_mem_size(e));

    node = ngx_optcache_l1_mem_begin(sh, owner, cell, n);
    node->cells = cells;

    at = cell + n;

    if (e->body_len) {
        n = ngx_optcache_l1_page_cells(e->body_len);
        ngx_optcache_l1_set(&node->body, ngx_optcache_l1_ref(at, n, 0));
        at += n;
    }

    if (e->gzip_len) {
        n = ngx_optcache_l1_page_cells(e->gzip_len);
        ngx_optcache_l1_set(&node->gzip, ngx_optcache_l1_ref(at, n, 0));
    }

    return cell;
}


static uint32_t
ngx_optcache_l1_mem_pieces(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    ngx_optcache_entry_t *e, ngx_uint_t any, ngx_uint_t *lacking)
{
    size_t                   size, body, gzip;
    uint32_t                 cell;
    uint64_t                 free;
    ngx_optcache_l1_node_t  *node;

    size = ngx_optcache_l1_mem_size(e);
    body = e->body_len;
    gzip = e->gzip_len;

    free = sh->free;

    cell = ngx_optcache_l1_mem_node(sh, owner, &size, any);

    if (cell) {
        node = ngx_optcache_l1_node(sh, cell);

        if (ngx_optcache_l1_page_alloc(sh, &node->more, &size, any) != NGX_OK
            || ngx_optcache_l1_page_alloc(sh, &node->body, &body, any)
               != NGX_OK
            || ngx_optcache_l1_page_alloc(sh, &node->gzip, &gzip, any)
               != NGX_OK)
        {
            ngx_optcache_l1_mem_free_node(sh, cell);
            sh->slots[owner].building = 0;
            cell = 0;

        } else {
            node->cells = free - sh->free;
        }
    }

    /* what had no room, as there were more pieces than there might be */

    *lacking = 1 + ngx_optcache_l1_page_cells(size)
               + ngx_optcache_l1_page_cells(body)
               + ngx_optcache_l1_page_cells(gzip);

    return cell;
}


/* The first piece of a node; *size is what it has no room for. */

static uint32_t
ngx_optcache_l1_mem_node(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    size_t *size, ngx_uint_t any)
{
    size_t                 room;
    uint32_t               cell;
    ngx_uint_t             least, n;
    ngx_optcache_l1_ref_t  ref;

    least = ngx_optcache_l1_page_least(sh, *size, any);
    room = ngx_min(*size, NGX_OPTCACHE_L1_PAGE);

    ref = ngx_optcache_l1_page_take(sh, room,
                                   ngx_max(least, NGX_OPTCACHE_L1_NODE));
    if (ref == 0) {
        return 0;
    }

    cell = ngx_optcache_l1_ref_cell(ref);
    n = ngx_optcache_l1_ref_n(ref);

    (void) ngx_optcache_l1_mem_begin(sh, owner, cell, n);

    *size -= ngx_min(*size, n * NGX_OPTCACHE_L1_CELL);

    return cell;
}


/* A node that is built in "n" cells, and will be freed if its worker dies. */

static ngx_optcache_l1_node_t *
ngx_optcache_l1_mem_begin(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    uint32_t cell, ngx_uint_t n)
{
    ngx_optcache_l1_page_t  *page;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    ngx_memzero(node, sizeof(ngx_optcache_l1_node_t));

    node->state = NGX_OPTCACHE_L1_BUILDING;
    node->owner = owner;
    node->n = n;

    ngx_optcache_l1_fence();
    sh->slots[owner].building = cell;
    ngx_optcache_l1_fence();

    page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];
    page->starts |= (uint64_t) 1 << cell % NGX_OPTCACHE_L1_CELLS;

    return node;
}


ngx_uint_t
ngx_optcache_l1_mem_builds(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    uint32_t cell)
{
    uint64_t                 starts;
    ngx_optcache_l1_node_t  *node;

    starts = sh->pages[cell / NGX_OPTCACHE_L1_CELLS].starts;
    node = ngx_optcache_l1_node(sh, cell);

    return (starts >> cell % NGX_OPTCACHE_L1_CELLS & 1)
           && node->state == NGX_OPTCACHE_L1_BUILDING
           && node->owner == owner;
}


ngx_int_t
ngx_optcache_l1_mem_pins(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_slot_t *slot, size_t size)
{
    u_char                 *p;
    ngx_uint_t              n;
    ngx_optcache_l1_ref_t   ref;

    ref = ngx_optcache_l1_page_take(sh, size, 1);

    if (ref == 0) {
        return NGX_DECLINED;
    }

    p = ngx_optcache_l1_cell(sh, ngx_optcache_l1_ref_cell(ref));
    n = ngx_optcache_l1_ref_n(ref);

    ngx_memzero(p, n * NGX_OPTCACHE_L1_CELL);
    *(ngx_optcache_l1_ref_t *) p = slot->pins;

    ngx_optcache_l1_fence();

    ngx_optcache_l1_set(&slot->pins,
                        ngx_optcache_l1_ref(ngx_optcache_l1_ref_cell(ref), n,
                                            1));

    return NGX_OK;
}
