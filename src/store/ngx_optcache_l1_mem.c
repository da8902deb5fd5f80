
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


static void ngx_optcache_l1_mem_rebuild(ngx_optcache_l1_shctx_t *sh);
static ngx_uint_t ngx_optcache_l1_mem_owned(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static void ngx_optcache_l1_mem_mark(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref);
static void ngx_optcache_l1_mem_mark_node(ngx_optcache_l1_shctx_t *sh,
    uint32_t cell);
static uint64_t ngx_optcache_l1_mem_cells(size_t size);
static ngx_int_t ngx_optcache_l1_mem_alloc(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t *ref, size_t *size, ngx_uint_t any);
static ngx_uint_t ngx_optcache_l1_mem_least(ngx_optcache_l1_shctx_t *sh,
    size_t size, ngx_uint_t any);
static ngx_optcache_l1_ref_t ngx_optcache_l1_mem_take(
    ngx_optcache_l1_shctx_t *sh, size_t size, ngx_uint_t min);
static void ngx_optcache_l1_mem_list(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t i);
static ngx_uint_t ngx_optcache_l1_mem_run(uint64_t used);
static uint64_t ngx_optcache_l1_mem_fit(uint64_t used, ngx_uint_t n);
static uint32_t ngx_optcache_l1_mem_node(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t owner, size_t *size, ngx_uint_t any);


/* cells of a node without what follows it */

#define NGX_OPTCACHE_L1_NODE                                                  \
    ((sizeof(ngx_optcache_l1_node_t) + NGX_OPTCACHE_L1_CELL - 1)              \
     / NGX_OPTCACHE_L1_CELL)

/* a part of a zone that may be free for the sake of long pieces, in cells */

#define NGX_OPTCACHE_L1_SPARE      32
#define NGX_OPTCACHE_L1_SPARE_MAX  8192

#define ngx_optcache_l1_mask(n)                                               \
    (((n) == 64) ? ~(uint64_t) 0 : ((uint64_t) 1 << (n)) - 1)


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


void
ngx_optcache_l1_mem_init(ngx_optcache_l1_shctx_t *sh)
{
    ngx_uint_t  i;

    /* no reference has the cell 0: a number that is 0 is none */

    sh->pages[0].used = 1;
    sh->free = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS - 1;

    for (i = sh->npages; i-- > 0; /* void */ ) {
        ngx_optcache_l1_mem_list(sh, i);
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
        ngx_optcache_l1_mem_list(sh, i);
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
        return node->owner < sh->nslots
               && sh->slots[node->owner].building == cell;

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
    size_t      size;
    uint32_t    cell;
    ngx_uint_t  n;

    while (ref) {
        cell = ngx_optcache_l1_ref_cell(ref);
        n = ngx_optcache_l1_ref_n(ref);

        sh->pages[cell / NGX_OPTCACHE_L1_CELLS].used |=
                 ngx_optcache_l1_mask(n) << cell % NGX_OPTCACHE_L1_CELLS;

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


uint64_t
ngx_optcache_l1_mem_needs(ngx_optcache_entry_t *e)
{
    return ngx_optcache_l1_mem_cells(sizeof(ngx_optcache_l1_node_t)
                                     + e->key.len + e->head.len)
           + ngx_optcache_l1_mem_cells(e->body_len)
           + ngx_optcache_l1_mem_cells(e->gzip_len);
}


/* Cells for a chain of "size" bytes, in as few pieces as there can be. */

static uint64_t
ngx_optcache_l1_mem_cells(size_t size)
{
    size_t    whole;
    uint64_t  n;

    n = 0;

    if (size > NGX_OPTCACHE_L1_PAGE) {

        /* the last piece has no reference to a next one */

        whole = (size - sizeof(ngx_optcache_l1_ref_t) - 1)
                / (NGX_OPTCACHE_L1_PAGE - sizeof(ngx_optcache_l1_ref_t));

        n = whole * NGX_OPTCACHE_L1_CELLS;
        size -= whole
                * (NGX_OPTCACHE_L1_PAGE - sizeof(ngx_optcache_l1_ref_t));
    }

    return n + (size + NGX_OPTCACHE_L1_CELL - 1) / NGX_OPTCACHE_L1_CELL;
}


/*
 * Allocates a chain for *size bytes; *ref is set while it grows.
 * NGX_DECLINED: no room for the *size that are left.
 */

static ngx_int_t
ngx_optcache_l1_mem_alloc(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t *ref, size_t *size, ngx_uint_t any)
{
    u_char                          *p;
    ngx_optcache_l1_ref_t            next;
    volatile ngx_optcache_l1_ref_t  *to;

    to = ref;

    while (*size) {
        next = ngx_optcache_l1_mem_take(sh, *size,
                                   ngx_optcache_l1_mem_least(sh, *size, any));

        if (next == 0) {
            return NGX_DECLINED;
        }

        if (!ngx_optcache_l1_ref_more(next)) {
            *to = next;
            *size = 0;
            break;
        }

        p = ngx_optcache_l1_cell(sh, ngx_optcache_l1_ref_cell(next));

        *(ngx_optcache_l1_ref_t *) p = 0;
        ngx_optcache_l1_fence();

        *to = next;
        to = (ngx_optcache_l1_ref_t *) p;

        *size -= ngx_optcache_l1_ref_n(next) * NGX_OPTCACHE_L1_CELL
                 - sizeof(ngx_optcache_l1_ref_t);
    }

    return NGX_OK;
}


/*
 * Cells a piece must have.  What is cut where there is room gets shorter and
 * shorter; so as long as little else is free, entries leave until there is a
 * run that is long enough.  They leave in about the order they came and lie
 * in, so there is one soon.
 */

static ngx_uint_t
ngx_optcache_l1_mem_least(ngx_optcache_l1_shctx_t *sh, size_t size,
    ngx_uint_t any)
{
    uint64_t  n, spare;

    n = ngx_optcache_l1_mem_cells(size);

    spare = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS
            / NGX_OPTCACHE_L1_SPARE;
    spare = ngx_min(spare, NGX_OPTCACHE_L1_SPARE_MAX);

    if (any || sh->free > spare + 2 * n) {
        return 1;
    }

    return (ngx_uint_t) ngx_min(n, NGX_OPTCACHE_L1_CELLS);
}


/*
 * A piece for "size" bytes, or for a part of them if there is no run of as
 * many cells; 0 if there is none of "min" cells.
 */

static ngx_optcache_l1_ref_t
ngx_optcache_l1_mem_take(ngx_optcache_l1_shctx_t *sh, size_t size,
    ngx_uint_t min)
{
    uint64_t                 runs;
    ngx_uint_t               n, i, pos, more;
    ngx_optcache_l1_page_t  *page;

    more = (size > NGX_OPTCACHE_L1_PAGE);
    n = more ? NGX_OPTCACHE_L1_CELLS
             : (size + NGX_OPTCACHE_L1_CELL - 1) / NGX_OPTCACHE_L1_CELL;

    runs = sh->runs >> (n - 1);

    if (runs) {
        i = sh->lists[n + __builtin_ctzll(runs)] - 1;

    } else {
        if (sh->runs == 0) {
            return 0;
        }

        more = 1;
        n = 64 - __builtin_clzll(sh->runs);
        i = sh->lists[n] - 1;
    }

    if (n < min) {
        return 0;
    }

    page = &sh->pages[i];
    pos = __builtin_ctzll(ngx_optcache_l1_mem_fit(page->used, n));

    page->used |= ngx_optcache_l1_mask(n) << pos;
    sh->free -= n;

    ngx_optcache_l1_mem_list(sh, i);

    return ngx_optcache_l1_ref(i * NGX_OPTCACHE_L1_CELLS + pos, n, more);
}


/* Puts a page into the list of those with as long a run. */

static void
ngx_optcache_l1_mem_list(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i)
{
    ngx_uint_t               run;
    ngx_optcache_l1_page_t  *page;

    page = &sh->pages[i];
    run = ngx_optcache_l1_mem_run(page->used);

    if (run == page->run) {
        return;
    }

    if (page->run) {

        if (page->next) {
            sh->pages[page->next - 1].prev = page->prev;
        }

        if (page->prev) {
            sh->pages[page->prev - 1].next = page->next;

        } else {
            sh->lists[page->run] = page->next;

            if (page->next == 0) {
                sh->runs &= ~((uint64_t) 1 << (page->run - 1));
            }
        }
    }

    page->run = run;

    if (run) {
        page->prev = 0;
        page->next = sh->lists[run];

        if (page->next) {
            sh->pages[page->next - 1].prev = i + 1;
        }

        sh->lists[run] = i + 1;
        sh->runs |= (uint64_t) 1 << (run - 1);
    }
}


/* The longest run of cells that are free. */

static ngx_uint_t
ngx_optcache_l1_mem_run(uint64_t used)
{
    uint64_t    x;
    ngx_uint_t  n;

    n = 0;

    for (x = ~used; x; x &= x >> 1) {
        n++;
    }

    return n;
}


/* A bit for each cell that "n" free ones start with. */

static uint64_t
ngx_optcache_l1_mem_fit(uint64_t used, ngx_uint_t n)
{
    uint64_t    x;
    ngx_uint_t  len, shift;

    x = ~used;

    for (len = 1; len < n; len += shift) {
        shift = ngx_min(len, n - len);
        x &= x >> shift;
    }

    return x;
}


void
ngx_optcache_l1_mem_free(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref)
{
    size_t                   size;
    uint32_t                 cell;
    ngx_uint_t               n;
    ngx_optcache_l1_page_t  *page;

    while (ref) {
        cell = ngx_optcache_l1_ref_cell(ref);
        n = ngx_optcache_l1_ref_n(ref);

        (void) ngx_optcache_l1_piece(sh, &ref, &size);

        page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];
        page->used &= ~(ngx_optcache_l1_mask(n)
                        << cell % NGX_OPTCACHE_L1_CELLS);
        sh->free += n;

        ngx_optcache_l1_mem_list(sh, cell / NGX_OPTCACHE_L1_CELLS);
    }
}


void
ngx_optcache_l1_mem_free_node(ngx_optcache_l1_shctx_t *sh, uint32_t cell)
{
    ngx_optcache_l1_page_t  *page;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(sh, cell);

    node->state = NGX_OPTCACHE_L1_FREE;
    ngx_optcache_l1_fence();

    page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];
    page->starts &= ~((uint64_t) 1 << cell % NGX_OPTCACHE_L1_CELLS);

    ngx_optcache_l1_mem_free(sh, node->body);
    ngx_optcache_l1_mem_free(sh, node->gzip);
    ngx_optcache_l1_mem_free(sh, ngx_optcache_l1_ref(cell, node->n, 1));
}


uint32_t
ngx_optcache_l1_mem_build(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    ngx_optcache_entry_t *e, ngx_uint_t any, ngx_uint_t *lacking)
{
    size_t                   size, body, gzip;
    uint32_t                 cell;
    ngx_uint_t               n;
    ngx_optcache_l1_node_t  *node;

    size = sizeof(ngx_optcache_l1_node_t) + e->key.len + e->head.len;
    body = e->body_len;
    gzip = e->gzip_len;

    n = ngx_optcache_l1_mem_needs(e);

    ngx_optcache_l1_mem_lock(sh);

    if (sh->free < n) {
        *lacking = n - sh->free;
        ngx_optcache_l1_unlock(&sh->lock);
        return 0;
    }

    n = sh->free;

    cell = ngx_optcache_l1_mem_node(sh, owner, &size, any);

    if (cell) {
        node = ngx_optcache_l1_node(sh, cell);

        if (ngx_optcache_l1_mem_alloc(sh, &node->more, &size, any) != NGX_OK
            || ngx_optcache_l1_mem_alloc(sh, &node->body, &body, any)
               != NGX_OK
            || ngx_optcache_l1_mem_alloc(sh, &node->gzip, &gzip, any)
               != NGX_OK)
        {
            ngx_optcache_l1_mem_free_node(sh, cell);
            sh->slots[owner].building = 0;
            cell = 0;

        } else {
            node->cells = n - sh->free;
        }
    }

    /* what had no room, as there were more pieces than there might be */

    *lacking = 1 + ngx_optcache_l1_mem_cells(size)
               + ngx_optcache_l1_mem_cells(body)
               + ngx_optcache_l1_mem_cells(gzip);

    ngx_optcache_l1_unlock(&sh->lock);

    return cell;
}


/* The first piece of a node; *size is what it has no room for. */

static uint32_t
ngx_optcache_l1_mem_node(ngx_optcache_l1_shctx_t *sh, ngx_uint_t owner,
    size_t *size, ngx_uint_t any)
{
    size_t                   room;
    uint32_t                 cell;
    ngx_uint_t               least;
    ngx_optcache_l1_ref_t    ref;
    ngx_optcache_l1_page_t  *page;
    ngx_optcache_l1_node_t  *node;

    least = ngx_optcache_l1_mem_least(sh, *size, any);
    room = ngx_min(*size, NGX_OPTCACHE_L1_PAGE);

    ref = ngx_optcache_l1_mem_take(sh, room,
                                   ngx_max(least, NGX_OPTCACHE_L1_NODE));
    if (ref == 0) {
        return 0;
    }

    cell = ngx_optcache_l1_ref_cell(ref);
    node = ngx_optcache_l1_node(sh, cell);

    ngx_memzero(node, sizeof(ngx_optcache_l1_node_t));

    node->state = NGX_OPTCACHE_L1_BUILDING;
    node->owner = owner;
    node->n = ngx_optcache_l1_ref_n(ref);

    room = node->n * NGX_OPTCACHE_L1_CELL;
    *size -= ngx_min(*size, room);

    ngx_optcache_l1_fence();
    sh->slots[owner].building = cell;
    ngx_optcache_l1_fence();

    page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];
    page->starts |= (uint64_t) 1 << cell % NGX_OPTCACHE_L1_CELLS;

    return cell;
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

    ref = ngx_optcache_l1_mem_take(sh, size, 1);

    if (ref == 0) {
        return NGX_DECLINED;
    }

    p = ngx_optcache_l1_cell(sh, ngx_optcache_l1_ref_cell(ref));
    n = ngx_optcache_l1_ref_n(ref);

    ngx_memzero(p, n * NGX_OPTCACHE_L1_CELL);
    *(ngx_optcache_l1_ref_t *) p = slot->pins;

    ngx_optcache_l1_fence();

    slot->pins = ngx_optcache_l1_ref(ngx_optcache_l1_ref_cell(ref), n, 1);

    return NGX_OK;
}
