
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_table.h>


static ngx_log_t          logger;
static ngx_cycle_t        cycle;
static void              *memory;
static ngx_slab_pool_t   *shpool;


static void
pool_create(size_t size)
{
    assert_int_equal(posix_memalign(&memory, 4096, size), 0);
    ngx_memzero(memory, size);

    /* the slab logs to it */

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    shpool = memory;
    shpool->end = (u_char *) memory + size;
    shpool->min_shift = 3;
    shpool->addr = memory;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);

    ngx_slab_init(shpool);
}


static ngx_limiter_table_t *
table_create(size_t size, size_t payload)
{
    ngx_str_t             name;
    ngx_limiter_table_t  *table;

    pool_create(size);
    ngx_str_set(&name, "test");

    table = ngx_limiter_table_create(shpool, 0, payload, "test", &name);

    if (table) {
        assert_ptr_equal(shpool->data, table);
    }

    return table;
}


static ngx_str_t *
key_of(ngx_uint_t i)
{
    static u_char     buf[NGX_LIMITER_TABLE_KEY];
    static ngx_str_t  key;

    key.data = buf;
    key.len = ngx_sprintf(buf, "%ui", i) - buf;

    return &key;
}


static void
test_evict(void **state)
{
    uint64_t             *p;
    ngx_uint_t            i, n;
    ngx_limiter_table_t  *table;

    table = table_create(16 * 4096, 8);
    assert_non_null(table);

    n = table->nslots;
    assert_true(n > 400);

    for (i = 0; i < n; i++) {
        p = ngx_limiter_table_insert(table, key_of(i));
        assert_int_equal(*p, 0);
        *p = i + 1;
    }

    assert_int_equal(table->used, n);
    assert_int_equal(table->evicted, 0);

    /* 0 is used again, so that 1 is the oldest */

    p = ngx_limiter_table_lookup(table, key_of(0));
    assert_int_equal(*p, 1);

    p = ngx_limiter_table_insert(table, key_of(n));
    assert_int_equal(*p, 0);
    assert_int_equal(table->evicted, 1);
    assert_int_equal(table->used, n);

    assert_null(ngx_limiter_table_lookup(table, key_of(1)));
    assert_non_null(ngx_limiter_table_lookup(table, key_of(0)));
    assert_non_null(ngx_limiter_table_lookup(table, key_of(2)));

    /* a removed one makes room without anybody leaving */

    ngx_limiter_table_remove(table, key_of(3));
    ngx_limiter_table_remove(table, key_of(3));
    assert_null(ngx_limiter_table_lookup(table, key_of(3)));
    assert_int_equal(table->used, n - 1);

    ngx_limiter_table_insert(table, key_of(n + 1));
    assert_int_equal(table->evicted, 1);
    assert_int_equal(table->used, n);

    free(memory);
}


/* keys of all lengths, in any order, against a list */

static void
test_random(void **state)
{
    u_char                buf[NGX_LIMITER_TABLE_KEY];
    uint64_t             *p, model[64];
    ngx_str_t             key;
    ngx_uint_t            i, k;
    ngx_limiter_table_t  *table;

    table = table_create(8 * 4096, 24);
    assert_non_null(table);
    assert_true(table->nslots > 64);

    ngx_memzero(model, sizeof(model));
    srandom(1);

    for (i = 0; i < 100000; i++) {

        /* two keys of a length differ in their last byte */

        k = random() % 64;
        ngx_memset(buf, 'x', sizeof(buf));
        key.data = buf;
        key.len = 1 + k / 2;
        buf[key.len - 1] = (u_char) (k % 2);

        switch (random() % 3) {

        case 0:
            p = ngx_limiter_table_insert(table, &key);
            assert_true(p[0] == model[k]);
            p[0] = p[1] = p[2] = model[k] = i + 1;
            break;

        case 1:
            p = ngx_limiter_table_lookup(table, &key);
            assert_true((p ? p[2] : 0) == model[k]);
            break;

        default:
            ngx_limiter_table_remove(table, &key);
            model[k] = 0;
        }
    }

    assert_int_equal(table->evicted, 0);

    free(memory);
}


static void
test_carve(void **state)
{
    ngx_uint_t            i, n;
    ngx_limiter_table_t  *table;

    table = table_create(32 * 4096, 64);
    assert_non_null(table);

    n = table->nslots;

    for (i = 0; i < n * 2; i++) {
        ngx_memset(ngx_limiter_table_insert(table, key_of(i)), 0xff, 64);
    }

    assert_int_equal(ngx_limiter_table_carve(table, 128), NGX_OK);
    assert_true(table->nslots < n);
    assert_null(ngx_limiter_table_lookup(table, key_of(n)));

    n = table->nslots;

    for (i = 0; i < n * 2; i++) {
        ngx_memset(ngx_limiter_table_insert(table, key_of(i)), 0xff, 128);
    }

    assert_int_equal(table->used, n);

    free(memory);
}


/* as a process leaves it that died in the middle of a change */

static void
test_torn(void **state)
{
    ngx_uint_t            i;
    ngx_limiter_table_t  *table;

    table = table_create(16 * 4096, 8);
    assert_non_null(table);

    for (i = 0; i < 100; i++) {
        ngx_limiter_table_insert(table, key_of(i));
    }

    assert_int_equal(table->busy, 0);

    /* a chain that leads to itself */

    ngx_memset(table->buckets, 0xff, table->nbuckets * sizeof(uint32_t));
    table->busy = NGX_LIMITER_TABLE_MOVED | 5;

    for (i = 0; i < 100; i++) {
        assert_non_null(ngx_limiter_table_lookup(table, key_of(i)));
    }

    assert_int_equal(table->used, 100);
    assert_int_equal(table->busy, 0);

    /* but for the slot that was changed */

    table->used = 77;
    table->busy = 2;
    assert_null(ngx_limiter_table_lookup(table, key_of(1)));
    assert_int_equal(table->used, 99);

    assert_non_null(ngx_limiter_table_insert(table, key_of(1)));
    assert_int_equal(table->used, 100);
    assert_int_equal(table->taken, 100);

    /* or, if it was being laid out anew, all of them */

    table->busy = NGX_LIMITER_TABLE_ALL;
    ngx_limiter_table_remove(table, key_of(1));
    assert_int_equal(table->used, 0);
    assert_non_null(ngx_limiter_table_insert(table, key_of(1)));
    assert_non_null(ngx_limiter_table_lookup(table, key_of(1)));
    assert_int_equal(table->used, 1);

    free(memory);
}


/* nobody may have asked for anything since */

static void
test_torn_walk(void **state)
{
    ngx_str_t             key;
    ngx_uint_t            i, n;
    ngx_limiter_table_t  *table;

    table = table_create(16 * 4096, 8);
    assert_non_null(table);

    for (i = 0; i < 100; i++) {
        ngx_limiter_table_insert(table, key_of(i));
    }

    table->busy = 2;

    for (i = 0, n = 0; i < table->taken; i++) {
        n += (ngx_limiter_table_walk(table, i, &key) != NULL);
    }

    assert_int_equal(n, 99);
    assert_int_equal(table->used, 99);
    assert_int_equal(table->busy, 0);

    table->busy = NGX_LIMITER_TABLE_ALL;

    assert_null(ngx_limiter_table_walk(table, 0, &key));
    assert_int_equal(table->taken, 0);
    assert_int_equal(table->busy, 0);

    free(memory);
}


static void
test_small(void **state)
{
    assert_null(table_create(3 * 4096, 64));
    free(memory);

    /* the smallest zone that the directives allow */

    assert_non_null(table_create(8 * 4096, 128));
    free(memory);
}


/* what is counted for years, on a machine of any word size */

static void
test_counters(void **state)
{
    ngx_uint_t            i;
    ngx_limiter_table_t  *table;

    table = table_create(16 * 4096, 8);
    assert_non_null(table);

    for (i = 0; i < 2 * NGX_LIMITER_TABLE_COPIES; i++) {
        ngx_shared_number_add(ngx_limiter_table_counter(table, i, 3),
                              0xfffffff0);
    }

    assert_true(ngx_limiter_table_counted(table, 3)
                == (uint64_t) 2 * NGX_LIMITER_TABLE_COPIES * 0xfffffff0);
    assert_true(ngx_limiter_table_counted(table, 2) == 0);

    free(memory);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_evict),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_carve),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_torn_walk),
        cmocka_unit_test(test_small)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
