
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>


#define NOW   ((time_t) 1700000000)
#define USES  64


static ngx_uint_t uses(ngx_uint_t key, time_t now);


static uint64_t                *table;
static ngx_optcache_l1_t        l1;
static ngx_optcache_l1_shctx_t  sh;


static void
test_count(void **state)
{
    ngx_uint_t  i;

    for (i = 1; i <= NGX_OPTCACHE_L1_USES_MAX; i++) {
        assert_int_equal(uses(1, NOW), i);
    }

    assert_int_equal(uses(1, NOW), NGX_OPTCACHE_L1_USES_MAX);
    assert_int_equal(uses(2, NOW), 1);
    assert_int_equal(uses(1, NOW), NGX_OPTCACHE_L1_USES_MAX);
    assert_int_equal(uses(2, NOW), 2);
}


static void
test_age(void **state)
{
    assert_int_equal(uses(1, NOW), 1);
    assert_int_equal(uses(1, NOW + NGX_OPTCACHE_L1_USES_AGE), 2);
    assert_int_equal(uses(1, NOW + 2 * NGX_OPTCACHE_L1_USES_AGE), 3);

    /* within a minute, that is */

    assert_int_equal(uses(1, NOW + 3 * NGX_OPTCACHE_L1_USES_AGE + 60), 1);

    /* the clock of another worker is behind, or was set back */

    assert_int_equal(uses(1, NOW + 3 * NGX_OPTCACHE_L1_USES_AGE), 2);
    assert_int_equal(uses(1, NOW - 86400), 3);

    /* where the counter of minutes starts anew */

    assert_int_equal(uses(2, (time_t) 0xffffff * 60), 1);
    assert_int_equal(uses(2, (time_t) 0x1000000 * 60), 2);
}


/* Nothing grows: what was not asked for longest makes room. */

static void
test_full(void **state)
{
    ngx_uint_t  i, n;

    for (i = 0; i < 1000; i++) {
        assert_int_equal(uses(i, NOW + (time_t) i * 60), 1);
    }

    for (i = 0; i < USES + 2; i++) {
        assert_true(table[i] == 0xa5a5a5a5a5a5a5a5 || (i > 0 && i <= USES));
    }

    /* in each place of a few, the latest */

    for (n = 0, i = 999; i >= 1000 - USES / NGX_OPTCACHE_L1_WAYS; i--) {
        n += (uses(i, NOW + 1000 * 60) == 2);
    }

    assert_true(n >= USES / NGX_OPTCACHE_L1_WAYS * 3 / 4);

    /* what is asked for stays, whatever else comes */

    for (i = 0; i < 1000; i++) {
        (void) uses(5000, NOW + 70000 + (time_t) i * 60);
        (void) uses(10000 + i, NOW + 70000 + (time_t) i * 60);
    }

    assert_int_equal(uses(5000, NOW + 70000 + 1000 * 60),
                     NGX_OPTCACHE_L1_USES_MAX);
}


/* Each of several workers counts. */

static void
test_workers(void **state)
{
    int         status;
    pid_t       pid;
    ngx_uint_t  i, n;

    for (n = 0; n < 4; n++) {
        pid = fork();
        assert_true(pid != -1);

        if (pid == 0) {
            for (i = 0; i < 50; i++) {
                (void) uses(1, NOW);
            }

            _exit(0);
        }
    }

    while (wait(&status) > 0) {
        assert_int_equal(status, 0);
    }

    assert_int_equal(uses(1, NOW), 201);
}


static ngx_uint_t
uses(ngx_uint_t key, time_t now)
{
    u_char     text[NGX_INT_T_LEN];
    ngx_str_t  identity;

    identity.data = text;
    identity.len = ngx_sprintf(text, "%ui", key) - text;

    return ngx_optcache_l1_uses(&l1, &identity, now);
}


/* MAP_SHARED: another process is to see it */

static int
setup(void **state)
{
    table = mmap(NULL, (USES + 2) * sizeof(uint64_t), PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_SHARED, -1, 0);
    if (table == MAP_FAILED) {
        return -1;
    }

    table[0] = 0xa5a5a5a5a5a5a5a5;
    table[USES + 1] = 0xa5a5a5a5a5a5a5a5;

    sh.seed = 7;
    sh.uses = table + 1;
    sh.nuses = USES;
    l1.sh = &sh;

    return 0;
}


static int
teardown(void **state)
{
    return munmap(table, (USES + 2) * sizeof(uint64_t));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
