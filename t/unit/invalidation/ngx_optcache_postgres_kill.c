
/*
 * Copyright (C) The Optcache authors
 */


/* A worker that is killed while it writes down how far it has read a table. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_postgres_chain.h>

#include "../dies.h"


#if (DIES)

#define SIZE  (NGX_OPTCACHE_POSTGRES_ZONE)


static ngx_log_t                         logger;
static ngx_cycle_t                       cycle;
static ngx_optcache_postgres_t           op;
static ngx_optcache_postgres_position_t  before, after;


static void
save(void)
{
    ngx_optcache_postgres_save(&op);
}


static ngx_uint_t
saved(ngx_optcache_postgres_position_t *position)
{
    return ngx_memcmp(&op.shm->position[op.shm->current], position,
                      sizeof(ngx_optcache_postgres_position_t))
           == 0;
}


/* what two positions are made into is one that leaves rows out */

static void
test_save(void **state)
{
    ngx_uint_t  n;

    cycle.log = &logger;
    ngx_cycle = &cycle;

    op.shpool = dies_pool_create(SIZE);
    dies_pool = op.shpool;

    assert_int_equal(ngx_optcache_postgres_init(op.shpool, &logger), NGX_OK);
    op.shm = op.shpool->data;

    ngx_memset(&before, 'b', sizeof(before));
    ngx_memset(&after, 'a', sizeof(after));

    op.position = before;
    save();

    op.position = after;
    dies_init(op.shpool, SIZE);

    for (n = 1; dies(save, n); n++) {
        assert_true(saved(&before) || saved(&after));

        save();
        assert_true(saved(&after));
    }

    assert_true(n > 10);
    assert_true(saved(&after));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_save)
    };

    (void) alarm(60);

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();
    ngx_time_init();

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
