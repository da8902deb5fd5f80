
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Who sums counters while workers begin finds those of a worker that has just
 * begun zeroed, whatever was in their memory before.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_metrics.h>

#include "workers.h"


#define SIZE  (1024 * 1024)


static ngx_log_t             logger;
static ngx_cycle_t           cycle;
static ngx_pool_t           *pool;
static ngx_slab_pool_t      *shpool;
static ngx_metrics_t        *metrics;
static ngx_metrics_block_t  *block, *own;
static ngx_uint_t            begun;


/* What tells that all have begun tells of nothing else. */

static void *
worker(void *data)
{
    ngx_uint_t  i;
    ngx_pid_t   pids[] = { getppid(), -getpgrp(), getpid() };

    if (data) {
        do {
            assert_int_equal(ngx_metrics_sum(own, 0), 0);

        } while (!__atomic_load_n(&begun, __ATOMIC_RELAXED));

        assert_int_equal(ngx_metrics_sum(own, 0), 0);

        return NULL;
    }

    for (i = 0; i < sizeof(pids) / sizeof(ngx_pid_t); i++) {

        /* each is another process that is there, and has a slot of its own */

        ngx_pid = pids[i];

        ngx_metrics_start(metrics, &logger);
        assert_int_equal(metrics->slot, i);
    }

    __atomic_store_n(&begun, 1, __ATOMIC_RELAXED);

    return NULL;
}


static void
test_begins(void **state)
{
    workers_run(worker);
}


static int
create(void **state)
{
    ngx_str_t        name = ngx_string("counters");
    ngx_conf_t       cf;
    ngx_shm_zone_t  *shm_zone;

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    pool = ngx_create_pool(4096, &logger);
    assert_non_null(pool);

    assert_int_equal(ngx_list_init(&cycle.shared_memory, pool, 1,
                                   sizeof(ngx_shm_zone_t)),
                     NGX_OK);

    ngx_memzero(&cf, sizeof(ngx_conf_t));
    cf.cycle = &cycle;
    cf.pool = pool;
    cf.log = &logger;

    metrics = ngx_metrics_create(&cf, &name, NULL);
    assert_non_null(metrics);

    block = ngx_metrics_add(&cf, metrics, &name, 1);
    assert_non_null(block);

    /* as another process sees it, which counts nothing itself */

    shpool = aligned_alloc(4096, SIZE);
    assert_non_null(shpool);
    memset(shpool, 0xa5, SIZE);
    ngx_memzero(shpool, sizeof(ngx_slab_pool_t));

    shpool->end = (u_char *) shpool + SIZE;
    shpool->min_shift = 3;
    shpool->addr = shpool;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);
    ngx_slab_init(shpool);

    shm_zone = cycle.shared_memory.part.elts;
    shm_zone->shm.addr = (u_char *) shpool;
    shm_zone->shm.log = &logger;

    assert_int_equal(shm_zone->init(shm_zone, NULL), NGX_OK);

    own = ngx_palloc(pool, sizeof(ngx_metrics_block_t));
    assert_non_null(own);
    *own = *block;

    return 0;
}


static int
destroy(void **state)
{
    free(shpool);
    ngx_destroy_pool(pool);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_begins, create, destroy)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
