
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


typedef struct {
    ngx_optcache_l1_t        *l1;
    ngx_optcache_l1_pin_t    *pin;
} ngx_optcache_l1_cleanup_t;


static ngx_uint_t ngx_optcache_l1_hash(ngx_optcache_l1_t *l1, ngx_str_t *key);
static ngx_optcache_l1_node_t *ngx_optcache_l1_find(
    ngx_optcache_l1_shctx_t *sh, ngx_str_t *key, ngx_uint_t hash);
static ngx_optcache_l1_node_t *ngx_optcache_l1_build(ngx_optcache_l1_t *l1,
    ngx_optcache_entry_t *e, ngx_optcache_l1_pin_t **pin);
static void ngx_optcache_l1_fill(ngx_optcache_l1_node_t *node,
    ngx_optcache_entry_t *e);
static void ngx_optcache_l1_fill_pieces(ngx_optcache_l1_piece_t *piece,
    ngx_chain_t *cl);
static ngx_int_t ngx_optcache_l1_view(ngx_optcache_l1_node_t *node,
    ngx_pool_t *pool, ngx_optcache_entry_t *e);
static ngx_int_t ngx_optcache_l1_chain(ngx_optcache_l1_piece_t *piece,
    ngx_pool_t *pool, ngx_chain_t **chain);
static void ngx_optcache_l1_unpin_cleanup(void *data);


ngx_int_t
ngx_optcache_l1_lookup(ngx_optcache_l1_t *l1, ngx_str_t *key,
    ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    ngx_uint_t                  hash;
    ngx_pool_cleanup_t         *cln;
    ngx_optcache_l1_pin_t      *pin;
    ngx_optcache_l1_node_t     *node;
    ngx_optcache_l1_cleanup_t  *up;

    if (l1->slot == NULL) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_optcache_l1_cleanup_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    hash = ngx_optcache_l1_hash(l1, key);

    if (ngx_optcache_l1_lock(l1) != NGX_OK) {
        return NGX_DECLINED;
    }

    pin = NULL;
    node = ngx_optcache_l1_find(l1->sh, key, hash);

    if (node) {
        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&l1->sh->queue, &node->queue);

        pin = ngx_optcache_l1_pin(l1, node);
    }

    ngx_optcache_l1_unlock(l1);

    if (pin == NULL) {
        return NGX_DECLINED;
    }

    up = cln->data;
    up->l1 = l1;
    up->pin = pin;

    cln->handler = ngx_optcache_l1_unpin_cleanup;

    return ngx_optcache_l1_view(node, pool, e);
}


ngx_int_t
ngx_optcache_l1_store(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e)
{
    ngx_uint_t               hash;
    ngx_optcache_l1_pin_t   *pin;
    ngx_optcache_l1_node_t  *node, *old;

    if (l1->slot == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_optcache_l1_lock(l1) != NGX_OK) {
        return NGX_DECLINED;
    }

    node = ngx_optcache_l1_build(l1, e, &pin);

    ngx_optcache_l1_unlock(l1);

    if (node == NULL) {
        return NGX_DECLINED;
    }

    /*
     * Nobody else sees the node yet: it is filled without the mutex.  A zone
     * that was emptied has another secret, but not while there is a pin.
     */

    hash = ngx_optcache_l1_hash(l1, &e->key);

    node->tree.key = hash;
    ngx_optcache_l1_fill(node, e);

    if (ngx_optcache_l1_lock(l1) != NGX_OK) {
        ngx_optcache_l1_forget_pin(l1);
        return NGX_DECLINED;
    }

    old = ngx_optcache_l1_find(l1->sh, &e->key, hash);

    if (old) {
        ngx_optcache_l1_unlink(l1, old);
    }

    ngx_optcache_l1_link(l1, node);
    ngx_optcache_l1_unpin(l1, pin);

    ngx_optcache_l1_unlock(l1);

    return NGX_OK;
}


void
ngx_optcache_l1_remove(ngx_optcache_l1_t *l1, ngx_str_t *key)
{
    ngx_uint_t               hash;
    ngx_optcache_l1_node_t  *node;

    hash = ngx_optcache_l1_hash(l1, key);

    if (ngx_optcache_l1_lock(l1) != NGX_OK) {
        return;
    }

    node = ngx_optcache_l1_find(l1->sh, key, hash);

    if (node) {
        ngx_optcache_l1_unlink(l1, node);
    }

    ngx_optcache_l1_unlock(l1);
}


/* Keyed by a secret of the zone: clients choose URIs, not their hashes. */

static ngx_uint_t
ngx_optcache_l1_hash(ngx_optcache_l1_t *l1, ngx_str_t *key)
{
    return (ngx_uint_t) XXH3_64bits_withSeed(key->data, key->len,
                                             l1->sh->seed);
}


/* The tree is ordered by hash and then by identity, which decides. */

static ngx_optcache_l1_node_t *
ngx_optcache_l1_find(ngx_optcache_l1_shctx_t *sh, ngx_str_t *key,
    ngx_uint_t hash)
{
    ngx_int_t                rc;
    ngx_rbtree_node_t       *tree;
    ngx_optcache_l1_node_t  *node;

    tree = sh->rbtree.root;

    while (tree != &sh->sentinel) {

        if (hash != tree->key) {
            tree = (hash < tree->key) ? tree->left : tree->right;
            continue;
        }

        node = (ngx_optcache_l1_node_t *) tree;

        rc = ngx_memn2cmp(key->data, node->key, key->len, node->key_len);

        if (rc == 0) {
            return node;
        }

        tree = (rc < 0) ? tree->left : tree->right;
    }

    return NULL;
}


/*
 * Allocates all of an entry: a node that is in no tree, and pinned.  Least
 * recently used entries leave until it fits.
 */

static ngx_optcache_l1_node_t *
ngx_optcache_l1_build(ngx_optcache_l1_t *l1, ngx_optcache_entry_t *e,
    ngx_optcache_l1_pin_t **pin)
{
    ngx_optcache_l1_node_t  *node;

    if (e->key.len + e->head.len + e->body_len + e->gzip_len
        > (size_t) (l1->shpool->end - l1->shpool->start))
    {
        return NULL;
    }

    node = ngx_optcache_l1_alloc(l1, offsetof(ngx_optcache_l1_node_t, key)
                                     + e->key.len);
    if (node == NULL) {
        return NULL;
    }

    ngx_memzero(node, sizeof(ngx_optcache_l1_node_t));

    *pin = ngx_optcache_l1_pin(l1, node);
    if (*pin == NULL) {
        ngx_slab_free_locked(l1->shpool, node);
        return NULL;
    }

    /* from here on, giving back the pin frees all that is allocated */

    if (e->head.len) {
        node->head = ngx_optcache_l1_alloc(l1, e->head.len);
        if (node->head == NULL) {
            goto failed;
        }
    }

    if (ngx_optcache_l1_alloc_pieces(l1, &node->body, e->body_len) != NGX_OK
        || ngx_optcache_l1_alloc_pieces(l1, &node->gzip, e->gzip_len)
           != NGX_OK)
    {
        goto failed;
    }

    return node;

failed:

    ngx_optcache_l1_unpin(l1, *pin);

    return NULL;
}


static void
ngx_optcache_l1_fill(ngx_optcache_l1_node_t *node, ngx_optcache_entry_t *e)
{
    node->status = (uint16_t) e->status;
    node->date = e->date;
    node->last_modified = e->last_modified;
    node->age = e->age;
    node->lifetime = e->lifetime;
    node->key_len = (uint32_t) e->key.len;
    node->head_len = (uint32_t) e->head.len;
    node->body_len = (uint32_t) e->body_len;
    node->gzip_len = (uint32_t) e->gzip_len;

    ngx_memcpy(node->key, e->key.data, e->key.len);

    if (e->head.len) {
        ngx_memcpy(node->head, e->head.data, e->head.len);
    }

    ngx_optcache_l1_fill_pieces(node->body, e->body);
    ngx_optcache_l1_fill_pieces(node->gzip, e->gzip);
}


static void
ngx_optcache_l1_fill_pieces(ngx_optcache_l1_piece_t *piece, ngx_chain_t *cl)
{
    size_t   n, left, room;
    u_char  *p, *pos;

    if (piece == NULL) {
        return;
    }

    p = piece->data;
    room = piece->size;

    for ( /* void */ ; cl; cl = cl->next) {
        pos = cl->buf->pos;
        left = cl->buf->last - pos;

        while (left) {

            if (room == 0) {
                piece = piece->next;
                p = piece->data;
                room = piece->size;
            }

            n = ngx_min(left, room);
            p = ngx_cpymem(p, pos, n);

            pos += n;
            left -= n;
            room -= n;
        }
    }
}


static ngx_int_t
ngx_optcache_l1_view(ngx_optcache_l1_node_t *node, ngx_pool_t *pool,
    ngx_optcache_entry_t *e)
{
    e->key.data = node->key;
    e->key.len = node->key_len;
    e->head.data = node->head;
    e->head.len = node->head_len;
    e->body_len = node->body_len;
    e->gzip_len = node->gzip_len;
    e->status = node->status;
    e->date = node->date;
    e->last_modified = node->last_modified;
    e->age = node->age;
    e->lifetime = node->lifetime;

    if (ngx_optcache_l1_chain(node->body, pool, &e->body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_optcache_l1_chain(node->gzip, pool, &e->gzip);
}


static ngx_int_t
ngx_optcache_l1_chain(ngx_optcache_l1_piece_t *piece, ngx_pool_t *pool,
    ngx_chain_t **chain)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, **ll;

    ll = chain;

    for ( /* void */ ; piece; piece = piece->next) {

        b = ngx_calloc_buf(pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        cl = ngx_alloc_chain_link(pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        b->start = piece->data;
        b->pos = piece->data;
        b->last = piece->data + piece->size;
        b->end = b->last;
        b->memory = 1;

        cl->buf = b;

        *ll = cl;
        ll = &cl->next;
    }

    *ll = NULL;

    return NGX_OK;
}


static void
ngx_optcache_l1_unpin_cleanup(void *data)
{
    ngx_optcache_l1_cleanup_t  *up = data;

    if (up->l1->slot == NULL) {
        /* the worker has let go of all its pins and is about to exit */
        return;
    }

    if (ngx_optcache_l1_lock(up->l1) != NGX_OK) {
        ngx_optcache_l1_forget_pin(up->l1);
        return;
    }

    ngx_optcache_l1_unpin(up->l1, up->pin);

    ngx_optcache_l1_unlock(up->l1);
}
