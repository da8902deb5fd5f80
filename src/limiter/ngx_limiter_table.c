
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_limiter_table.h"


#define NGX_LIMITER_TABLE_MIN_SLOTS  32

/* what no key's length is: the slot is on the list of free ones */
#define NGX_LIMITER_TABLE_FREE       255

/* a slot is known by its end: its links are there */

#define ngx_limiter_table_slot(table, i)                                      \
    ((ngx_limiter_slot_t *)                                                   \
         ((table)->slots + (size_t) (i) * (table)->stride) - 1)

#define ngx_limiter_table_payload(table, slot)                                \
    ((u_char *) ((slot) + 1) - (table)->stride)

#define ngx_limiter_table_key(table, slot)                                    \
    (ngx_limiter_table_payload(table, slot) + (table)->payload)

#define ngx_limiter_table_len(table, slot)                                    \
    ngx_limiter_table_key(table, slot)[NGX_LIMITER_TABLE_KEY]

/*
 * A worker that is killed has done all before some instruction and nothing
 * behind it, as whoever gets its lock sees: only the compiler is to keep to the
 * order.
 */

#define ngx_limiter_table_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define ngx_limiter_table_begin(table, what)                                  \
    (table)->busy = (what);                                                   \
    ngx_limiter_table_fence()

#define ngx_limiter_table_end(table)                                          \
    ngx_limiter_table_fence();                                                \
    (table)->busy = 0


typedef struct {
    uint32_t                  next;
    uint32_t                  newer;
    uint32_t                  older;
} ngx_limiter_slot_t;


typedef struct {
    size_t                    stride;
    size_t                    nslots;
    uint32_t                  nbuckets;
} ngx_limiter_table_shape_t;


static ngx_int_t ngx_limiter_table_shape(ngx_limiter_table_t *table,
    size_t payload, ngx_limiter_table_shape_t *shape);
static uint32_t ngx_limiter_table_bucket(ngx_limiter_table_t *table,
    ngx_str_t *key);
static void ngx_limiter_table_sound(ngx_limiter_table_t *table);
static void ngx_limiter_table_rebuild(ngx_limiter_table_t *table);
static void ngx_limiter_table_rechain(ngx_limiter_table_t *table, uint32_t i);
static void ngx_limiter_table_reorder(ngx_limiter_table_t *table,
    uint32_t changed);
static uint32_t ngx_limiter_table_hash(ngx_limiter_table_t *table, u_char *key,
    size_t len);
static uint32_t ngx_limiter_table_find(ngx_limiter_table_t *table,
    ngx_str_t *key, uint32_t bucket);
static uint32_t ngx_limiter_table_take(ngx_limiter_table_t *table);
static void ngx_limiter_table_newest(ngx_limiter_table_t *table, uint32_t i);
static void ngx_limiter_table_unlink(ngx_limiter_table_t *table, uint32_t i);
static void ngx_limiter_table_unchain(ngx_limiter_table_t *table, uint32_t i);


ngx_limiter_table_t *
ngx_limiter_table_create(ngx_slab_pool_t *shpool, ngx_uint_t pages,
    size_t payload, const char *what, ngx_str_t *name)
{
    size_t                len;
    ngx_limiter_table_t  *table;

    table = ngx_slab_calloc(shpool, sizeof(ngx_limiter_table_t));
    if (table == NULL) {
        return NULL;
    }

    len = sizeof(" in  zone \"\"") + ngx_strlen(what) + name->len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NULL;
    }

    ngx_sprintf(shpool->log_ctx, " in %s zone \"%V\"%Z", what, name);

    shpool->log_nomem = 0;

    /* the free pages of a new pool are one run */

    if (pages == 0) {
        pages = shpool->pfree;
    }

    if (pages == 0) {
        return NULL;
    }

    table->size = pages * ngx_pagesize;

    table->memory = ngx_slab_alloc(shpool, table->size);
    if (table->memory == NULL) {
        return NULL;
    }

    if (RAND_bytes(table->secret, NGX_LIMITER_TABLE_SECRET) != 1) {
        return NULL;
    }

    table->magic = NGX_LIMITER_TABLE_MAGIC;
    table->version = NGX_LIMITER_TABLE_VERSION;

    if (ngx_limiter_table_carve(table, payload) != NGX_OK) {
        return NULL;
    }

    shpool->data = table;

    return table;
}


ngx_uint_t
ngx_limiter_table_fits(ngx_limiter_table_t *table, size_t payload)
{
    ngx_limiter_table_shape_t  shape;

    return ngx_limiter_table_shape(table, payload, &shape) == NGX_OK;
}


static ngx_int_t
ngx_limiter_table_shape(ngx_limiter_table_t *table, size_t payload,
    ngx_limiter_table_shape_t *shape)
{
    size_t    stride, n;
    uint32_t  nbuckets;

    stride = ngx_align(payload + NGX_LIMITER_TABLE_KEY + 1, sizeof(uint32_t))
             + sizeof(ngx_limiter_slot_t);

    if (payload % sizeof(uint64_t) == 0) {
        stride = ngx_align(stride, sizeof(uint64_t));
    }

    /* one bucket a slot, at least: chains stay about one slot long */

    n = table->size / (stride + sizeof(uint32_t));

    for (nbuckets = 1; nbuckets < n; nbuckets *= 2) { /* void */ }

    if (table->size < nbuckets * sizeof(uint32_t)) {
        return NGX_ERROR;
    }

    n = (table->size - nbuckets * sizeof(uint32_t)) / stride;

    if (n < NGX_LIMITER_TABLE_MIN_SLOTS || n >= NGX_MAX_INT32_VALUE) {
        return NGX_ERROR;
    }

    shape->stride = stride;
    shape->nslots = n;
    shape->nbuckets = nbuckets;

    return NGX_OK;
}


ngx_int_t
ngx_limiter_table_carve(ngx_limiter_table_t *table, size_t payload)
{
    ngx_limiter_table_shape_t  shape;

    if (ngx_limiter_table_shape(table, payload, &shape) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_limiter_table_begin(table, NGX_LIMITER_TABLE_ALL);

    table->payload = payload;
    table->stride = shape.stride;
    table->nslots = shape.nslots;
    table->nbuckets = shape.nbuckets;

    table->slots = table->memory;
    table->buckets = (uint32_t *) (table->memory
                                   + shape.nslots * shape.stride);

    table->taken = 0;
    table->free = 0;
    table->newest = 0;
    table->oldest = 0;
    table->used = 0;

    ngx_memzero(table->buckets, shape.nbuckets * sizeof(uint32_t));

    ngx_limiter_table_end(table);

    return NGX_OK;
}


void *
ngx_limiter_table_lookup(ngx_limiter_table_t *table, ngx_str_t *key)
{
    uint32_t  i;

    i = ngx_limiter_table_find(table, key, ngx_limiter_table_bucket(table,
                                                                    key));
    if (i == 0) {
        return NULL;
    }

    if (table->newest != i) {
        ngx_limiter_table_begin(table, NGX_LIMITER_TABLE_MOVED | i);
        ngx_limiter_table_unlink(table, i);
        ngx_limiter_table_newest(table, i);
        ngx_limiter_table_end(table);
    }

    return ngx_limiter_table_payload(table, ngx_limiter_table_slot(table, i));
}


void *
ngx_limiter_table_insert(ngx_limiter_table_t *table, ngx_str_t *key)
{
    void                *payload;
    uint32_t             i, bucket;
    ngx_limiter_slot_t  *slot;

    payload = ngx_limiter_table_lookup(table, key);
    if (payload) {
        return payload;
    }

    bucket = ngx_limiter_table_bucket(table, key);

    i = ngx_limiter_table_take(table);
    slot = ngx_limiter_table_slot(table, i);

    payload = ngx_limiter_table_payload(table, slot);
    ngx_memzero(payload, table->stride);

    slot->next = table->buckets[bucket];
    table->buckets[bucket] = i;

    ngx_limiter_table_len(table, slot) = (u_char) key->len;
    ngx_memcpy(ngx_limiter_table_key(table, slot), key->data, key->len);

    ngx_limiter_table_newest(table, i);
    table->used++;

    ngx_limiter_table_end(table);

    return payload;
}


void
ngx_limiter_table_remove(ngx_limiter_table_t *table, ngx_str_t *key)
{
    uint32_t             i;
    ngx_limiter_slot_t  *slot;

    i = ngx_limiter_table_find(table, key, ngx_limiter_table_bucket(table,
                                                                    key));
    if (i == 0) {
        return;
    }

    ngx_limiter_table_begin(table, i);

    ngx_limiter_table_unlink(table, i);
    ngx_limiter_table_unchain(table, i);

    slot = ngx_limiter_table_slot(table, i);
    slot->next = table->free;
    ngx_limiter_table_len(table, slot) = NGX_LIMITER_TABLE_FREE;
    table->free = i;
    table->used--;

    ngx_limiter_table_end(table);
}


void *
ngx_limiter_table_walk(ngx_limiter_table_t *table, uint32_t i, ngx_str_t *key)
{
    ngx_limiter_slot_t  *slot;

    ngx_limiter_table_sound(table);

    if (i >= table->taken) {
        return NULL;
    }

    slot = ngx_limiter_table_slot(table, i + 1);

    if (ngx_limiter_table_len(table, slot) == NGX_LIMITER_TABLE_FREE) {
        return NULL;
    }

    key->data = ngx_limiter_table_key(table, slot);
    key->len = ngx_limiter_table_len(table, slot);

    return ngx_limiter_table_payload(table, slot);
}


uint64_t
ngx_limiter_table_counted(ngx_limiter_table_t *table, ngx_uint_t i)
{
    uint64_t    sum;
    ngx_uint_t  k;

    sum = 0;

    for (k = 0; k < NGX_LIMITER_TABLE_COPIES; k++) {
        sum += ngx_shared_number_get(&table->counters[k][i]);
    }

    return sum;
}


/* Where a key is looked for, in a table that is known to be sound. */

static uint32_t
ngx_limiter_table_bucket(ngx_limiter_table_t *table, ngx_str_t *key)
{
    ngx_limiter_table_sound(table);

    return ngx_limiter_table_hash(table, key->data, key->len);
}


static void
ngx_limiter_table_sound(ngx_limiter_table_t *table)
{
    if (table->busy == NGX_LIMITER_TABLE_ALL) {
        (void) ngx_limiter_table_carve(table, table->payload);

    } else if (table->busy) {
        ngx_limiter_table_rebuild(table);
    }
}


/* "busy" stays what it is: whoever dies here, too, leaves it to the next. */

static void
ngx_limiter_table_rebuild(ngx_limiter_table_t *table)
{
    uint32_t    i, changed;
    ngx_uint_t  moved;

    changed = table->busy & ~NGX_LIMITER_TABLE_MOVED;
    moved = (table->busy != changed);

    if (!moved) {
        ngx_limiter_table_len(table, ngx_limiter_table_slot(table, changed))
            = NGX_LIMITER_TABLE_FREE;
    }

    ngx_memzero(table->buckets, table->nbuckets * sizeof(uint32_t));

    table->free = 0;
    table->used = 0;

    for (i = 1; i <= table->taken; i++) {
        ngx_limiter_table_rechain(table, i);
    }

    ngx_limiter_table_reorder(table, changed);

    if (moved) {
        ngx_limiter_table_newest(table, changed);
    }

    ngx_limiter_table_end(table);
}


static void
ngx_limiter_table_rechain(ngx_limiter_table_t *table, uint32_t i)
{
    u_char               len;
    uint32_t            *bucket;
    ngx_limiter_slot_t  *slot;

    slot = ngx_limiter_table_slot(table, i);
    len = ngx_limiter_table_len(table, slot);

    if (len == NGX_LIMITER_TABLE_FREE) {
        slot->next = table->free;
        table->free = i;
        return;
    }

    bucket = &table->buckets[ngx_limiter_table_hash(table,
                                         ngx_limiter_table_key(table, slot),
                                         len)];
    slot->next = *bucket;
    *bucket = i;

    table->used++;
}


/* The order of use without the slot that may or may not be in it. */

static void
ngx_limiter_table_reorder(ngx_limiter_table_t *table, uint32_t changed)
{
    uint32_t             i, n, newer, *p;
    ngx_limiter_slot_t  *slot;

    p = &table->newest;
    newer = 0;

    for (n = 0; *p && n <= table->taken; n++) {
        i = *p;
        slot = ngx_limiter_table_slot(table, i);

        if (i == changed) {
            *p = slot->older;
            continue;
        }

        slot->newer = newer;
        newer = i;
        p = &slot->older;
    }

    table->oldest = newer;
}


/* clients choose keys, but not the secret: not what a chain holds */

static uint32_t
ngx_limiter_table_hash(ngx_limiter_table_t *table, u_char *key, size_t len)
{
    return XXH3_64bits_withSecret(key, len, table->secret,
                                  NGX_LIMITER_TABLE_SECRET)
           & (table->nbuckets - 1);
}


static uint32_t
ngx_limiter_table_find(ngx_limiter_table_t *table, ngx_str_t *key,
    uint32_t bucket)
{
    uint32_t             i;
    ngx_limiter_slot_t  *slot;

    for (i = table->buckets[bucket]; i; i = slot->next) {

        slot = ngx_limiter_table_slot(table, i);

        if (ngx_limiter_table_len(table, slot) == key->len
            && ngx_memcmp(ngx_limiter_table_key(table, slot), key->data,
                          key->len)
               == 0)
        {
            return i;
        }
    }

    return 0;
}


/* Begins a change, of the slot that is returned. */

static uint32_t
ngx_limiter_table_take(ngx_limiter_table_t *table)
{
    uint32_t  i;

    if (table->free) {
        i = table->free;
        ngx_limiter_table_begin(table, i);

        table->free = ngx_limiter_table_slot(table, i)->next;
        return i;
    }

    if (table->taken < table->nslots) {
        i = table->taken + 1;
        ngx_limiter_table_begin(table, i);

        table->taken = i;
        return i;
    }

    i = table->oldest;
    ngx_limiter_table_begin(table, i);

    ngx_limiter_table_unlink(table, i);
    ngx_limiter_table_unchain(table, i);

    table->used--;
    table->evicted++;

    return i;
}


static void
ngx_limiter_table_newest(ngx_limiter_table_t *table, uint32_t i)
{
    ngx_limiter_slot_t  *slot;

    slot = ngx_limiter_table_slot(table, i);

    ngx_limiter_table_fence();

    slot->newer = 0;
    slot->older = table->newest;

    if (table->newest) {
        ngx_limiter_table_slot(table, table->newest)->newer = i;

    } else {
        table->oldest = i;
    }

    ngx_limiter_table_fence();
    table->newest = i;
}


static void
ngx_limiter_table_unlink(ngx_limiter_table_t *table, uint32_t i)
{
    ngx_limiter_slot_t  *slot;

    slot = ngx_limiter_table_slot(table, i);

    if (slot->newer) {
        ngx_limiter_table_slot(table, slot->newer)->older = slot->older;

    } else {
        table->newest = slot->older;
    }

    if (slot->older) {
        ngx_limiter_table_slot(table, slot->older)->newer = slot->newer;

    } else {
        table->oldest = slot->newer;
    }
}


static void
ngx_limiter_table_unchain(ngx_limiter_table_t *table, uint32_t i)
{
    u_char              *key;
    uint32_t            *p;
    ngx_limiter_slot_t  *slot;

    slot = ngx_limiter_table_slot(table, i);
    key = ngx_limiter_table_key(table, slot);

    p = &table->buckets[ngx_limiter_table_hash(table, key,
                                               ngx_limiter_table_len(table,
                                                                     slot))];

    while (*p != i) {
        p = &ngx_limiter_table_slot(table, *p)->next;
    }

    *p = slot->next;
}
