
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


static ngx_uint_t  l1_bad_hash;


static XXH64_hash_t
l1_hash(const void *data, size_t len, XXH64_hash_t seed)
{
    return l1_bad_hash ? 7 : XXH3_64bits_withSeed(data, len, seed);
}


/*
 * The source instead of its object, so that the hash can be made a bad one:
 * what is found must not depend on it.
 */

#undef XXH3_64bits_withSeed
#define XXH3_64bits_withSeed  l1_hash

#include <ngx_optcache_l1.c>


#include "l1_zone.h"
#include "l1_sound.h"


#define KEYS    40


static int setup(void **state);
static int setup_bad_hash(void **state);
static int setup_large(void **state);
static int setup_no_tags(void **state);
static int teardown(void **state);


static void
test_round_trip(void **state)
{
    size_t      i;
    zone_t     *z = *state;

    static const size_t  sizes[][2] = {
        { 0, 0 }, { 1, 0 }, { 0, 1 }, { 100, 50 }, { 4096, 4096 },
        { 5000, 0 }, { 65520, 0 }, { 65521, 1 }, { 150000, 20000 }
    };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(l1_store(z, i, 1, sizes[i][0], sizes[i][1]),
                         NGX_OK);
        assert_true(l1_holds(z, i, 1));

        l1_remove(z, i);
        assert_false(l1_holds(z, i, 1));
        assert_empty(z);
    }
}


/* one byte more, less or other */

static void
test_identity(void **state)
{
    size_t                i;
    zone_t               *z = *state;
    ngx_str_t             key;
    ngx_pool_t           *pool;
    ngx_optcache_entry_t  e, found;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, 1, 1, 10, 0);
    assert_int_equal(ngx_optcache_l1_store(z->l1, &e), NGX_OK);

    key.len = e.key.len;
    key.data = ngx_pnalloc(pool, key.len + 1);
    assert_non_null(key.data);
    memcpy(key.data, e.key.data, key.len);
    key.data[key.len] = 0;

    assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                     NGX_OK);

    for (i = 0; i < key.len; i++) {
        key.data[i] ^= 1;
        assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                         NGX_DECLINED);
        key.data[i] ^= 1;
    }

    key.len++;
    assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                     NGX_DECLINED);

    key.len -= 2;
    assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                     NGX_DECLINED);

    ngx_optcache_l1_remove(z->l1, &key);

    ngx_destroy_pool(pool);

    assert_true(l1_holds(z, 1, 1));
}


/* so long that it lies in several pieces */

static void
test_identity_long(void **state)
{
    size_t                i;
    zone_t               *z = *state;
    ngx_str_t             key;
    ngx_pool_t           *pool;
    ngx_optcache_entry_t  e, found;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, 1, 1, 10, 0);

    key.len = 20000;
    key.data = ngx_pnalloc(pool, key.len);
    assert_non_null(key.data);

    for (i = 0; i < key.len; i++) {
        key.data[i] = (u_char) (i % 251);
    }

    e.key = key;
    assert_int_equal(ngx_optcache_l1_store(z->l1, &e), NGX_OK);

    for (i = 0; i < key.len; i += 13) {
        key.data[i] ^= 1;
        assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                         NGX_DECLINED);
        key.data[i] ^= 1;
    }

    key.data[key.len - 1] ^= 1;
    assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                     NGX_DECLINED);
    key.data[key.len - 1] ^= 1;

    assert_int_equal(ngx_optcache_l1_lookup(z->l1, &key, pool, &found),
                     NGX_OK);
    assert_int_equal(found.body_len, e.body_len);

    ngx_destroy_pool(pool);
}


/* What was not found may be there when something has been stored since. */

static void
test_absent(void **state)
{
    zone_t                    *z = *state;
    ngx_pool_t                *pool;
    ngx_optcache_entry_t       e, other, found;
    ngx_optcache_l1_absent_t   absent;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, 1, 1, 10, 0);

    assert_int_equal(ngx_optcache_l1_search(z->l1, &e.key, pool, &found,
                                            &absent),
                     NGX_DECLINED);
    assert_ptr_equal(absent.key, e.key.data);
    assert_true(absent.hash == ngx_optcache_l1_hash(z->l1, &e.key));

    ngx_optcache_l1_remove(z->l1, &e.key);
    assert_false(ngx_optcache_l1_changed(z->l1, &absent));

    assert_int_equal(ngx_optcache_l1_store(z->l1, &e), NGX_OK);
    assert_true(ngx_optcache_l1_changed(z->l1, &absent));

    assert_int_equal(ngx_optcache_l1_search(z->l1, &e.key, pool, &found,
                                            &absent),
                     NGX_OK);
    assert_null(absent.key);

    l1_remove(z, 1);

    assert_int_equal(ngx_optcache_l1_search(z->l1, &e.key, pool, &found,
                                            &absent),
                     NGX_DECLINED);

    /* stored by the hash that is known, which is not that of another one */

    l1_fill(pool, &other, 2, 1, 10, 0);

    assert_int_equal(ngx_optcache_l1_store_absent(z->l1, &e, &absent), NGX_OK);
    assert_int_equal(ngx_optcache_l1_store_absent(z->l1, &other, &absent),
                     NGX_OK);
    assert_true(l1_holds(z, 1, 1));
    assert_true(l1_holds(z, 2, 1));

    /* it is replaced, and removed */

    assert_int_equal(ngx_optcache_l1_store(z->l1, &e), NGX_OK);
    l1_remove(z, 1);
    assert_true(ngx_optcache_l1_changed(z->l1, &absent));

    ngx_destroy_pool(pool);
}


/* Up to where one request has compared it, the next one need not. */

static void
test_compared(void **state)
{
    zone_t               *z = *state;
    ngx_pool_t           *pool, *other;
    ngx_optcache_entry_t  e, again;

    assert_int_equal(l1_store(z, 3, 5, 100, 0), NGX_OK);

    pool = l1_lookup(z, 3, &e);
    assert_non_null(pool);
    assert_int_equal(e.moment.clock, 15);

    ngx_optcache_l1_compared(&e, 1000);
    assert_int_equal(e.moment.clock, 1000);

    other = l1_lookup(z, 3, &again);
    assert_non_null(other);
    assert_int_equal(again.moment.clock, 1000);

    /* of one that is replaced, it is of no use to that which replaces it */

    assert_int_equal(l1_store(z, 3, 6, 100, 0), NGX_OK);
    ngx_optcache_l1_compared(&e, 2000);

    ngx_destroy_pool(other);
    ngx_destroy_pool(pool);

    pool = l1_lookup(z, 3, &e);
    assert_non_null(pool);
    assert_int_equal(e.moment.clock, 18);

    ngx_destroy_pool(pool);
}


static void
test_replace(void **state)
{
    zone_t               *z = *state;
    ngx_pool_t           *pool;
    ngx_optcache_entry_t  e;

    assert_int_equal(l1_store(z, 1, 1, 30000, 100), NGX_OK);

    pool = l1_lookup(z, 1, &e);
    assert_non_null(pool);

    assert_int_equal(l1_store(z, 1, 2, 20000, 0), NGX_OK);
    assert_true(l1_holds(z, 1, 2));

    /* who reads the old one reads it to its end */

    assert_entry(&e, 1, 1);

    l1_remove(z, 1);
    assert_false(l1_holds(z, 1, 2));
    assert_entry(&e, 1, 1);

    ngx_destroy_pool(pool);

    assert_empty(z);
}


/* what is asked for stays, of the rest the oldest leaves */

static void
test_full(void **state)
{
    zone_t      *z = *state;
    ngx_uint_t   i, n;

    /* 256k have no room for 60 of 10k; the first is asked for all the time */

    for (i = 0; i < 60; i++) {
        assert_int_equal(l1_store(z, i, 1, 10000, 0), NGX_OK);
        assert_true(l1_holds(z, 0, 1));
    }

    for (i = 1; i < 60 && !l1_holds(z, i, 1); i++) { /* void */ }

    n = 60 - i;
    assert_in_range(n, 18, 24);

    /* none has left before one that was older */

    for ( /* void */ ; i < 60; i++) {
        assert_true(l1_holds(z, i, 1));
    }

    assert_sound(z);

    for (i = 0; i < 60; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
}


/* what is asked for once does not drive out what is asked for often */

static void
test_scan(void **state)
{
    zone_t      *z = *state;
    ngx_uint_t   i, k, n;

    for (i = 0; i < 100; i++) {
        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);

        for (k = 0; k < 3; k++) {
            assert_true(l1_holds(z, i, 1));
        }
    }

    for (i = 1000; i < 6000; i++) {
        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);
    }

    for (i = 0, n = 0; i < 100; i++) {
        n += l1_holds(z, i, 1);
    }

    assert_int_equal(n, 100);

    assert_sound(z);
}


/* a guess who leaves next can end in a body, which says what clients like */

static void
test_guess(void **state)
{
    zone_t                   *z = *state;
    uint64_t                  all;
    ngx_uint_t                i, guesses, given_up;
    ngx_optcache_l1_node_t   *node;
    ngx_optcache_l1_shctx_t  *sh;

    sh = z->l1->sh;
    all = (uint64_t) sh->npages * NGX_OPTCACHE_L1_CELLS;

    for (i = 0; i < 2000; i++) {
        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);
    }

    guesses = 0;
    given_up = 0;

    for (i = 2000; i < 6000; i++) {
        z->l1->next.cell = i * 2654435761u % all;
        node = ngx_optcache_l1_node(sh, z->l1->next.cell);

        guesses += z->l1->next.chosen;
        given_up += z->l1->next.chosen && node->newer >= all;

        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);
        assert_in_range(z->l1->next.cell, 0, all - 1);
    }

    assert_in_range(given_up, 1, guesses - 1);

    assert_sound(z);
}


/* what returns soon after it left is not new */

static void
test_ghost(void **state)
{
    zone_t      *z = *state;
    ngx_uint_t   i, n, key;

    for (i = 0; i < 300; i++) {
        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);
    }

    /* the one that left last */

    for (key = 0; !l1_holds(z, key + 1, 1); key++) { /* void */ }

    assert_int_equal(l1_store(z, key, 2, 1000, 0), NGX_OK);

    for (i = 1000; i < 3000; i++) {
        assert_int_equal(l1_store(z, i, 1, 1000, 0), NGX_OK);
    }

    assert_true(l1_holds(z, key, 2));

    /* nor is what replaces one that is asked for */

    for (n = 3; n < 10; n++) {
        assert_int_equal(l1_store(z, key, n, 1000, 0), NGX_OK);

        for (i = 0; i < 500; i++) {
            assert_int_equal(l1_store(z, n * 1000 + i, 1, 1000, 0), NGX_OK);
        }

        assert_true(l1_holds(z, key, n));
    }

    assert_sound(z);
}


/* as a reader does, and more than any may */

static ngx_optcache_l1_pin_t *
l1_pin(zone_t *z, ngx_uint_t key)
{
    uint32_t                  cell;
    uint64_t                  hash;
    ngx_uint_t                i;
    ngx_pool_t               *pool;
    ngx_optcache_entry_t      e;
    ngx_optcache_l1_pin_t    *pin;
    ngx_optcache_l1_shard_t  *shard;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, key, 0, 0, 0);

    hash = ngx_optcache_l1_hash(z->l1, &e.key);
    i = ngx_optcache_l1_shard_of(z->l1->sh, hash);

    pin = ngx_optcache_l1_worker_pin(z->l1);
    assert_non_null(pin);

    shard = ngx_optcache_l1_shard_lock(z->l1->sh, i);

    cell = ngx_optcache_l1_shard_find(z->l1->sh, i, &e.key, hash);
    assert_int_not_equal(cell, 0);
    assert_int_not_equal(ngx_optcache_l1_shard_pin(z->l1->sh, cell, pin),
                         NGX_BUSY);

    ngx_optcache_l1_unlock(&shard->lock);
    ngx_destroy_pool(pool);

    return pin;
}


static void
test_pinned_stays(void **state)
{
    zone_t                 *z = *state;
    ngx_uint_t              i, n;
    ngx_optcache_l1_pin_t  *pins[60];

    for (n = 0; n < 60; n++) {

        if (l1_store(z, n, 1, 10000, 0) != NGX_OK) {
            break;
        }

        pins[n] = l1_pin(z, n);
    }

    /* full of what is being read: no room, and nothing that is read leaves */

    assert_in_range(n, 18, 24);

    for (i = 0; i < n; i++) {
        assert_true(l1_holds(z, i, 1));
    }

    assert_sound(z);

    ngx_optcache_l1_unpin(z->l1, pins[0]);

    assert_int_equal(l1_store(z, n, 1, 10000, 0), NGX_OK);
    assert_true(l1_holds(z, n, 1));
    assert_false(l1_holds(z, 0, 1));

    for (i = 1; i < n; i++) {
        assert_true(l1_holds(z, i, 1));
        ngx_optcache_l1_unpin(z->l1, pins[i]);
    }

    for (i = 0; i <= n; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
}


/* readers of most of a zone get no more of it, but what is short as a copy */

static void
test_lent(void **state)
{
    zone_t                *z = *state;
    ngx_int_t              rc;
    ngx_uint_t             i, n, busy;
    ngx_pool_t            *pools[80];
    ngx_optcache_entry_t   e[80], key;

    for (n = 0, busy = 0; n < 80; n++) {
        assert_int_equal(l1_store(z, n, 1, (n % 2) ? 5000 : 70000, 0), NGX_OK);

        pools[n] = ngx_create_pool(4096, &z->log);
        assert_non_null(pools[n]);

        l1_fill(pools[n], &key, n, 0, 0, 0);
        memset(&e[n], 0xff, sizeof(ngx_optcache_entry_t));

        rc = ngx_optcache_l1_lookup(z->l1, &key.key, pools[n], &e[n]);

        if (rc == NGX_BUSY) {
            assert_int_equal(n % 2, 0);

            ngx_destroy_pool(pools[n]);
            pools[n] = NULL;
            busy++;

        } else {
            assert_int_equal(rc, NGX_OK);
        }

        assert_sound(z);
    }

    assert_in_range(busy, 28, 36);

    for (i = 0; i < n; i++) {

        if (pools[i]) {
            assert_entry(&e[i], i, 1);

            /* a copy has nothing of the zone */
            ngx_optcache_l1_compared(&e[i], 1);

            ngx_destroy_pool(pools[i]);
        }
    }

    assert_int_equal(l1_store(z, n, 1, 70000, 0), NGX_OK);
    assert_true(l1_holds(z, n, 1));

    for (i = 0; i <= n; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
}


/* entries leave until there is room, whatever was cut up before */

static void
test_all_sizes(void **state)
{
    size_t                 body;
    zone_t                *z = *state;
    ngx_uint_t             i, n;
    ngx_chain_t           *cl;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    srandom(9113);

    for (i = 0; i < 2000; i++) {
        body = random() % ((i % 50) ? 3000 : 200000);

        assert_int_equal(l1_store(z, i, i, body, random() % 300), NGX_OK);
        assert_true(l1_holds(z, i, i));

        if (i % 100 == 0) {
            assert_sound(z);
        }
    }

    /* pieces are as long as they can be: whole pages of 4 KiB */

    assert_int_equal(l1_store(z, i, 1, 40000, 0), NGX_OK);

    pool = l1_lookup(z, i, &e);
    assert_non_null(pool);

    for (n = 0, cl = e.body; cl; cl = cl->next) {
        n++;
    }

    assert_in_range(n, 1, 10);

    ngx_destroy_pool(pool);
}


/* what is left between what is being read is used, however short it is */

static void
test_short_pieces(void **state)
{
    zone_t                 *z = *state;
    ngx_uint_t              i, n;
    ngx_optcache_l1_pin_t  *pins[600];

    for (n = 0; n < 600; n++) {

        if (l1_store(z, n, 1, 300, 0) != NGX_OK) {
            break;
        }

        pins[n] = l1_pin(z, n);
    }

    assert_in_range(n, 300, 599);
    assert_int_equal(l1_store(z, 1000, 1, 20000, 0), NGX_DECLINED);

    /* every second one leaves: half of the cells, none beside another */

    for (i = 0; i < n; i += 2) {
        ngx_optcache_l1_unpin(z->l1, pins[i]);
        l1_remove(z, i);
    }

    assert_int_equal(l1_store(z, 1000, 1, 60000, 0), NGX_OK);
    assert_true(l1_holds(z, 1000, 1));
    assert_sound(z);

    for (i = 1; i < n; i += 2) {
        ngx_optcache_l1_unpin(z->l1, pins[i]);
        l1_remove(z, i);
    }

    l1_remove(z, 1000);
    assert_empty(z);
}


/* a head in one piece is not copied, one in several is */

static void
test_head(void **state)
{
    size_t                 len;
    zone_t                *z = *state;
    u_char                *p, *last;
    ngx_uint_t             i;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e, found;

    for (len = 1; len < 65536; len = len * 2 + 17) {
        pool = ngx_create_pool(4096, &z->log);
        assert_non_null(pool);

        l1_fill(pool, &e, 1, 1, 100, 0);

        e.head.len = len;
        e.head.data = ngx_pnalloc(pool, len);
        assert_non_null(e.head.data);

        for (i = 0; i < len; i++) {
            e.head.data[i] = (u_char) (i * 7 + (i >> 8));
        }

        assert_int_equal(ngx_optcache_l1_store(z->l1, &e), NGX_OK);
        assert_int_equal(ngx_optcache_l1_lookup(z->l1, &e.key, pool, &found),
                         NGX_OK);

        assert_int_equal(found.head.len, len);
        assert_memory_equal(found.head.data, e.head.data, len);

        p = z->l1->sh->data;
        last = p + z->l1->sh->npages * NGX_OPTCACHE_L1_PAGE;

        assert_int_equal(found.head.data >= p && found.head.data < last,
                         len < 3900);

        ngx_destroy_pool(pool);
    }

    l1_remove(z, 1);
    assert_empty(z);
}


/*
 * What docs say of the size of a zone, and what was promised: 200 bytes an
 * entry, payload 85 % of responses of 1 KiB.
 */

static void
test_space(void **state)
{
    double                 entry, told;
    zone_t                 z;
    ngx_str_t              key;
    ngx_uint_t             i, n;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    static u_char          head[150];
    static u_char          text[40];

    assert_int_equal(zone_create(&z, 16 * 1024 * 1024), NGX_OK);

    pool = ngx_create_pool(4096, &z.log);
    assert_non_null(pool);

    key.data = text;
    key.len = sizeof(text);
    ngx_memset(text, 'k', sizeof(text));

    l1_fill(pool, &e, 0, 1, 1024, 0);

    e.ntags = 0;
    e.key = key;
    e.head.data = head;
    e.head.len = sizeof(head);

    for (i = 0; i < 20000; i++) {
        ngx_memcpy(text, &i, sizeof(i));
        assert_int_equal(ngx_optcache_l1_store(z.l1, &e), NGX_OK);
    }

    for (i = 0, n = 0; i < z.l1->sh->nshards; i++) {
        n += z.l1->sh->shards[i].entries;
    }

    entry = (double) z.size / n;

    assert_true(entry - (1024 + 150 + 40) <= 200);
    assert_true(n * (1024.0 + 150 + 40) / z.size >= 0.85);

    told = (ngx_align(96 + 40 + 150, 64) + ngx_align(1024, 64)) / 0.96;

    assert_true(entry / told > 0.97 && entry / told < 1.03);

    ngx_destroy_pool(pool);
    zone_destroy(&z);
}


static void
test_too_large(void **state)
{
    zone_t  *z = *state;

    assert_int_equal(l1_store(z, 1, 1, 1000, 0), NGX_OK);

    assert_int_equal(l1_store(z, 2, 1, z->size, 0), NGX_DECLINED);
    assert_int_equal(l1_store(z, 2, 1, 200, z->size), NGX_DECLINED);

    /* what can never fit costs nobody else his place */

    assert_true(l1_holds(z, 1, 1));
    assert_false(l1_holds(z, 2, 1));

    /* what nearly fits may, but leaves nothing behind */

    assert_int_equal(l1_store(z, 2, 1, z->size - 12000, 0), NGX_DECLINED);
    l1_remove(z, 1);
    assert_empty(z);
}


/* many operations on few keys, some entries being read for a long time */

static void
test_random(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             i, n, key, stored[KEYS], gens[KEYS], read[KEYS];
    ngx_pool_t            *pools[KEYS];
    ngx_optcache_entry_t   e[KEYS];

    ngx_memzero(stored, sizeof(stored));
    ngx_memzero(pools, sizeof(pools));

    srandom(9111);

    for (n = 1; n < 4000; n++) {
        key = random() % KEYS;

        switch (random() % 6) {

        case 0:
        case 1:
            if (l1_store(z, key, n, random() % 20000, random() % 3000)
                == NGX_OK)
            {
                stored[key] = n;
            }

            break;

        case 2:
            l1_remove(z, key);
            stored[key] = 0;
            break;

        case 3:
            if (pools[key]) {
                assert_entry(&e[key], key, read[key]);
                ngx_destroy_pool(pools[key]);
                pools[key] = NULL;
            }

            break;

        default:
            if (pools[key]) {
                assert_entry(&e[key], key, read[key]);
                break;
            }

            pools[key] = l1_lookup(z, key, &e[key]);

            if (pools[key]) {
                /* the last that was stored, or none: it may have left */
                assert_entry(&e[key], key, stored[key]);
                read[key] = stored[key];
            }
        }
    }

    for (i = 0; i < KEYS; i++) {
        gens[i] = (pools[i] != NULL);

        if (pools[i]) {
            assert_entry(&e[i], i, read[i]);
            ngx_destroy_pool(pools[i]);
        }

        l1_remove(z, i);
    }

    /* the test was worth something */

    for (i = 0, n = 0; i < KEYS; i++) {
        n += gens[i];
    }

    assert_true(n > 2);

    assert_empty(z);
}


static void
test_not_attached(void **state)
{
    zone_t             *z = *state;
    ngx_uint_t          i, nslots;
    ngx_optcache_l1_t   other, *others;

    assert_int_equal(l1_store(z, 1, 1, 10, 0), NGX_OK);

    ngx_optcache_l1_detach(z->l1);

    assert_false(l1_holds(z, 1, 1));
    assert_int_equal(l1_store(z, 1, 2, 10, 0), NGX_DECLINED);

    /* as many workers as can be, all alive */

    nslots = z->l1->sh->nslots;
    others = calloc(nslots + 1, sizeof(ngx_optcache_l1_t));
    assert_non_null(others);

    for (i = 0; i < nslots; i++) {
        others[i] = *z->l1;
        assert_int_equal(ngx_optcache_l1_attach(&others[i], &z->log), NGX_OK);
    }

    other = *z->l1;
    assert_int_equal(ngx_optcache_l1_attach(&other, &z->log), NGX_ERROR);
    assert_null(other.slot);

    ngx_time_init();

    ngx_optcache_l1_attach_late(&other, &z->log);
    assert_null(other.slot);

    for (i = 0; i < nslots; i++) {
        ngx_optcache_l1_detach(&others[i]);
    }

    free(others);

    /* once a second is enough */

    ngx_optcache_l1_attach_late(&other, &z->log);
    assert_null(other.slot);

    other.tried--;
    ngx_optcache_l1_attach_late(&other, &z->log);
    assert_non_null(other.slot);

    ngx_optcache_l1_detach(&other);

    assert_int_equal(ngx_optcache_l1_attach(z->l1, &z->log), NGX_OK);
    assert_true(l1_holds(z, 1, 1));
}


static void
test_reload(void **state)
{
    zone_t             *z = *state;
    ngx_shm_zone_t      shm_zone;
    ngx_optcache_l1_t   next;

    assert_int_equal(l1_store(z, 1, 1, 1000, 10), NGX_OK);

    /* the next generation has a view of its own */

    ngx_memzero(&next, sizeof(next));
    next.name = z->l1->name;

    shm_zone = *z->shm_zone;
    shm_zone.data = &next;

    assert_int_equal(shm_zone.init(&shm_zone, z->l1), NGX_OK);
    assert_int_equal(ngx_optcache_l1_attach(&next, &z->log), NGX_OK);
    assert_ptr_not_equal(next.slot, z->l1->slot);

    ngx_optcache_l1_detach(z->l1);
    *z->l1 = next;

    assert_true(l1_holds(z, 1, 1));

    /* one that was laid out otherwise is not touched */

    next.sh->version++;
    assert_int_equal(shm_zone.init(&shm_zone, z->l1), NGX_ERROR);
    next.sh->version--;
}


static void
test_zone_too_small(void **state)
{
    zone_t  z;

    assert_int_equal(zone_create(&z, 8192), NGX_ERROR);
    zone_destroy(&z);
}


static int
setup(void **state)
{
    zone_t  *z;

    z = malloc(sizeof(zone_t));
    if (z == NULL) {
        return -1;
    }

    *state = z;
    l1_bad_hash = 0;

    return (zone_create(z, 256 * 1024) == NGX_OK) ? 0 : -1;
}


static int
setup_large(void **state)
{
    zone_t  *z;

    z = malloc(sizeof(zone_t));
    if (z == NULL) {
        return -1;
    }

    *state = z;
    l1_bad_hash = 0;

    return (zone_create(z, 1024 * 1024) == NGX_OK) ? 0 : -1;
}


static int
setup_bad_hash(void **state)
{
    int  rc;

    rc = setup(state);
    l1_bad_hash = 1;

    return rc;
}


/* as in a zone in which a cell takes all bits of a link */

static int
setup_no_tags(void **state)
{
    int                       rc;
    zone_t                   *z;
    ngx_optcache_l1_shctx_t  *sh;

    rc = setup(state);

    if (rc == 0) {
        z = *state;
        sh = z->l1->sh;

        sh->link_cell = ~(uint32_t) 0;
        sh->link_more = 0;
        sh->link_tag = 0;
        sh->link_shift = 33;
    }

    return rc;
}


static int
teardown(void **state)
{
    zone_t  *z = *state;

    zone_destroy(z);
    free(z);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup_bad_hash,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_identity_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_long, setup_bad_hash,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guess, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ghost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pinned_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lent, setup_large, teardown),
        cmocka_unit_test_setup_teardown(test_all_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head, setup, teardown),
        cmocka_unit_test(test_space),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup_bad_hash,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_random, setup_no_tags, teardown),
        cmocka_unit_test_setup_teardown(test_not_attached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test(test_zone_too_small),
    };

    zone_process();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
