
/*
 * Copyright (C) The Optcache authors
 */


/* A worker that is killed while it keeps what Redis said of a key. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_local.h>
#include <ngx_token_digest.h>
#include <ngx_token_watch.h>

#include "../dies.h"


#if (DIES)

#define SIZE    (64 * 1024)

#define PAGES   4
#define SERVER  7

/* a time that refuses tokens; and that of a key that is there is none */
#define TIME    1700000000


static ngx_log_t               logger;
static ngx_cycle_t             cycle;
static u_char                  digest[NGX_TOKEN_DIGEST];
static ngx_token_watch_t       watch;
static ngx_token_watch_shm_t   shm;
static ngx_token_watch_note_t  note;


static void
keep(ngx_uint_t since, uint64_t value)
{
    ngx_shared_number_set(&shm.heard, ngx_limiter_local_now());

    ngx_token_watch_note(&watch, digest, &note);
    ngx_token_watch_store(&watch, digest, &note, SERVER, since, value);
}


static void
keep_time(void)
{
    keep(1, TIME);
}


static void
keep_there(void)
{
    keep(0, 1);
}


static uint64_t
kept(ngx_uint_t since)
{
    ngx_shared_number_set(&shm.heard, ngx_limiter_local_now());

    return ngx_token_watch_lookup(&watch, digest, since);
}


/* in one sense it is what was found, or Redis is asked again */

static void
keep_dies(void (*code)(void))
{
    uint64_t    value;
    ngx_uint_t  n;

    dies_init(dies_pool, SIZE);

    for (n = 1; dies(code, n); n++) {
        value = kept(1);
        assert_true(value == TIME || value == NGX_TOKEN_WATCH_NONE);

        value = kept(0);
        assert_true(value == 1 || value == NGX_TOKEN_WATCH_NONE);
    }

    assert_true(n > 3);
}


static void
test_keep(void **state)
{
    ngx_str_t  name = ngx_string("zone");

    cycle.log = &logger;
    ngx_cycle = &cycle;

    dies_pool = dies_pool_create(SIZE);

    watch.shm = &shm;
    watch.shpool = dies_pool;
    watch.table = ngx_limiter_table_create(dies_pool, PAGES, 16, "token",
                                           &name);
    watch.revoked = ngx_limiter_table_create(dies_pool, PAGES, 16, "token",
                                             &name);
    assert_non_null(watch.table);
    assert_non_null(watch.revoked);

    shm.up = ngx_pid;
    shm.epoch = 1;
    shm.nservers = 1;
    shm.servers[0] = SERVER;

    keep_dies(keep_there);

    /* asked for in one sense, and in the other */

    keep_time();
    assert_int_equal(kept(1), TIME);
    keep_dies(keep_there);

    keep_there();
    assert_int_equal(kept(0), 1);
    keep_dies(keep_time);

    (void) munmap(dies_pool, SIZE);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_keep)
    };

    (void) alarm(60);

    ngx_pid = getpid();
    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

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
