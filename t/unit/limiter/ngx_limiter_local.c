
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_local.h>


#define SIZE  (16 * 4096)


static ngx_log_t           logger;
static ngx_cycle_t         cycle;
static void               *memory;
static ngx_slab_pool_t    *shpool;
static ngx_str_t           subject = ngx_string("subject");


static void
create(void)
{
    assert_int_equal(posix_memalign(&memory, 4096, SIZE), 0);
    ngx_memzero(memory, SIZE);

    /* the slab logs to it */

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    shpool = memory;
    shpool->end = (u_char *) memory + SIZE;
    shpool->min_shift = 3;
    shpool->addr = memory;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);

    ngx_slab_init(shpool);
}


/* the zone of a configuration, as the master takes its memory over */

static void
configure(ngx_limiter_zone_t *zone, ngx_uint_t algorithm)
{
    ngx_memzero(zone, sizeof(ngx_limiter_zone_t));

    ngx_str_set(&zone->name, "zone");

    zone->shpool = shpool;
    zone->policy.algorithm = algorithm;
    zone->policy.nrates = 1;
    zone->policy.rates[0].limit = 5;
    zone->policy.rates[0].period = 1000;

    assert_int_equal(ngx_limiter_local_init(zone, &logger), NGX_OK);
}


static void
save(ngx_limiter_zone_t *zone)
{
    ngx_limiter_entry_t  entry;

    (void) ngx_limiter_local_load(zone, &subject, &zone->policy, &entry, 1);
    ngx_limiter_local_save(zone, &subject, &entry);
}


static ngx_int_t
load(ngx_limiter_zone_t *zone)
{
    ngx_limiter_entry_t  entry;

    return ngx_limiter_local_load(zone, &subject, &zone->policy, &entry, 1);
}


/* a configuration that no worker begins with is none */

static void
test_failed(void **state)
{
    ngx_limiter_zone_t  one, two;

    create();

    configure(&one, NGX_LIMITER_FIXED_WINDOW);
    ngx_limiter_local_enter(&one);
    save(&one);

    configure(&two, NGX_LIMITER_SLIDING_WINDOW);
    assert_int_equal(load(&one), NGX_OK);

    /* a worker that comes in the place of one that died */

    ngx_limiter_local_enter(&one);
    assert_int_equal(load(&one), NGX_OK);

    free(memory);
}


static void
test_late(void **state)
{
    ngx_limiter_zone_t  one, two;

    create();

    configure(&one, NGX_LIMITER_FIXED_WINDOW);
    ngx_limiter_local_enter(&one);
    save(&one);

    configure(&two, NGX_LIMITER_GCRA);
    ngx_limiter_local_enter(&two);
    assert_int_equal(load(&one), NGX_DECLINED);
    assert_int_equal(load(&two), NGX_DECLINED);
    save(&two);

    /* one of before that was slow to begin */

    ngx_limiter_local_enter(&one);
    assert_int_equal(load(&two), NGX_OK);

    ngx_limiter_local_enter(&two);
    assert_int_equal(load(&two), NGX_OK);

    free(memory);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_late)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
