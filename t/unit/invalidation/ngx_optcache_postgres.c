
/*
 * Copyright (C) The Optcache authors
 */


/* Since when there is no connection, by a clock that may be set. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_postgres.h>


static void
test_cut(void **state)
{
    ngx_time_t                   now;
    ngx_optcache_postgres_shm_t  shm;

    ngx_memzero(&now, sizeof(ngx_time_t));
    ngx_memzero(&shm, sizeof(ngx_optcache_postgres_shm_t));

    ngx_cached_time = &now;

    shm.state = NGX_OPTCACHE_POSTGRES_DOWN;
    shm.since = 1000000;

    now.sec = 1000000;
    assert_false(ngx_optcache_postgres_cut(&shm));

    now.sec = 1000001;
    assert_false(ngx_optcache_postgres_cut(&shm));

    now.sec = 1000002;
    assert_true(ngx_optcache_postgres_cut(&shm));

    /* the clock was set back meanwhile */

    now.sec = 1000000 - 3600;
    assert_true(ngx_optcache_postgres_cut(&shm));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
