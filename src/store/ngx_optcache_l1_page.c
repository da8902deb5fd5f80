
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Pages of cells.  A page is in the list of those whose longest run of free
 * cells is as long; the bit of a list that has pages is set in "runs", so the
 * shortest run that is long enough is found at once.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


/* a part of a zone that may be free for the sake of long pieces, in cells */

#define NGX_OPTCACHE_L1_SPARE      32
#define NGX_OPTCACHE_L1_SPARE_MAX  8192

/* cells that are worth to be asked for before they are written */

#define NGX_OPTCACHE_L1_PREFETCH_RUN  32


static ngx_often uint32_t ngx_optcache_l1_page_cut(
    ngx_optcache_l1_shctx_t *sh, ngx_uint_t i, ngx_uint_t n);
static ngx_optcache_l1_ref_t ngx_optcache_l1_page_take_whole(
    ngx_optcache_l1_shctx_t *sh, size_t size, ngx_uint_t i);
static ngx_uint_t ngx_optcache_l1_page_run(uint64_t used);
static ngx_uint_t ngx_optcache_l1_page_find(uint64_t used, ngx_uint_t n);


void
ngx_optcache_l1_page_init(ngx_optcache_l1_shctx_t *sh)
{
    ngx_uint_t  i;

    /* no reference has the cell 0: a number that is 0 is none */

    sh->pages[0].used = 1;
    sh->free = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS - 1;

    for (i = sh->npages; i-- > 0; /* void */ ) {
        ngx_optcache_l1_page_list(sh, i);
    }
}


uint64_t
ngx_optcache_l1_page_cells(size_t size)
{
    size_t    whole;
    uint64_t  n;

    n = 0;

    if (ngx_rarely(size > NGX_OPTCACHE_L1_PAGE)) {

        /* the last piece has no reference to a next one */

        whole = (size - sizeof(ngx_optcache_l1_ref_t) - 1)
                / (NGX_OPTCACHE_L1_PAGE - sizeof(ngx_optcache_l1_ref_t));

        n = whole * NGX_OPTCACHE_L1_CELLS;
        size -= whole
                * (NGX_OPTCACHE_L1_PAGE - sizeof(ngx_optcache_l1_ref_t));
    }

    return n + (size + NGX_OPTCACHE_L1_CELL - 1) / NGX_OPTCACHE_L1_CELL;
}


ngx_int_t
ngx_optcache_l1_page_alloc(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t *ref, size_t *size, ngx_uint_t any)
{
    u_char                 *p;
    ngx_optcache_l1_ref_t   next, *to;

    to = ref;

    while (*size) {
        next = ngx_optcache_l1_page_take(sh, *size,
                                   ngx_optcache_l1_page_least(sh, *size, any));

        if (next == 0) {
            return NGX_DECLINED;
        }

        if (!ngx_optcache_l1_ref_more(next)) {
            ngx_optcache_l1_set(to, next);
            *size = 0;
            break;
        }

        p = ngx_optcache_l1_cell(sh, ngx_optcache_l1_ref_cell(next));

        *(ngx_optcache_l1_ref_t *) p = 0;
        ngx_optcache_l1_fence();

        ngx_optcache_l1_set(to, next);
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

ngx_uint_t
ngx_optcache_l1_page_least(ngx_optcache_l1_shctx_t *sh, size_t size,
    ngx_uint_t any)
{
    uint64_t  n, spare;

    n = ngx_optcache_l1_page_cells(size);

    spare = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS
            / NGX_OPTCACHE_L1_SPARE;
    spare = ngx_min(spare, NGX_OPTCACHE_L1_SPARE_MAX);

    if (any || sh->free > spare + 2 * n) {
        return 1;
    }

    return (ngx_uint_t) ngx_min(n, NGX_OPTCACHE_L1_CELLS);
}


uint32_t
ngx_optcache_l1_page_take_run(ngx_optcache_l1_shctx_t *sh, ngx_uint_t n)
{
    uint64_t  runs;

    runs = sh->runs >> (n - 1);

    return runs ? ngx_optcache_l1_page_cut(sh,
                              sh->lists[n + __builtin_ctzll(runs)] - 1, n)
                : 0;
}


/* What is read here without the lock may be true no longer. */

void
ngx_optcache_l1_page_prefetch(ngx_optcache_l1_shctx_t *sh, uint64_t n)
{
    u_char      *p, *last;
    uint32_t     i;
    uint64_t     runs;
    ngx_uint_t   pos;

    if (n > NGX_OPTCACHE_L1_PREFETCH_RUN) {
        return;
    }

    runs = __atomic_load_n(&sh->runs, __ATOMIC_RELAXED) >> (n - 1);

    if (runs == 0) {
        return;
    }

    i = __atomic_load_n(&sh->lists[n + __builtin_ctzll(runs)],
                        __ATOMIC_RELAXED);

    if (i == 0 || i > sh->npages) {
        return;
    }

    pos = ngx_optcache_l1_page_find(__atomic_load_n(&sh->pages[i - 1].used,
                                                    __ATOMIC_RELAXED), n);
    if (pos == NGX_OPTCACHE_L1_CELLS) {
        return;
    }

    p = ngx_optcache_l1_cell(sh, (i - 1) * NGX_OPTCACHE_L1_CELLS + pos);

    for (last = p + n * NGX_OPTCACHE_L1_CELL;
         p < last;
         p += NGX_OPTCACHE_L1_CELL)
    {
        __builtin_prefetch(p, 1);
    }
}


/* The first of "n" cells of a page, which has such a run. */

static uint32_t
ngx_optcache_l1_page_cut(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i,
    ngx_uint_t n)
{
    ngx_uint_t               pos;
    ngx_optcache_l1_page_t  *page;

    page = &sh->pages[i];
    pos = ngx_optcache_l1_page_find(page->used, n);

    page->used |= ngx_optcache_l1_mask(n) << pos;
    sh->free -= n;

    ngx_optcache_l1_page_list(sh, i);

    return i * NGX_OPTCACHE_L1_CELLS + pos;
}


ngx_optcache_l1_ref_t
ngx_optcache_l1_page_take(ngx_optcache_l1_shctx_t *sh, size_t size,
    ngx_uint_t min)
{
    uint64_t    runs;
    ngx_uint_t  n, i, more;

    more = (size > NGX_OPTCACHE_L1_PAGE);
    n = more ? NGX_OPTCACHE_L1_CELLS
             : (size + NGX_OPTCACHE_L1_CELL - 1) / NGX_OPTCACHE_L1_CELL;

    runs = sh->runs >> (n - 1);

    if (runs) {
        i = sh->lists[n + __builtin_ctzll(runs)] - 1;

        if (more) {
            return ngx_optcache_l1_page_take_whole(sh, size, i);
        }

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

    return ngx_optcache_l1_ref(ngx_optcache_l1_page_cut(sh, i, n), n, more);
}


/* A page that is free as a whole, and those beside it that are so. */

static ngx_optcache_l1_ref_t
ngx_optcache_l1_page_take_whole(ngx_optcache_l1_shctx_t *sh, size_t size,
    ngx_uint_t i)
{
    size_t                   max;
    ngx_uint_t               n, k;
    ngx_optcache_l1_page_t  *page;

    page = sh->pages;

    max = size / NGX_OPTCACHE_L1_PAGE;
    max = ngx_min(max, NGX_OPTCACHE_L1_PAGES);

    for (n = 1; n < max && page[i - 1].used == 0; n++) {
        i--;
    }

    while (n < max && i + n < sh->npages && page[i + n].used == 0) {
        n++;
    }

    for (k = i; k < i + n; k++) {
        page[k].used = ~(uint64_t) 0;
        ngx_optcache_l1_page_list(sh, k);
    }

    sh->free -= n * NGX_OPTCACHE_L1_CELLS;

    return ngx_optcache_l1_ref(i * NGX_OPTCACHE_L1_CELLS,
                               n * NGX_OPTCACHE_L1_CELLS,
                               n * NGX_OPTCACHE_L1_PAGE < size);
}


ngx_often void
ngx_optcache_l1_page_list(ngx_optcache_l1_shctx_t *sh, ngx_uint_t i)
{
    ngx_uint_t               run;
    ngx_optcache_l1_page_t  *page;

    page = &sh->pages[i];
    run = ngx_optcache_l1_page_run(page->used);

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


/* The longest run of cells that are free: what is left may be too short. */

static ngx_uint_t
ngx_optcache_l1_page_run(uint64_t used)
{
    uint64_t    x;
    ngx_uint_t  n, max;

    if (used == 0) {
        return NGX_OPTCACHE_L1_CELLS;
    }

    max = 0;

    for (x = ~used; x >> max; x >>= n) {
        x >>= __builtin_ctzll(x);
        n = __builtin_ctzll(~x);
        max = ngx_max(max, n);
    }

    return max;
}


/* The first of "n" cells that are free; NGX_OPTCACHE_L1_CELLS: no such run. */

static ngx_uint_t
ngx_optcache_l1_page_find(uint64_t used, ngx_uint_t n)
{
    uint64_t    x;
    ngx_uint_t  pos, len;

    if (used == 0) {
        return 0;
    }

    pos = 0;

    for (x = ~used; x; x >>= len) {
        len = __builtin_ctzll(x);
        x >>= len;
        pos += len;

        len = __builtin_ctzll(~x);

        if (len >= n) {
            return pos;
        }

        pos += len;
    }

    return NGX_OPTCACHE_L1_CELLS;
}


void
ngx_optcache_l1_page_free(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_uint_t *changed)
{
    size_t                 size;
    ngx_uint_t             i, n;
    ngx_optcache_l1_ref_t  piece;

    while (ref) {
        piece = ref;
        (void) ngx_optcache_l1_piece(sh, &ref, &size);

        ngx_optcache_l1_page_map(sh, piece, 0);

        n = ngx_optcache_l1_ref_n(piece);
        sh->free += n;

        i = ngx_optcache_l1_ref_cell(piece) / NGX_OPTCACHE_L1_CELLS;

        for ( ;; ) {

            if (*changed != i + 1) {
                ngx_optcache_l1_page_free_done(sh, *changed);
                *changed = i + 1;
            }

            if (n <= NGX_OPTCACHE_L1_CELLS) {
                break;
            }

            n -= NGX_OPTCACHE_L1_CELLS;
            i++;
        }
    }
}


void
ngx_optcache_l1_page_free_done(ngx_optcache_l1_shctx_t *sh,
    ngx_uint_t changed)
{
    if (changed) {
        ngx_optcache_l1_page_list(sh, changed - 1);
    }
}


ngx_often void
ngx_optcache_l1_page_map(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_uint_t used)
{
    uint32_t                 cell;
    uint64_t                 mask;
    ngx_uint_t               n, some;
    ngx_optcache_l1_page_t  *page;

    cell = ngx_optcache_l1_ref_cell(ref);
    page = &sh->pages[cell / NGX_OPTCACHE_L1_CELLS];

    for (n = ngx_optcache_l1_ref_n(ref); n; n -= some) {
        some = ngx_min(n, NGX_OPTCACHE_L1_CELLS);
        mask = ngx_optcache_l1_mask(some) << cell % NGX_OPTCACHE_L1_CELLS;

        if (used) {
            page->used |= mask;

        } else {
            page->used &= ~mask;
        }

        page++;
    }
}
