
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
#include <unistd.h>

#include <ngx_keeper.h>


#define LATE  ((uint64_t) 1000)


static ngx_keeper_t  keeper;
static ngx_pid_t     other;


static int
setup(void **state)
{
    ngx_memzero(&keeper, sizeof(ngx_keeper_t));
    ngx_pid = getpid();

    other = fork();

    if (other == 0) {
        for ( ;; ) {
            (void) pause();
        }
    }

    return (other == -1);
}


static int
teardown(void **state)
{
    (void) kill(other, SIGKILL);

    return waitpid(other, NULL, 0) != other;
}


/* who calls in time is the keeper, by a clock of any age */

static void
test_late(void **state)
{
    uint64_t    now;
    ngx_uint_t  i;

    static uint64_t  clocks[] = {
        LATE, 0xffffffff, 0x100000000, 0x123456789ab, 0x7fffffffffff
    };

    for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        now = clocks[i];

        assert_true(ngx_keeper_is(&keeper, now, LATE));
        assert_true(ngx_keeper_there(&keeper, now + LATE - 1, LATE));
        assert_false(ngx_keeper_there(&keeper, now + LATE, LATE));

        ngx_pid = other;

        assert_false(ngx_keeper_is(&keeper, now + LATE - 1, LATE));
        assert_true(ngx_keeper_is(&keeper, now + LATE, LATE));

        ngx_pid = getpid();

        assert_false(ngx_keeper_is(&keeper, now + LATE, LATE));

        keeper.pid = 0;
    }
}


/* one that has looked at the clock before the keeper did is not to take over */

static void
test_before(void **state)
{
    assert_true(ngx_keeper_is(&keeper, 5000, LATE));

    ngx_pid = other;

    assert_true(ngx_keeper_there(&keeper, 4999, LATE));
    assert_false(ngx_keeper_is(&keeper, 4999, LATE));
    assert_true(ngx_keeper_is(&keeper, 5000 + LATE, LATE));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
