
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


#define NOW     ((time_t) 1700000000)
#define KEYS    40


typedef struct {
    ngx_pool_t         *pool;
    ngx_log_t           log;
    ngx_cycle_t         cycle;
    ngx_conf_t          cf;
    ngx_shm_zone_t     *shm_zone;
    ngx_optcache_l1_t  *l1;
    size_t              size;
    ngx_uint_t          pfree;      /* pages of an empty zone */
} zone_t;


/* an entry is told by two numbers: its key, and which of that key it is */

static ngx_int_t l1_store(zone_t *z, ngx_uint_t key, ngx_uint_t gen,
    size_t body, size_t gzip);
static ngx_pool_t *l1_lookup(zone_t *z, ngx_uint_t key,
    ngx_optcache_entry_t *e);
static ngx_uint_t l1_holds(zone_t *z, ngx_uint_t key, ngx_uint_t gen);
static void l1_remove(zone_t *z, ngx_uint_t key);
static void l1_fill(ngx_pool_t *pool, ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen, size_t body, size_t gzip);
static ngx_chain_t *l1_chain_make(ngx_pool_t *pool, size_t len, u_char first);
static void assert_entry(ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen);
static void assert_chain(ngx_chain_t *cl, size_t len, u_char first);
static void assert_empty(zone_t *z);

static int setup(void **state);
static int setup_bad_hash(void **state);
static int teardown(void **state);
static ngx_int_t zone_create(zone_t *z, size_t size);
static void zone_pool(zone_t *z, void *addr);
static void zone_destroy(zone_t *z);


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


static void
test_least_recently_used(void **state)
{
    zone_t      *z = *state;
    ngx_uint_t   i, n;

    /* 256k have no room for 60 of 10k; the first is asked for all the time */

    for (i = 0; i < 60; i++) {
        assert_int_equal(l1_store(z, i, 1, 10000, 0), NGX_OK);
        assert_true(l1_holds(z, i, 1));
        assert_true(l1_holds(z, 0, 1));
    }

    for (i = 1; i < 60 && !l1_holds(z, i, 1); i++) { /* void */ }

    n = 60 - i;
    assert_in_range(n, 12, 22);

    /* none has left before one that was older */

    for ( /* void */ ; i < 60; i++) {
        assert_true(l1_holds(z, i, 1));
    }

    for (i = 0; i < 60; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
}


static void
test_pinned_stays(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             i, n;
    ngx_pool_t            *pools[60];
    ngx_optcache_entry_t   e[60];

    for (n = 0; n < 60; n++) {

        if (l1_store(z, n, 1, 10000, 0) != NGX_OK) {
            break;
        }

        pools[n] = l1_lookup(z, n, &e[n]);
        assert_non_null(pools[n]);
    }

    /* full of what is being read: no room, and nothing that is read leaves */

    assert_in_range(n, 12, 22);

    for (i = 0; i < n; i++) {
        assert_entry(&e[i], i, 1);
        assert_true(l1_holds(z, i, 1));
    }

    ngx_destroy_pool(pools[0]);

    assert_int_equal(l1_store(z, n, 1, 10000, 0), NGX_OK);
    assert_true(l1_holds(z, n, 1));
    assert_false(l1_holds(z, 0, 1));

    for (i = 1; i < n; i++) {
        assert_entry(&e[i], i, 1);
        ngx_destroy_pool(pools[i]);
    }

    for (i = 0; i <= n; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
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
    ngx_uint_t          i;
    ngx_optcache_l1_t   other;

    assert_int_equal(l1_store(z, 1, 1, 10, 0), NGX_OK);

    ngx_optcache_l1_detach(z->l1);

    assert_false(l1_holds(z, 1, 1));
    assert_int_equal(l1_store(z, 1, 2, 10, 0), NGX_DECLINED);

    /* as many workers as can be, all alive */

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        assert_int_equal(z->l1->sh->slots[i].pid, 0);
        z->l1->sh->slots[i].pid = ngx_pid;
    }

    other = *z->l1;
    assert_int_equal(ngx_optcache_l1_attach(&other, &z->log), NGX_ERROR);
    assert_null(other.slot);

    ngx_time_init();

    ngx_optcache_l1_attach_late(&other, &z->log);
    assert_null(other.slot);

    for (i = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        z->l1->sh->slots[i].pid = 0;
    }

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


/* kill -9 while an entry is being sent */

static void
test_worker_died_reading(void **state)
{
    int                    status;
    pid_t                  pid;
    zone_t                *z = *state;
    ngx_uint_t             i, n;
    ngx_optcache_l1_t      other;
    ngx_optcache_entry_t   e;

    assert_int_equal(l1_store(z, 1, 1, 30000, 100), NGX_OK);

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        ngx_pid = ngx_getpid();
        z->l1->slot = NULL;

        if (ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK
            || l1_lookup(z, 1, &e) == NULL)
        {
            _exit(1);
        }

        _exit(0);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    l1_remove(z, 1);
    assert_true(z->l1->shpool->pfree < z->pfree);

    /* the next to start gives back what the dead one held */

    other = *z->l1;
    other.slot = NULL;
    assert_int_equal(ngx_optcache_l1_attach(&other, &z->log), NGX_OK);
    ngx_optcache_l1_detach(&other);

    assert_empty(z);

    for (i = 0, n = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        n += (z->l1->sh->slots[i].pid != 0);
    }

    assert_int_equal(n, 1);
}


/* kill -9 in the middle of a change */

static void
test_worker_died_writing(void **state)
{
    int                    status;
    pid_t                  pid;
    zone_t                *z = *state;
    ngx_uint_t             i, n;
    ngx_optcache_entry_t   e;

    assert_int_equal(l1_store(z, 1, 1, 100, 0), NGX_OK);

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        ngx_pid = ngx_getpid();
        z->l1->slot = NULL;

        if (ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK
            || l1_lookup(z, 1, &e) == NULL
            || ngx_optcache_l1_lock(z->l1) != NGX_OK)
        {
            _exit(1);
        }

        memset(&z->l1->sh->queue, 0xff, sizeof(ngx_queue_t));
        z->l1->sh->rbtree.root->left = (void *) 8;

        _exit(0);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    /* the master does this */

    assert_true(ngx_shmtx_force_unlock(&z->l1->shpool->mutex, pid));

    /* what the dead one was reading does not count, nor does its place */

    assert_false(l1_holds(z, 1, 1));
    assert_empty(z);

    for (i = 0, n = 0; i < NGX_OPTCACHE_L1_SLOTS; i++) {
        n += (z->l1->sh->slots[i].pid != 0);
    }

    assert_int_equal(n, 1);
    assert_int_equal(z->l1->slot->pid, ngx_pid);

    assert_int_equal(l1_store(z, 1, 2, 100, 0), NGX_OK);
    assert_true(l1_holds(z, 1, 2));
}


/* as long as somebody reads from a broken zone it is let alone */

static void
test_broken_and_read(void **state)
{
    zone_t                *z = *state;
    ngx_pool_t            *pool;
    ngx_optcache_l1_t      other;
    ngx_optcache_entry_t   e;

    assert_int_equal(l1_store(z, 1, 1, 30000, 100), NGX_OK);

    pool = l1_lookup(z, 1, &e);
    assert_non_null(pool);

    z->l1->sh->busy = 1;

    assert_false(l1_holds(z, 1, 1));
    assert_int_equal(l1_store(z, 2, 1, 10, 0), NGX_DECLINED);
    l1_remove(z, 1);

    other = *z->l1;
    other.slot = NULL;
    assert_int_equal(ngx_optcache_l1_attach(&other, &z->log), NGX_ERROR);
    assert_null(other.slot);

    assert_entry(&e, 1, 1);

    ngx_destroy_pool(pool);

    assert_int_equal(l1_store(z, 2, 1, 10, 0), NGX_OK);
    assert_true(l1_holds(z, 2, 1));
    assert_false(l1_holds(z, 1, 1));

    l1_remove(z, 2);
    assert_empty(z);
}


static void
test_zone_too_small(void **state)
{
    zone_t  z;

    assert_int_equal(zone_create(&z, 8192), NGX_ERROR);
    zone_destroy(&z);
}


static ngx_int_t
l1_store(zone_t *z, ngx_uint_t key, ngx_uint_t gen, size_t body, size_t gzip)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, key, gen, body, gzip);

    rc = ngx_optcache_l1_store(z->l1, &e);

    ngx_destroy_pool(pool);

    return rc;
}


/* returns the pool that pins the entry, NULL on a miss */

static ngx_pool_t *
l1_lookup(zone_t *z, ngx_uint_t key, ngx_optcache_entry_t *e)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   wanted;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &wanted, key, 0, 0, 0);

    memset(e, 0xff, sizeof(ngx_optcache_entry_t));

    rc = ngx_optcache_l1_lookup(z->l1, &wanted.key, pool, e);

    if (rc == NGX_OK) {
        return pool;
    }

    assert_int_equal(rc, NGX_DECLINED);

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_uint_t
l1_holds(zone_t *z, ngx_uint_t key, ngx_uint_t gen)
{
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = l1_lookup(z, key, &e);
    if (pool == NULL) {
        return 0;
    }

    assert_entry(&e, key, gen);

    ngx_destroy_pool(pool);

    return 1;
}


static void
l1_remove(zone_t *z, ngx_uint_t key)
{
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, key, 0, 0, 0);

    ngx_optcache_l1_remove(z->l1, &e.key);

    ngx_destroy_pool(pool);
}


static void
l1_fill(ngx_pool_t *pool, ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen, size_t body, size_t gzip)
{
    ngx_memzero(e, sizeof(ngx_optcache_entry_t));

    e->key.data = ngx_pnalloc(pool, 64);
    e->head.data = ngx_pnalloc(pool, 64);
    assert_non_null(e->key.data);
    assert_non_null(e->head.data);

    e->key.len = ngx_sprintf(e->key.data, "sm/uri/%ui", key) - e->key.data;
    e->head.len = ngx_sprintf(e->head.data, "head %ui %ui", key, gen)
                  - e->head.data;

    e->status = 200 + gen % 300;
    e->date = NOW + gen;
    e->last_modified = NOW + key;
    e->age = (uint32_t) gen;
    e->lifetime = (uint32_t) (gen + key);

    e->body = l1_chain_make(pool, body, (u_char) (key + gen));
    e->body_len = body;
    e->gzip = l1_chain_make(pool, gzip, (u_char) (key - gen));
    e->gzip_len = gzip;
}


/* buffers that do not end where the pieces do */

static ngx_chain_t *
l1_chain_make(ngx_pool_t *pool, size_t len, u_char first)
{
    size_t        n, i;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *chain, **ll;

    ll = &chain;

    while (len) {
        n = ngx_min(len, 7777);

        b = ngx_create_temp_buf(pool, n);
        cl = ngx_alloc_chain_link(pool);
        assert_non_null(b);
        assert_non_null(cl);

        for (i = 0; i < n; i++) {
            *b->last++ = first;
            first = first * 5 + 1;
        }

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;

        len -= n;
    }

    *ll = NULL;

    return chain;
}


static void
assert_entry(ngx_optcache_entry_t *e, ngx_uint_t key, ngx_uint_t gen)
{
    size_t  len;
    u_char  text[64];

    len = ngx_sprintf(text, "sm/uri/%ui", key) - text;
    assert_int_equal(e->key.len, len);
    assert_memory_equal(e->key.data, text, len);

    len = ngx_sprintf(text, "head %ui %ui", key, gen) - text;
    assert_int_equal(e->head.len, len);
    assert_memory_equal(e->head.data, text, len);

    assert_int_equal(e->status, 200 + gen % 300);
    assert_int_equal(e->date, NOW + gen);
    assert_int_equal(e->last_modified, NOW + key);
    assert_int_equal(e->age, gen);
    assert_int_equal(e->lifetime, gen + key);

    assert_chain(e->body, e->body_len, (u_char) (key + gen));
    assert_chain(e->gzip, e->gzip_len, (u_char) (key - gen));
}


static void
assert_chain(ngx_chain_t *cl, size_t len, u_char first)
{
    u_char  *p;

    for ( /* void */ ; cl; cl = cl->next) {

        assert_true(cl->buf->last > cl->buf->pos);
        assert_true(cl->buf->memory && !cl->buf->temporary);

        for (p = cl->buf->pos; p < cl->buf->last; p++) {

            if (*p != first) {
                fail_msg("a byte differs, %d left", (int) len);
            }

            first = first * 5 + 1;
            len--;
        }
    }

    assert_int_equal(len, 0);
}


/* nothing is left that somebody forgot */

static void
assert_empty(zone_t *z)
{
    assert_true(ngx_queue_empty(&z->l1->sh->queue));
    assert_ptr_equal(z->l1->sh->rbtree.root, &z->l1->sh->sentinel);
    assert_true(ngx_queue_empty(&z->l1->slot->pins));
    assert_int_equal(z->l1->slot->npins, 0);
    assert_int_equal(z->l1->shpool->pfree, z->pfree);
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

    if (zone_create(z, 256 * 1024) != NGX_OK
        || ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK)
    {
        return -1;
    }

    z->pfree = z->l1->shpool->pfree;

    return 0;
}


static int
setup_bad_hash(void **state)
{
    int  rc;

    rc = setup(state);
    l1_bad_hash = 1;

    return rc;
}


static int
teardown(void **state)
{
    zone_t  *z = *state;

    /* a test that crashed may have left it locked */

    (void) ngx_shmtx_force_unlock(&z->l1->shpool->mutex, ngx_pid);

    ngx_optcache_l1_detach(z->l1);
    zone_destroy(z);
    free(z);

    return 0;
}


/* what the core does for a zone at start */

static ngx_int_t
zone_create(zone_t *z, size_t size)
{
    void       *addr;
    ngx_str_t   name = ngx_string("zone");

    ngx_memzero(z, sizeof(zone_t));

    z->size = size;
    z->cycle.log = &z->log;
    ngx_cycle = &z->cycle;

    z->pool = ngx_create_pool(4096, &z->log);
    if (z->pool == NULL
        || ngx_list_init(&z->cycle.shared_memory, z->pool, 1,
                         sizeof(ngx_shm_zone_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    z->cf.pool = z->pool;
    z->cf.cycle = &z->cycle;
    z->cf.log = &z->log;

    z->l1 = ngx_optcache_l1_create(&z->cf, &name, size, z);
    if (z->l1 == NULL) {
        return NGX_ERROR;
    }

    /* MAP_SHARED: another process is to see it */

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);
    if (addr == MAP_FAILED) {
        return NGX_ERROR;
    }

    zone_pool(z, addr);

    return z->shm_zone->init(z->shm_zone, NULL);
}


static void
zone_pool(zone_t *z, void *addr)
{
    ngx_slab_pool_t  *sp;

    z->shm_zone = z->cycle.shared_memory.part.elts;
    z->shm_zone->shm.addr = addr;
    z->shm_zone->shm.log = &z->log;

    sp = addr;

    sp->end = (u_char *) addr + z->size;
    sp->min_shift = 3;
    sp->addr = addr;

    (void) ngx_shmtx_create(&sp->mutex, &sp->lock, NULL);

    ngx_slab_init(sp);
}


static void
zone_destroy(zone_t *z)
{
    (void) munmap(z->shm_zone->shm.addr, z->size);

    ngx_destroy_pool(z->pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup_bad_hash,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_least_recently_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_pinned_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup_bad_hash,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_not_attached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_worker_died_reading, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_worker_died_writing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_broken_and_read, setup,
                                        teardown),
        cmocka_unit_test(test_zone_too_small),
    };

    /* a lock that is never given back must not hold up everything */

    (void) alarm(300);

    ngx_pid = ngx_getpid();
    ngx_ncpu = 1;
    ngx_pagesize = getpagesize();

    while ((ngx_uint_t) 1 << ngx_pagesize_shift < ngx_pagesize) {
        ngx_pagesize_shift++;
    }

    ngx_slab_sizes_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
