
/*
 * Copyright (C) The Optcache authors
 */


/* A worker that is killed at any of its stores into a zone. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>
#include <ngx_optcache_lock.h>

#include "../dies.h"
#include "l1_zone.h"
#include "l1_sound.h"


#if (DIES)

#define SIZE    (160 * 1024)
#define SMALL   (64 * 1024)
#define KEYS    8
#define MANY    60

/* of so many stores one is looked at, where there are many */
#define STEP    31

/* keys: of what is changed, read meanwhile, and not there yet */
#define KEY     3
#define READ    4
#define ABSENT  (KEYS + 1)


static zone_t                zone;
static ngx_optcache_l1_t     before;      /* of this worker */
static ngx_uint_t            key;         /* that is changed */
static ngx_pool_t           *pinned;      /* by the one that dies */
static ngx_optcache_entry_t  entry;


static void
begin(void)
{
    zone.l1->slot = NULL;

    if (ngx_optcache_l1_attach(zone.l1, &zone.log) != NGX_OK) {
        _exit(3);
    }
}


static void
begin_pinned(void)
{
    begin();
    pinned = l1_lookup(&zone, key, &entry);
}


static void
begin_removed(void)
{
    begin_pinned();
    l1_remove(&zone, key);
}


static void
store(void)
{
    (void) l1_store(&zone, key, 2, 300, 70);
}


static void
take_out(void)
{
    l1_remove(&zone, key);
}


static void
look(void)
{
    (void) l1_lookup(&zone, key, &entry);
}


static void
unpin(void)
{
    ngx_destroy_pool(pinned);
}


static void
replace(void)
{
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(4096, &zone.log);

    l1_fill(pool, &e, key, 2, 300, 70);
    (void) ngx_optcache_l1_replace(zone.l1, &entry, &e);
}


static void
leave(void)
{
    ngx_optcache_l1_detach(zone.l1);
}


/* takes the locks, and needs no place of its own */

static void
heal(void)
{
    l1_remove(&zone, ABSENT);
}


/* what a worker does that starts in place of a dead one */

static void
reclaim(void)
{
    ngx_optcache_l1_t  other;

    other = *zone.l1;
    other.slot = NULL;

    assert_int_equal(ngx_optcache_l1_attach(&other, &zone.log), NGX_OK);
    ngx_optcache_l1_detach(&other);
}


/* nothing is lost, mixed or forgotten, and all goes on */

static void
assert_whole(ngx_uint_t full)
{
    ngx_uint_t             i;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    for (i = 1; i <= ABSENT; i++) {
        pool = l1_lookup(&zone, i, &e);

        if (pool) {
            assert_entry(&e, i, e.date - NOW);
            assert_true(e.date - NOW == 1 || (i == key && e.date - NOW == 2));
            ngx_destroy_pool(pool);

        } else {
            assert_true(i == key || i == ABSENT || full);
        }
    }

    reclaim();
    assert_sound(&zone);

    l1_remove(&zone, key);
    assert_false(l1_holds(&zone, key, 1));

    if (!full) {
        for (i = 1; i <= KEYS; i++) {
            l1_remove(&zone, i);
        }
    }

    assert_sound(&zone);
    assert_int_equal(l1_store(&zone, ABSENT + 1, 1, 3000, 100), NGX_OK);
    assert_true(l1_holds(&zone, ABSENT + 1, 1));
    assert_sound(&zone);
}


static void
zone_dies(ngx_uint_t k, void (*start)(void), void (*code)(void),
    ngx_uint_t full, ngx_uint_t step)
{
    ngx_uint_t  n;

    key = k;
    before = *zone.l1;
    dies_begin = start;

    dies_init(zone.shm_zone->shm.addr, zone.size);

    for (n = 1; dies(code, n); n += step) {
        assert_whole(full);
        *zone.l1 = before;
    }

    assert_whole(full);
    *zone.l1 = before;

    assert_true(n > 3);

    ngx_memcpy(dies_memory, dies_before, dies_size);
}


static void
test_change(void **state)
{
    ngx_uint_t             i;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    assert_int_equal(zone_create(&zone, SIZE), NGX_OK);

    for (i = 1; i <= KEYS; i++) {
        assert_int_equal(l1_store(&zone, i, 1, 1000 * i, 50), NGX_OK);
    }

    pool = l1_lookup(&zone, READ, &e);
    assert_non_null(pool);

    zone_dies(ABSENT, begin, store, 0, 1);
    zone_dies(KEY, begin, store, 0, 1);
    zone_dies(READ, begin, store, 0, 1);
    zone_dies(KEY, begin, take_out, 0, 1);
    zone_dies(READ, begin, take_out, 0, 1);
    zone_dies(KEY, begin, look, 0, 1);
    zone_dies(KEY, begin_pinned, unpin, 0, 1);
    zone_dies(KEY, begin_removed, unpin, 0, 1);
    zone_dies(READ, begin_removed, unpin, 0, 1);
    zone_dies(KEY, begin_pinned, replace, 0, 1);
    zone_dies(KEY, begin_removed, replace, 0, 1);
    zone_dies(KEY, begin_removed, leave, 0, 1);

    assert_entry(&e, READ, 1);
    ngx_destroy_pool(pool);

    zone_destroy(&zone);
}


/* others leave to make room */

static void
test_full(void **state)
{
    ngx_uint_t  i;

    assert_int_equal(zone_create(&zone, SIZE), NGX_OK);

    for (i = 1; i < MANY; i++) {
        assert_int_equal(l1_store(&zone, i, 1, 2000, 50), NGX_OK);
    }

    zone_dies(MANY, begin, store, 1, 1);

    zone_destroy(&zone);
}


/* who makes sound what one left is killed, too */

static void
test_again(void **state)
{
    ngx_uint_t  i, n;

    assert_int_equal(zone_create(&zone, SMALL), NGX_OK);

    for (i = 1; i <= KEYS; i++) {
        assert_int_equal(l1_store(&zone, i, 1, 500 * i, 50), NGX_OK);
    }

    /* where a lock of a shard, or also that of the memory, is held */

    for (n = 8; n < 40; n += 20) {
        key = KEY;
        dies_begin = begin;

        dies_init(zone.shm_zone->shm.addr, zone.size);
        assert_true(dies(take_out, n));

        zone_dies(KEY, NULL, heal, 0, STEP);
    }

    zone_destroy(&zone);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_again)
    };

    zone_process();

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
    printf("1..0 # SKIP no way to stop at each store here\n");
    return 0;
}

#endif
