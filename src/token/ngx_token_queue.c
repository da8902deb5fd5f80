
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_queue.h"


/* what the compiler must not move stores across */

#define ngx_token_queue_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define ngx_token_queue_key(queue, i)                                         \
    ((queue)->keys + (i) * NGX_TOKEN_QUEUE_KEY)


static ngx_uint_t ngx_token_queue_find(ngx_token_queue_t *queue,
    ngx_str_t *key, uint32_t hash);
static void ngx_token_queue_put(ngx_token_queue_t *queue, ngx_uint_t i,
    ngx_str_t *key, uint32_t hash);
static ngx_token_queue_place_t *ngx_token_queue_same(
    ngx_token_queue_t *queue, ngx_token_queue_item_t *item);


ngx_int_t
ngx_token_queue_init(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool)
{
    queue->places = ngx_slab_calloc(shpool, NGX_TOKEN_QUEUE_MAX
                                            * sizeof(ngx_token_queue_place_t));
    if (queue->places == NULL) {
        return NGX_ERROR;
    }

    queue->keys = ngx_slab_alloc(shpool, NGX_TOKEN_QUEUE_MAX
                                         * NGX_TOKEN_QUEUE_KEY);
    if (queue->keys == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_token_queue_push(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_str_t *key, uint64_t until, uint64_t since)
{
    uint32_t                  hash;
    ngx_uint_t                i;
    ngx_token_queue_place_t  *place;

    if (key->len == 0
        || key->len > NGX_TOKEN_QUEUE_KEY
        || ngx_strlchr(key->data, key->data + key->len, '\0'))
    {
        return NGX_DECLINED;
    }

    hash = ngx_crc32_long(key->data, key->len);

    ngx_shmtx_lock(&shpool->mutex);

    i = ngx_token_queue_find(queue, key, hash);

    if (i == NGX_TOKEN_QUEUE_MAX) {
        ngx_shmtx_unlock(&shpool->mutex);
        return NGX_BUSY;
    }

    place = &queue->places[i];

    if (place->number == 0) {
        ngx_token_queue_put(queue, i, key, hash);

        place->until = until;
        place->since = since;

        queue->n++;
        ngx_token_queue_fence();

        place->number = ++queue->number;

    } else if (place->until < until || place->since < since) {

        /* who writes it just now must not remove it afterwards */

        place->number = ++queue->number;
        ngx_token_queue_fence();

        place->until = ngx_max(place->until, until);
        place->since = ngx_max(place->since, since);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return NGX_OK;
}


/* Where the key is, or else a place that is free; _MAX: there is neither. */

static ngx_uint_t
ngx_token_queue_find(ngx_token_queue_t *queue, ngx_str_t *key, uint32_t hash)
{
    ngx_uint_t                i, n, room;
    ngx_token_queue_place_t  *place;

    room = queue->top;
    n = 0;

    for (i = 0; i < queue->top; i++) {
        place = &queue->places[i];

        if (place->number == 0) {
            room = ngx_min(room, i);
            continue;
        }

        n++;

        if (place->hash == hash
            && place->len == key->len
            && ngx_memcmp(ngx_token_queue_key(queue, i), key->data, key->len)
               == 0)
        {
            return i;
        }
    }

    queue->n = n;

    return room;
}


/* All of it but what it is put in use by. */

static void
ngx_token_queue_put(ngx_token_queue_t *queue, ngx_uint_t i, ngx_str_t *key,
    uint32_t hash)
{
    ngx_token_queue_place_t  *place;

    queue->top = ngx_max(queue->top, i + 1);

    place = &queue->places[i];

    place->order = ++queue->number;
    place->due = 0;
    place->stored = 0;
    place->tried = 0;
    place->wrong = 0;
    place->hash = hash;
    place->len = key->len;

    ngx_memcpy(ngx_token_queue_key(queue, i), key->data, key->len);
}


ngx_int_t
ngx_token_queue_peek(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    uint64_t now, ngx_token_queue_item_t *item)
{
    ngx_uint_t                i, n, top;
    ngx_token_queue_place_t  *place, *first;

    first = NULL;
    top = 0;
    n = 0;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < queue->top; i++) {
        place = &queue->places[i];

        if (place->number == 0) {
            continue;
        }

        top = i + 1;
        n++;

        if ((place->due <= now || place->until <= now)
            && (first == NULL || place->order < first->order))
        {
            first = place;
        }
    }

    queue->top = top;
    queue->n = n;

    if (first) {
        item->place = first - queue->places;

        ngx_memcpy(item->key, ngx_token_queue_key(queue, item->place),
                   first->len);

        item->len = first->len;
        item->until = first->until;
        item->since = first->since;
        item->number = first->number;
        item->tried = first->tried;
        item->wrong = first->wrong;

        if (first->tried && first->stored != queue->stored) {
            item->wrong++;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return first ? NGX_OK : NGX_DECLINED;
}


void
ngx_token_queue_done(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item)
{
    ngx_token_queue_place_t  *place;

    ngx_shmtx_lock(&shpool->mutex);

    place = ngx_token_queue_same(queue, item);

    if (place) {
        place->number = 0;
        ngx_token_queue_fence();

        queue->n--;
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_token_queue_later(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item, uint64_t due, ngx_uint_t tried)
{
    ngx_token_queue_place_t  *place;

    ngx_shmtx_lock(&shpool->mutex);

    place = ngx_token_queue_same(queue, item);

    if (place) {
        place->number = ++queue->number;
        place->order = queue->number;
        place->due = due;

        if (tried) {
            place->wrong = item->wrong;
            place->stored = queue->stored;
            place->tried = 1;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


/* NULL: it has changed, or another one has its place. */

static ngx_token_queue_place_t *
ngx_token_queue_same(ngx_token_queue_t *queue, ngx_token_queue_item_t *item)
{
    ngx_token_queue_place_t  *place;

    if (item->number == 0) {
        return NULL;
    }

    place = &queue->places[item->place];

    return (place->number == item->number) ? place : NULL;
}


void
ngx_token_queue_again(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool)
{
    ngx_uint_t                i;
    ngx_token_queue_place_t  *place;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < queue->top; i++) {
        place = &queue->places[i];

        if (place->tried) {
            place->due = 0;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}
