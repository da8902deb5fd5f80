
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_queue.h"


struct ngx_token_queue_node_s {
    ngx_token_queue_node_t   *next;      /* in the queue */
    ngx_token_queue_node_t   *chain;     /* in its bucket */
    uint64_t                  until;
    uint64_t                  since;
    uint64_t                  due;       /* 0: it was not put off */
    ngx_uint_t                number;
    ngx_uint_t                stored;    /* of the queue, when it was tried */
    uint32_t                  tried;
    uint32_t                  wrong;
    uint32_t                  hash;
    uint32_t                  len;
    u_char                    key[1];
};


static ngx_token_queue_node_t *ngx_token_queue_find(ngx_token_queue_t *queue,
    ngx_str_t *key, uint32_t hash);


ngx_int_t
ngx_token_queue_push(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_str_t *key, uint64_t until, uint64_t since)
{
    uint32_t                  hash;
    ngx_int_t                 rc;
    ngx_token_queue_node_t   *node, **bucket;

    if (key->len == 0
        || key->len > NGX_TOKEN_QUEUE_KEY
        || ngx_strlchr(key->data, key->data + key->len, '\0'))
    {
        return NGX_DECLINED;
    }

    hash = ngx_crc32_long(key->data, key->len);
    rc = NGX_OK;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_token_queue_find(queue, key, hash);

    if (node) {

        if (node->until < until || node->since < since) {
            node->until = ngx_max(node->until, until);
            node->since = ngx_max(node->since, since);
            node->number = ++queue->number;
        }

        goto done;
    }

    if (queue->n >= NGX_TOKEN_QUEUE_MAX) {
        rc = NGX_BUSY;
        goto done;
    }

    node = ngx_slab_alloc_locked(shpool,
                                 offsetof(ngx_token_queue_node_t, key)
                                 + key->len);
    if (node == NULL) {
        rc = NGX_BUSY;
        goto done;
    }

    node->next = NULL;
    node->until = until;
    node->since = since;
    node->due = 0;
    node->number = ++queue->number;
    node->stored = 0;
    node->tried = 0;
    node->wrong = 0;
    node->hash = hash;
    node->len = key->len;
    ngx_memcpy(node->key, key->data, key->len);

    bucket = &queue->buckets[hash % NGX_TOKEN_QUEUE_BUCKETS];
    node->chain = *bucket;
    *bucket = node;

    if (queue->last) {
        queue->last->next = node;

    } else {
        queue->first = node;
    }

    queue->last = node;
    queue->n++;

done:

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


static ngx_token_queue_node_t *
ngx_token_queue_find(ngx_token_queue_t *queue, ngx_str_t *key, uint32_t hash)
{
    ngx_token_queue_node_t  *node;

    node = queue->buckets[hash % NGX_TOKEN_QUEUE_BUCKETS];

    while (node) {

        if (node->hash == hash
            && node->len == key->len
            && ngx_memcmp(node->key, key->data, key->len) == 0)
        {
            return node;
        }

        node = node->chain;
    }

    return NULL;
}


ngx_int_t
ngx_token_queue_peek(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    uint64_t now, ngx_token_queue_item_t *item)
{
    ngx_int_t                rc;
    ngx_token_queue_node_t  *node, *prev;

    rc = NGX_DECLINED;
    prev = NULL;

    ngx_shmtx_lock(&shpool->mutex);

    for (node = queue->first; node; node = node->next) {

        if (node->due <= now || node->until <= now) {
            break;
        }

        prev = node;
    }

    if (node && prev) {
        queue->last->next = queue->first;
        queue->last = prev;
        queue->first = node;
        prev->next = NULL;
    }

    if (node) {
        ngx_memcpy(item->key, node->key, node->len);
        item->len = node->len;
        item->until = node->until;
        item->since = node->since;
        item->number = node->number;
        item->tried = node->tried;
        item->wrong = node->wrong;

        if (node->tried && node->stored != queue->stored) {
            item->wrong++;
        }

        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_token_queue_done(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item)
{
    ngx_token_queue_node_t  *node, **p;

    ngx_shmtx_lock(&shpool->mutex);

    node = queue->first;

    if (node == NULL || node->number != item->number) {
        ngx_shmtx_unlock(&shpool->mutex);
        return;
    }

    queue->first = node->next;

    if (queue->first == NULL) {
        queue->last = NULL;
    }

    queue->n--;

    p = &queue->buckets[node->hash % NGX_TOKEN_QUEUE_BUCKETS];

    while (*p != node) {
        p = &(*p)->chain;
    }

    *p = node->chain;

    ngx_slab_free_locked(shpool, node);

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_token_queue_later(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item, uint64_t due, ngx_uint_t tried)
{
    ngx_token_queue_node_t  *node;

    ngx_shmtx_lock(&shpool->mutex);

    node = queue->first;

    if (node == NULL || node->number != item->number) {
        ngx_shmtx_unlock(&shpool->mutex);
        return;
    }

    node->due = due;

    if (tried) {
        node->tried = 1;
        node->wrong = item->wrong;
        node->stored = queue->stored;
    }

    if (node->next) {
        queue->first = node->next;
        queue->last->next = node;
        queue->last = node;
        node->next = NULL;
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_token_queue_again(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool)
{
    ngx_token_queue_node_t  *node;

    ngx_shmtx_lock(&shpool->mutex);

    for (node = queue->first; node; node = node->next) {
        if (node->tried) {
            node->due = 0;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}
