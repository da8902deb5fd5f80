
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_optcache_key.h"
#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


/* entries for which room is made at once, and the part of a zone it may be */

#define NGX_OPTCACHE_L1_AHEAD  8
#define NGX_OPTCACHE_L1_AHEAD_PART  256


/* with the first buffers of both forms, which seldom have more */

typedef struct {
    ngx_optcache_l1_t        *l1;
    ngx_optcache_l1_pin_t    *pin;
    ngx_optcache_l1_link_t    body;
    ngx_optcache_l1_link_t    gzip;
} ngx_optcache_l1_cleanup_t;


static ngx_often ngx_int_t ngx_optcache_l1_lend(ngx_optcache_l1_t *l1,
    ngx_pool_t *pool, uint32_t cell, ngx_optcache_l1_pin_t *pin,
    ngx_optcache_entry_t *e);
static ngx_rare ngx_int_t ngx_optcache_l1_own(ngx_optcache_l1_t *l1,
    ngx_pool_t *pool, uint32_t cell, ngx_optcache_l1_pin_t *pin,
    ngx_optcache_entry_t *e);
static ngx_often ngx_int_t ngx_optcache_l1_put(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *e, uint64_t hash, u_char *body);
static ngx_rare ngx_uint_t ngx_optcache_l1_has_body(
    ngx_optcache_l1_shctx_t *sh, uint32_t cell, u_char *body);
static ngx_rare void ngx_optcache_l1_discard(ngx_optcache_l1_t *l1,
    uint32_t cell);
static uint32_t ngx_optcache_l1_build(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *e);
static uint64_t ngx_optcache_l1_ahead(ngx_optcache_l1_shctx_t *sh,
    uint64_t needs);
static void ngx_optcache_l1_fill(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_entry_t *e, uint64_t hash);
static void ngx_optcache_l1_fill_chain(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_chain_t *cl);
static ngx_often void ngx_optcache_l1_write(ngx_optcache_l1_cursor_t *cursor,
    u_char *p, size_t len);
static ngx_often void ngx_optcache_l1_unpin_cleanup(void *data);
static ngx_often void ngx_optcache_l1_unpin(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_pin_t *pin);


ngx_int_t
ngx_optcache_l1_lookup(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    return ngx_optcache_l1_search(l1, key, pool, e, NULL);
}


void
ngx_optcache_l1_expect(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_optcache_l1_absent_t *absent)
{
    absent->key = NULL;
    absent->hash = ngx_optcache_l1_hash(l1, key);
    absent->hashed = key->data;

    ngx_optcache_l1_shard_prefetch(l1->sh,
                              ngx_optcache_l1_shard_of(l1->sh, absent->hash),
                              absent->hash);
}


ngx_often ngx_int_t
ngx_optcache_l1_search(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_optcache_l1_absent_t *absent)
{
    uint32_t                  cell;
    uint64_t                  hash;
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_optcache_l1_pin_t    *pin;
    ngx_optcache_l1_shard_t  *shard;

    if (absent) {
        absent->key = NULL;
    }

    if (l1->slot == NULL) {
        return NGX_DECLINED;
    }

    hash = (absent && absent->hashed == key->data)
           ? absent->hash : ngx_optcache_l1_hash(l1, key);
    i = ngx_optcache_l1_shard_of(l1->sh, hash);

    if (absent) {
        /* before it is looked for: what is linked from now on makes it grow */

        absent->hash = hash;
        absent->hashed = NULL;
        absent->linked = __atomic_load_n(&l1->sh->shards[i].linked,
                                         __ATOMIC_ACQUIRE);
    }

    /* most of what is not there is known by this */

    if (ngx_optcache_l1_shard_none(l1->sh, i, hash)) {

        if (absent) {
            absent->key = key->data;
        }

        return NGX_DECLINED;
    }

    pin = ngx_optcache_l1_worker_pin(l1);
    if (pin == NULL) {
        return NGX_DECLINED;
    }

    shard = ngx_optcache_l1_shard_lock(l1->sh, i);

    cell = ngx_optcache_l1_shard_find(l1->sh, i, key, hash);

    rc = NGX_DECLINED;

    if (cell) {
        rc = ngx_optcache_l1_shard_pin(l1->sh, cell, pin);

    } else if (absent) {
        absent->key = key->data;
    }

    ngx_optcache_l1_unlock(&shard->lock);

    if (ngx_rarely(rc == NGX_DECLINED || rc == NGX_BUSY)) {
        ngx_optcache_l1_worker_unpin(l1, pin);
        return rc;
    }

    e->key = *key;

    return ngx_mostly(rc == NGX_OK)
           ? ngx_optcache_l1_lend(l1, pool, cell, pin, e)
           : ngx_optcache_l1_own(l1, pool, cell, pin, e);
}


/* What was found, pinned for as long as there is the pool. */

static ngx_int_t
ngx_optcache_l1_lend(ngx_optcache_l1_t *l1, ngx_pool_t *pool, uint32_t cell,
    ngx_optcache_l1_pin_t *pin, ngx_optcache_entry_t *e)
{
    ngx_pool_cleanup_t         *cln;
    ngx_optcache_l1_node_t     *node;
    ngx_optcache_l1_cleanup_t  *up;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_optcache_l1_cleanup_t));
    if (cln == NULL) {
        ngx_optcache_l1_unpin(l1, pin);
        return NGX_ERROR;
    }

    up = cln->data;
    up->l1 = l1;
    up->pin = pin;

    cln->handler = ngx_optcache_l1_unpin_cleanup;

    node = ngx_optcache_l1_node(l1->sh, cell);

    return ngx_optcache_l1_view(l1->sh, node, pool, e, &up->body,
                                &up->gzip);
}


/* A copy of what was found, which is let go at once. */

static ngx_int_t
ngx_optcache_l1_own(ngx_optcache_l1_t *l1, ngx_pool_t *pool, uint32_t cell,
    ngx_optcache_l1_pin_t *pin, ngx_optcache_entry_t *e)
{
    ngx_int_t  rc;

    rc = ngx_optcache_l1_view(l1->sh, ngx_optcache_l1_node(l1->sh, cell), pool,
                              e, NULL, NULL);

    if (rc == NGX_OK) {
        rc = ngx_optcache_l1_view_own(pool, e);
    }

    ngx_optcache_l1_unpin(l1, pin);

    return rc;
}


ngx_int_t
ngx_optcache_l1_store(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e)
{
    return ngx_optcache_l1_put(l1, e, ngx_optcache_l1_hash(l1, &e->key), NULL);
}


ngx_int_t
ngx_optcache_l1_store_absent(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e,
    ngx_optcache_l1_absent_t *absent)
{
    if (absent->key != e->key.data) {
        return ngx_optcache_l1_store(l1, e);
    }

    return ngx_optcache_l1_put(l1, e, absent->hash, NULL);
}


ngx_int_t
ngx_optcache_l1_replace(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *old,
    ngx_optcache_entry_t *e)
{
    /* both are there for a moment, the old one is pinned: is there room? */

    if (l1->slot == NULL
        || ngx_optcache_l1_mem_needs(old) + ngx_optcache_l1_mem_needs(e)
           >= (uint64_t) l1->sh->npages * NGX_OPTCACHE_L1_CELLS)
    {
        return NGX_DECLINED;
    }

    return ngx_optcache_l1_put(l1, e, ngx_optcache_l1_hash(l1, &e->key),
                               old->body->buf->pos);
}


/* With "body", only in place of the entry whose body lies there. */

static ngx_int_t
ngx_optcache_l1_put(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e,
    uint64_t hash, u_char *body)
{
    uint32_t                  cell, old;
    uint64_t                  cells;
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_optcache_l1_shard_t  *shard;

    if (l1->slot == NULL) {
        return NGX_DECLINED;
    }

    i = ngx_optcache_l1_shard_of(l1->sh, hash);

    ngx_optcache_l1_shard_prefetch(l1->sh, i, hash);
    ngx_optcache_l1_queue_prefetch(l1->sh, i, hash);

    cell = ngx_optcache_l1_build(l1, e);
    if (cell == 0) {
        return NGX_DECLINED;
    }

    /* nobody else sees the node yet: it is filled without a lock */

    cells = ngx_optcache_l1_node(l1->sh, cell)->cells;

    ngx_optcache_l1_fill(l1->sh, cell, e, hash);

    shard = ngx_optcache_l1_shard_lock(l1->sh, i);

    old = ngx_optcache_l1_shard_find(l1->sh, i, &e->key, hash);

    if (body && !ngx_optcache_l1_has_body(l1->sh, old, body)) {
        ngx_optcache_l1_discard(l1, cell);
        rc = NGX_DECLINED;

    } else {
        ngx_optcache_l1_shard_link(l1->sh, cell, old);
        __atomic_store_n(&l1->slot->building, 0, __ATOMIC_RELEASE);
        rc = NGX_OK;
    }

    ngx_optcache_l1_unlock(&shard->lock);

    /* the next one is mostly as large */

    ngx_optcache_l1_queue_expect(l1->sh, &l1->next);
    ngx_optcache_l1_page_prefetch(l1->sh, cells);

    return rc;
}


static ngx_uint_t
ngx_optcache_l1_has_body(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    u_char *body)
{
    size_t                 size;
    ngx_optcache_l1_ref_t  ref;

    if (cell == 0) {
        return 0;
    }

    ref = ngx_optcache_l1_node(sh, cell)->body;

    return ref && ngx_optcache_l1_piece(sh, &ref, &size) == body;
}


/* A node that was built and is not wanted any more. */

static void
ngx_optcache_l1_discard(ngx_optcache_l1_t *l1, uint32_t cell)
{
    ngx_optcache_l1_mem_lock(l1->sh);

    ngx_optcache_l1_mem_free_node(l1->sh, cell);
    l1->slot->building = 0;

    ngx_optcache_l1_unlock(&l1->sh->lock);
}


void
ngx_optcache_l1_remove(ngx_optcache_l1_t *l1, ngx_str_t *key)
{
    uint32_t                  cell;
    uint64_t                  hash;
    ngx_uint_t                i;
    ngx_optcache_l1_shard_t  *shard;

    hash = ngx_optcache_l1_hash(l1, key);
    i = ngx_optcache_l1_shard_of(l1->sh, hash);

    shard = ngx_optcache_l1_shard_lock(l1->sh, i);

    cell = ngx_optcache_l1_shard_find(l1->sh, i, key, hash);

    if (cell) {
        ngx_optcache_l1_shard_unlink(l1->sh, cell);
    }

    ngx_optcache_l1_unlock(&shard->lock);
}


ngx_uint_t
ngx_optcache_l1_changed(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_absent_t *absent)
{
    uint64_t    linked;
    ngx_uint_t  i;

    i = ngx_optcache_l1_shard_of(l1->sh, absent->hash);

    linked = __atomic_load_n(&l1->sh->shards[i].linked, __ATOMIC_ACQUIRE);

    return linked != absent->linked;
}


/* Keyed by a secret of the zone: clients choose URIs, not their hashes. */

uint64_t
ngx_optcache_l1_hash(ngx_optcache_l1_t *l1, ngx_str_t *key)
{
    return XXH3_64bits_withSeed(key->data, key->len, l1->sh->seed);
}


/* A node that nobody finds yet, with all its memory; others leave for it. */

static uint32_t
ngx_optcache_l1_build(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e)
{
    size_t                    size;
    uint32_t                  cell;
    uint64_t                  needs, ahead;
    ngx_uint_t                owner, lacking, n, freed, any;
    ngx_optcache_l1_shctx_t  *sh;

    sh = l1->sh;
    owner = l1->slot - sh->slots;
    size = (size_t) sh->npages * NGX_OPTCACHE_L1_PAGE;

    if (e->key.len > NGX_OPTCACHE_KEY_MAX
        || e->ntags > NGX_OPTCACHE_MARK_TAGS
        || e->head.len > size
        || e->body_len > size || e->gzip_len > size)
    {
        return 0;
    }

    needs = ngx_optcache_l1_mem_needs(e);

    if (needs >= (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS) {
        return 0;
    }

    ahead = ngx_optcache_l1_ahead(sh, needs);

    for (any = 0; any < 2; /* void */ ) {
        cell = ngx_optcache_l1_mem_build(sh, owner, e, any, &lacking);

        if (cell) {
            return cell;
        }

        for (freed = 0; freed < lacking; freed += n) {
            n = ngx_optcache_l1_queue_evict(sh, &l1->next,
                                            lacking - freed + ahead);

            if (n == 0) {
                /* all is pinned: then in whatever pieces are left */
                any++;
                break;
            }
        }
    }

    return 0;
}


/*
 * Cells that are freed beside those an entry needs: room for some more like it,
 * so that not each of them takes the locks to make its own.
 */

static uint64_t
ngx_optcache_l1_ahead(ngx_optcache_l1_shctx_t *sh, uint64_t needs)
{
    return ngx_min(needs * NGX_OPTCACHE_L1_AHEAD,
                   (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS
                   / NGX_OPTCACHE_L1_AHEAD_PART);
}


static void
ngx_optcache_l1_fill(ngx_optcache_l1_shctx_t *sh, uint32_t cell,
    ngx_optcache_entry_t *e, uint64_t hash)
{
    ngx_optcache_l1_node_t    *node;
    ngx_optcache_l1_cursor_t   cursor;

    node = ngx_optcache_l1_node(sh, cell);

    node->clock = e->moment.clock;
    node->origin = e->origin;
    node->date = (uint32_t) e->date;
    node->last_modified = e->last_modified;
    node->age = e->age;
    node->lifetime = e->lifetime;
    node->max_stale = e->max_stale;
    node->stale_while_revalidate = e->stale_while_revalidate;
    node->stale_if_error = e->stale_if_error;
    node->key_len = (uint16_t) e->key.len;
    node->ntags = (uint16_t) e->ntags;
    node->head_len = (uint32_t) e->head.len;
    node->body_len = (uint32_t) e->body_len;
    node->gzip_len = (uint32_t) e->gzip_len;
    node->hash = (uint32_t) hash;
    node->shard = (uint8_t) ngx_optcache_l1_shard_of(sh, hash);
    node->status = (uint16_t) e->status;
    node->untouched = e->untouched;

    ngx_optcache_l1_first_cursor(&cursor, sh, node);

    ngx_optcache_l1_write(&cursor, e->key.data, e->key.len);
    ngx_optcache_l1_write(&cursor, (u_char *) e->tags,
                          e->ntags * sizeof(uint64_t));
    ngx_optcache_l1_write(&cursor, e->head.data, e->head.len);

    ngx_optcache_l1_fill_chain(sh, node->body, e->body);
    ngx_optcache_l1_fill_chain(sh, node->gzip, e->gzip);
}


static void
ngx_optcache_l1_fill_chain(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, ngx_chain_t *cl)
{
    ngx_optcache_l1_cursor_t  cursor;

    cursor.sh = sh;
    cursor.next = ref;
    cursor.size = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        ngx_optcache_l1_write(&cursor, cl->buf->pos,
                              cl->buf->last - cl->buf->pos);
    }
}


static void
ngx_optcache_l1_write(ngx_optcache_l1_cursor_t *cursor, u_char *p, size_t len)
{
    size_t   n;
    u_char  *to;

    while (len) {
        n = ngx_optcache_l1_read(cursor, len, &to);

        ngx_memcpy(to, p, n);

        p += n;
        len -= n;
    }
}


static void
ngx_optcache_l1_unpin_cleanup(void *data)
{
    ngx_optcache_l1_cleanup_t  *up = data;

    if (up->l1->slot == NULL) {
        /* the worker has let go of all its pins and is about to exit */
        return;
    }

    ngx_optcache_l1_unpin(up->l1, up->pin);
}


static void
ngx_optcache_l1_unpin(ngx_optcache_l1_t *l1, ngx_optcache_l1_pin_t *pin)
{
    uint32_t                  cell;
    ngx_optcache_l1_shard_t  *shard;

    cell = ngx_optcache_l1_pinned(*pin);

    shard = ngx_optcache_l1_shard_lock(l1->sh,
                                  ngx_optcache_l1_node(l1->sh, cell)->shard);

    ngx_optcache_l1_shard_unpin(l1->sh, cell, pin);

    ngx_optcache_l1_unlock(&shard->lock);

    ngx_optcache_l1_worker_unpin(l1, pin);
}
