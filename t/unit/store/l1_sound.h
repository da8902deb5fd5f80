
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What must be true of all that lies in a zone while nobody changes it.  Takes
 * every lock before it looks, which makes sound what a dead process left.
 */


#ifndef _L1_SOUND_H_INCLUDED_
#define _L1_SOUND_H_INCLUDED_


typedef struct {
    ngx_optcache_l1_shctx_t  *sh;
    uint64_t                 *map;      /* cells that can be reached */
    uint32_t                 *refs;     /* pins, by cell */
    uint64_t                  used;     /* cells, of them the pins' */
    uint64_t                  pins;
    uint64_t                  pinned;   /* cells of what is read */
    ngx_uint_t                nodes;
    ngx_uint_t                live;
} sound_t;


static void assert_sound(zone_t *z);
static void assert_empty(zone_t *z);
static void sound_check(zone_t *z, sound_t *s);
static void sound_locks(ngx_optcache_l1_shctx_t *sh);
static uint64_t sound_mark(sound_t *s, ngx_optcache_l1_ref_t ref);
static void sound_pins(sound_t *s, ngx_optcache_l1_ref_t ref);
static void sound_node(sound_t *s, uint32_t cell);
static void sound_pages(sound_t *s);
static void sound_shard(sound_t *s, ngx_optcache_l1_shard_t *shard);


static void
assert_sound(zone_t *z)
{
    sound_t  s;

    sound_check(z, &s);
}


/* nothing is left that somebody forgot */

static void
assert_empty(zone_t *z)
{
    sound_t  s;

    sound_check(z, &s);

    assert_int_equal(s.nodes, 0);
    assert_int_equal(s.used, s.pins);
}


static void
sound_check(zone_t *z, sound_t *s)
{
    uint64_t                  starts;
    ngx_uint_t                i;
    ngx_optcache_l1_shctx_t  *sh;

    sh = z->l1->sh;

    sound_locks(sh);

    ngx_memzero(s, sizeof(sound_t));

    s->sh = sh;
    s->map = calloc(sh->npages, sizeof(uint64_t));
    s->refs = calloc(sh->npages * NGX_OPTCACHE_L1_CELLS, sizeof(uint32_t));
    assert_non_null(s->map);
    assert_non_null(s->refs);

    for (i = 0; i < sh->nslots; i++) {
        s->pins += sound_mark(s, sh->slots[i].pins);
        sound_pins(s, sh->slots[i].pins);

        assert_int_equal(sh->slots[i].building, 0);
    }

    for (i = 0; i < sh->npages; i++) {
        for (starts = sh->pages[i].starts; starts; starts &= starts - 1) {
            sound_node(s, i * NGX_OPTCACHE_L1_CELLS
                          + __builtin_ctzll(starts));
        }
    }

    sound_pages(s);

    for (i = 0; i < sh->nshards; i++) {
        sound_shard(s, &sh->shards[i]);
        s->pinned -= sh->shards[i].pinned;
    }

    assert_int_equal(s->live, 0);
    assert_int_equal(s->pinned, 0);

    free(s->map);
    free(s->refs);
}


static void
sound_locks(ngx_optcache_l1_shctx_t *sh)
{
    ngx_uint_t  i;

    for (i = 0; i < sh->nshards; i++) {
        ngx_optcache_l1_unlock(&ngx_optcache_l1_shard_lock(sh, i)->lock);
    }

    ngx_optcache_l1_mem_lock(sh);
    ngx_optcache_l1_unlock(&sh->lock);
}


/* nobody else has these cells */

static uint64_t
sound_mark(sound_t *s, ngx_optcache_l1_ref_t ref)
{
    size_t      size;
    uint32_t    cell;
    uint64_t    n, bit, cells;
    ngx_uint_t  i;

    cells = 0;

    while (ref) {
        cell = ngx_optcache_l1_ref_cell(ref);
        n = ngx_optcache_l1_ref_n(ref);

        assert_in_range(n, 1, NGX_OPTCACHE_L1_PAGES * NGX_OPTCACHE_L1_CELLS);
        assert_in_range(cell, 1,
                        s->sh->npages * NGX_OPTCACHE_L1_CELLS - n);

        /* within a page, or whole ones */

        assert_true(cell % NGX_OPTCACHE_L1_CELLS + n <= NGX_OPTCACHE_L1_CELLS
                    || (cell % NGX_OPTCACHE_L1_CELLS == 0
                        && n % NGX_OPTCACHE_L1_CELLS == 0));

        for (i = cell; i < cell + n; i++) {
            bit = (uint64_t) 1 << i % NGX_OPTCACHE_L1_CELLS;

            assert_false(s->map[i / NGX_OPTCACHE_L1_CELLS] & bit);
            s->map[i / NGX_OPTCACHE_L1_CELLS] |= bit;
        }

        cells += n;
        (void) ngx_optcache_l1_piece(s->sh, &ref, &size);
    }

    s->used += cells;

    return cells;
}


static void
sound_pins(sound_t *s, ngx_optcache_l1_ref_t ref)
{
    size_t                  size;
    uint32_t                cell;
    ngx_optcache_l1_pin_t  *pin;

    while (ref) {
        pin = (ngx_optcache_l1_pin_t *)
                  ngx_optcache_l1_piece(s->sh, &ref, &size);

        for ( /* void */ ; size; size -= sizeof(ngx_optcache_l1_pin_t)) {
            cell = ngx_optcache_l1_pinned(*pin);
            s->refs[cell]++;
            pin++;
        }
    }
}


static void
sound_node(sound_t *s, uint32_t cell)
{
    uint64_t                 cells;
    ngx_optcache_l1_node_t  *node;

    node = ngx_optcache_l1_node(s->sh, cell);

    cells = sound_mark(s, ngx_optcache_l1_ref(cell, node->n, 1));
    cells += sound_mark(s, node->body);
    cells += sound_mark(s, node->gzip);

    assert_int_equal(cells, node->cells);
    assert_int_equal(s->refs[cell], node->refs);
    assert_true(node->shard < s->sh->nshards);

    s->nodes++;

    if (node->refs) {
        s->pinned += cells;
    }

    if (node->state == NGX_OPTCACHE_L1_LIVE) {
        s->live++;
        assert_true(node->queue || node->refs);

    } else {
        assert_int_equal(node->state, NGX_OPTCACHE_L1_DEAD);
        assert_true(node->refs);
    }
}


static void
sound_pages(sound_t *s)
{
    uint32_t                 n;
    uint64_t                 used, free_cells;
    ngx_uint_t               i, run, pages;
    ngx_optcache_l1_page_t  *page;

    free_cells = 0;
    pages = 0;

    for (i = 0; i < s->sh->npages; i++) {
        page = &s->sh->pages[i];

        assert_int_equal(page->used, s->map[i] | (i == 0));

        run = 0;

        for (used = ~page->used; used; used &= used << 1) {
            run++;
        }

        assert_int_equal(page->run, run);

        free_cells += __builtin_popcountll(~page->used);
        pages += (page->run != 0);
    }

    assert_int_equal(s->sh->free, free_cells);

    for (run = 1; run <= NGX_OPTCACHE_L1_CELLS; run++) {
        assert_int_equal(s->sh->lists[run] != 0,
                         s->sh->runs >> (run - 1) & 1);

        for (n = s->sh->lists[run]; n; n = page->next) {
            page = &s->sh->pages[n - 1];
            assert_int_equal(page->run, run);
            pages--;
        }
    }

    assert_int_equal(pages, 0);
}


static void
sound_shard(sound_t *s, ngx_optcache_l1_shard_t *shard)
{
    uint32_t                 cell, last, link;
    uint64_t                 cells;
    ngx_uint_t               i, queue, n, queued;
    ngx_optcache_l1_node_t  *node;

    queued = 0;

    for (queue = NGX_OPTCACHE_L1_SMALL; queue <= NGX_OPTCACHE_L1_MAIN; queue++)
    {
        cells = 0;
        last = 0;

        for (cell = shard->fifo[queue].oldest; cell; cell = node->newer) {
            node = ngx_optcache_l1_node(s->sh, cell);

            assert_int_equal(node->state, NGX_OPTCACHE_L1_LIVE);
            assert_int_equal(node->queue, queue);
            assert_int_equal(node->older, last);

            cells += node->cells;
            last = cell;
            queued++;
        }

        assert_int_equal(shard->fifo[queue].newest, last);
        assert_int_equal(shard->fifo[queue].cells, cells);
    }

    n = 0;

    for (i = 0; i < s->sh->nbuckets; i++) {
        link = s->sh->buckets[(shard - s->sh->shards) * s->sh->nbuckets + i];

        for ( /* void */ ; link; link = node->next) {
            node = ngx_optcache_l1_node(s->sh, link & s->sh->link_cell);

            assert_false(ngx_optcache_l1_link_other(s->sh, link, node->hash));
            assert_false(ngx_optcache_l1_link_last(s->sh, link) && node->next);

            assert_int_equal(node->state, NGX_OPTCACHE_L1_LIVE);
            assert_int_equal(node->shard, shard - s->sh->shards);

            queued += (node->queue == NGX_OPTCACHE_L1_PARKED);
            n++;
        }
    }

    assert_int_equal(n, shard->entries);
    assert_int_equal(n, queued);

    s->live -= n;
}


#endif /* _L1_SOUND_H_INCLUDED_ */
