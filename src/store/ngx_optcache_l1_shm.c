
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


#define NGX_OPTCACHE_L1_PIECE_MAX  65536

/* pinned entries that one search for a victim passes over */

#define NGX_OPTCACHE_L1_SKIP       64


static ngx_int_t ngx_optcache_l1_reset(ngx_optcache_l1_t *l1);
static void ngx_optcache_l1_free(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_node_t *node);
static void ngx_optcache_l1_free_pieces(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_piece_t *piece);
static ngx_int_t ngx_optcache_l1_evict(ngx_optcache_l1_t *l1);
static ngx_optcache_l1_piece_t *ngx_optcache_l1_alloc_piece(
    ngx_optcache_l1_t *l1, size_t size);
static void ngx_optcache_l1_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static const char *ngx_optcache_l1_take_slot(ngx_optcache_l1_t *l1);
static void ngx_optcache_l1_release_slot(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_slot_t *slot);

static ngx_int_t ngx_optcache_l1_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_optcache_l1_format(ngx_optcache_l1_t *l1);


ngx_int_t
ngx_optcache_l1_lock(ngx_optcache_l1_t *l1)
{
    ngx_optcache_l1_shctx_t  *sh;

    sh = l1->sh;

    ngx_shmtx_lock(&l1->shpool->mutex);

    if (sh->busy) {
        sh->broken = 1;
    }

    if (sh->broken && ngx_optcache_l1_reset(l1) != NGX_OK) {
        sh->busy = 0;
        ngx_shmtx_unlock(&l1->shpool->mutex);
        return NGX_DECLINED;
    }

    sh->busy = 1;
    ngx_memory_barrier();

    return NGX_OK;
}


void
ngx_optcache_l1_unlock(ngx_optcache_l1_t *l1)
{
    ngx_memory_barrier();
    l1->sh->busy = 0;

    ngx_shmtx_unlock(&l1->shpool->mutex);
}


/* Empties a broken zone, once nobody alive reads from it. */

static ngx_int_t
ngx_optcache_l1_reset(ngx_optcache_l1_t *l1)
{
    ngx_pid_t                 pids[NGX_OPTCACHE_L1_SLOTS];
    ngx_uint_t                i;
    ngx_optcache_l1_shctx_t  *sh;

    sh = l1->sh;

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        pids[i] = sh->slots[i].pid;

        if (pids[i] == 0) {
            continue;
        }

        if (kill(pids[i], 0) == -1 && ngx_errno == NGX_ESRCH) {
            pids[i] = 0;
            continue;
        }

        if (sh->slots[i].npins) {
            return NGX_DECLINED;
        }
    }

    ngx_slab_init(l1->shpool);

    if (ngx_optcache_l1_format(l1) != NGX_OK) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        sh->slots[i].pid = pids[i];
    }

    return NGX_OK;
}


ngx_optcache_l1_pin_t *
ngx_optcache_l1_pin(ngx_optcache_l1_t *l1, ngx_optcache_l1_node_t *node)
{
    ngx_optcache_l1_pin_t  *pin;

    /* the node must not leave to make room for its own pin */

    node->refs++;

    pin = ngx_optcache_l1_alloc(l1, sizeof(ngx_optcache_l1_pin_t));
    if (pin == NULL) {
        node->refs--;
        return NULL;
    }

    pin->node = node;
    ngx_queue_insert_head(&l1->slot->pins, &pin->queue);
    l1->slot->npins++;

    return pin;
}


void
ngx_optcache_l1_unpin(ngx_optcache_l1_t *l1, ngx_optcache_l1_pin_t *pin)
{
    ngx_optcache_l1_node_t  *node;

    node = pin->node;

    ngx_queue_remove(&pin->queue);
    ngx_slab_free_locked(l1->shpool, pin);
    l1->slot->npins--;

    node->refs--;

    if (node->refs == 0 && !node->linked) {
        ngx_optcache_l1_free(l1, node);
    }
}


void
ngx_optcache_l1_forget_pin(ngx_optcache_l1_t *l1)
{
    ngx_shmtx_lock(&l1->shpool->mutex);

    l1->slot->npins--;

    ngx_shmtx_unlock(&l1->shpool->mutex);
}


void
ngx_optcache_l1_link(ngx_optcache_l1_t *l1, ngx_optcache_l1_node_t *node)
{
    ngx_rbtree_insert(&l1->sh->rbtree, &node->tree);
    ngx_queue_insert_head(&l1->sh->queue, &node->queue);

    node->linked = 1;
}


void
ngx_optcache_l1_unlink(ngx_optcache_l1_t *l1, ngx_optcache_l1_node_t *node)
{
    ngx_rbtree_delete(&l1->sh->rbtree, &node->tree);
    ngx_queue_remove(&node->queue);

    node->linked = 0;

    if (node->refs == 0) {
        ngx_optcache_l1_free(l1, node);
    }
}


static void
ngx_optcache_l1_free(ngx_optcache_l1_t *l1, ngx_optcache_l1_node_t *node)
{
    ngx_optcache_l1_free_pieces(l1, node->body);
    ngx_optcache_l1_free_pieces(l1, node->gzip);

    if (node->head) {
        ngx_slab_free_locked(l1->shpool, node->head);
    }

    ngx_slab_free_locked(l1->shpool, node);
}


static void
ngx_optcache_l1_free_pieces(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_piece_t *piece)
{
    ngx_optcache_l1_piece_t  *next;

    for ( /* void */ ; piece; piece = next) {
        next = piece->next;
        ngx_slab_free_locked(l1->shpool, piece);
    }
}


static ngx_int_t
ngx_optcache_l1_evict(ngx_optcache_l1_t *l1)
{
    ngx_uint_t               n;
    ngx_queue_t             *q;
    ngx_optcache_l1_node_t  *node;

    for (n = 0; n < NGX_OPTCACHE_L1_SKIP; n++) {

        if (ngx_queue_empty(&l1->sh->queue)) {
            break;
        }

        q = ngx_queue_last(&l1->sh->queue);
        node = ngx_queue_data(q, ngx_optcache_l1_node_t, queue);

        if (node->refs == 0) {
            ngx_optcache_l1_unlink(l1, node);
            return NGX_OK;
        }

        /*
         * To evict what is being sent would lose it and free nothing.  It is
         * in use, so it is not the least recently used; and it must not be
         * in the way of the next search.
         */

        ngx_queue_remove(q);
        ngx_queue_insert_head(&l1->sh->queue, q);
    }

    return NGX_DECLINED;
}


void *
ngx_optcache_l1_alloc(ngx_optcache_l1_t *l1, size_t size)
{
    void  *p;

    for ( ;; ) {
        p = ngx_slab_alloc_locked(l1->shpool, size);

        if (p || ngx_optcache_l1_evict(l1) != NGX_OK) {
            return p;
        }
    }
}


ngx_int_t
ngx_optcache_l1_alloc_pieces(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_piece_t **list, size_t size)
{
    ngx_optcache_l1_piece_t  *piece;

    while (size) {
        piece = ngx_optcache_l1_alloc_piece(l1, size);
        if (piece == NULL) {
            return NGX_ERROR;
        }

        piece->next = NULL;

        *list = piece;
        list = &piece->next;

        size -= piece->size;
    }

    return NGX_OK;
}


static ngx_optcache_l1_piece_t *
ngx_optcache_l1_alloc_piece(ngx_optcache_l1_t *l1, size_t size)
{
    size_t                    want;
    ngx_optcache_l1_piece_t  *piece;

    want = ngx_min(size + sizeof(ngx_optcache_l1_piece_t),
                   NGX_OPTCACHE_L1_PIECE_MAX);

    for ( ;; ) {
        piece = ngx_slab_alloc_locked(l1->shpool, want);

        if (piece) {
            piece->size = want - sizeof(ngx_optcache_l1_piece_t);
            return piece;
        }

        if (want > ngx_pagesize) {
            want = ngx_max(want / 2, ngx_pagesize);
            continue;
        }

        if (ngx_optcache_l1_evict(l1) != NGX_OK) {
            return NULL;
        }
    }
}


static void
ngx_optcache_l1_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t       **p;
    ngx_optcache_l1_node_t   *n, *t;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            n = (ngx_optcache_l1_node_t *) node;
            t = (ngx_optcache_l1_node_t *) temp;

            p = (ngx_memn2cmp(n->key, t->key, n->key_len, t->key_len) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


ngx_int_t
ngx_optcache_l1_attach(ngx_optcache_l1_t *l1, ngx_log_t *log)
{
    const char  *why;

    why = ngx_optcache_l1_take_slot(l1);

    if (why) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "optcache zone \"%V\" %s, this worker does not use it "
                      "for now", &l1->name, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_optcache_l1_attach_late(ngx_optcache_l1_t *l1, ngx_log_t *log)
{
    if (l1->tried == ngx_time()) {
        return;
    }

    l1->tried = ngx_time();

    if (ngx_optcache_l1_take_slot(l1) == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "optcache zone \"%V\" is used by this worker from now "
                      "on", &l1->name);
    }
}


/* NULL, or why there is none; also gives back the pins of dead workers */

static const char *
ngx_optcache_l1_take_slot(ngx_optcache_l1_t *l1)
{
    ngx_uint_t               i;
    ngx_optcache_l1_slot_t  *slot, *unused;

    if (ngx_optcache_l1_lock(l1) != NGX_OK) {
        /* a slot cannot be told from garbage */
        return "was left broken by a worker that died and is still being read";
    }

    unused = NULL;

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        slot = &l1->sh->slots[i];

        if (slot->pid && kill(slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
            ngx_optcache_l1_release_slot(l1, slot);
        }

        if (slot->pid == 0 && unused == NULL) {
            unused = slot;
        }
    }

    if (unused) {
        unused->pid = ngx_pid;
        unused->npins = 0;
        ngx_queue_init(&unused->pins);
    }

    l1->slot = unused;

    ngx_optcache_l1_unlock(l1);

    return unused ? NULL : "has too many workers";
}


void
ngx_optcache_l1_detach(ngx_optcache_l1_t *l1)
{
    if (l1->slot == NULL || ngx_optcache_l1_lock(l1) != NGX_OK) {
        return;
    }

    ngx_optcache_l1_release_slot(l1, l1->slot);
    l1->slot = NULL;

    ngx_optcache_l1_unlock(l1);
}


static void
ngx_optcache_l1_release_slot(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_slot_t *slot)
{
    ngx_queue_t             *q;
    ngx_optcache_l1_slot_t  *own;

    own = l1->slot;
    l1->slot = slot;

    while (!ngx_queue_empty(&slot->pins)) {
        q = ngx_queue_head(&slot->pins);
        ngx_optcache_l1_unpin(l1, ngx_queue_data(q, ngx_optcache_l1_pin_t,
                                                 queue));
    }

    slot->pid = 0;
    l1->slot = own;
}


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
    ngx_optcache_l1_t  *old = data;

    ngx_optcache_l1_t  *l1;

    l1 = shm_zone->data;

    if (old) {

        /* a reload: the zone goes on as it is */

        if (old->sh->magic != NGX_OPTCACHE_L1_MAGIC
            || old->sh->version != NGX_OPTCACHE_L1_VERSION)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "optcache_zone \"%V\" was laid out by another "
                          "version of the module: restart nginx, or give the "
                          "zone another name", &l1->name);
            return NGX_ERROR;
        }

        l1->sh = old->sh;
        l1->shpool = old->shpool;

        return NGX_OK;
    }

    l1->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        l1->sh = l1->shpool->data;
        return NGX_OK;
    }

    if (ngx_optcache_l1_format(l1) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "optcache_zone \"%V\" is too small", &l1->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Lays out an empty zone.  The first allocation of a fresh slab pool is
 * always at the same place, which is where others look for it.
 */

static ngx_int_t
ngx_optcache_l1_format(ngx_optcache_l1_t *l1)
{
    ngx_uint_t                i;
    ngx_optcache_l1_shctx_t  *sh;

    sh = ngx_slab_alloc_locked(l1->shpool, sizeof(ngx_optcache_l1_shctx_t));

    if (sh == NULL || (l1->sh && l1->sh != sh)) {
        return NGX_ERROR;
    }

    ngx_memzero(sh, sizeof(ngx_optcache_l1_shctx_t));

    sh->magic = NGX_OPTCACHE_L1_MAGIC;
    sh->version = NGX_OPTCACHE_L1_VERSION;

    if (RAND_bytes((u_char *) &sh->seed, sizeof(sh->seed)) != 1) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&sh->rbtree, &sh->sentinel, ngx_optcache_l1_insert);
    ngx_queue_init(&sh->queue);

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        ngx_queue_init(&sh->slots[i].pins);
    }

    l1->sh = sh;
    l1->shpool->data = sh;
    l1->shpool->log_nomem = 0;

    return NGX_OK;
}
