
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A ledger in memory of a test's own.
 */


#include <ngx_optcache_ledger.h>


static ngx_log_t               logger;
static ngx_cycle_t             cycle;
static void                   *memory;
static ngx_optcache_ledger_t   ledger;


static int
ledger_create(void **state)
{
    ngx_slab_pool_t  *shpool;

    assert_int_equal(posix_memalign(&memory, 4096, NGX_OPTCACHE_LEDGER_SIZE),
                     0);
    ngx_memzero(memory, NGX_OPTCACHE_LEDGER_SIZE);

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();
    ngx_time_init();

    shpool = memory;
    shpool->end = (u_char *) memory + NGX_OPTCACHE_LEDGER_SIZE;
    shpool->min_shift = 3;
    shpool->addr = memory;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);
    ngx_slab_init(shpool);

    ledger.shpool = shpool;

    assert_int_equal(ngx_optcache_ledger_init(&ledger, &logger), NGX_OK);

    return 0;
}


static int
ledger_destroy(void **state)
{
    free(memory);
    return 0;
}
