
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_refusal.h>


#define CALM   NGX_REDIS_REFUSAL_CALM
#define PAUSE  NGX_REDIS_REFUSAL_PAUSE
#define SELDOM NGX_REDIS_REFUSAL_SELDOM


static void
test_beginning_and_end(void **state)
{
    ngx_atomic_t         shared;
    ngx_redis_refusal_t  r;

    shared = 0;
    ngx_memzero(&r, sizeof(r));
    r.shared = &shared;

    assert_int_equal(ngx_redis_refusal_end(&r, 5), NGX_DECLINED);
    assert_false(ngx_redis_refusal_holds(&r, 5));

    assert_int_equal(ngx_redis_refusal_begin(&r, 10), NGX_OK);
    assert_int_equal(ngx_redis_refusal_begin(&r, 20), NGX_DECLINED);
    assert_true(ngx_redis_refusal_holds(&r, 30));

    assert_int_equal(ngx_redis_refusal_end(&r, 19 + CALM), NGX_DECLINED);
    assert_int_equal(ngx_redis_refusal_end(&r, 20 + CALM), NGX_OK);
    assert_int_equal(r.since, 10);
    assert_true(ngx_redis_refusal_holds(&r, 20 + CALM));

    assert_int_equal(ngx_redis_refusal_end(&r, 21 + CALM), NGX_DECLINED);
}


/* some questions are refused and others are not: one line, and no end */

static void
test_by_turns(void **state)
{
    ngx_uint_t           i, told;
    ngx_redis_refusal_t  r;

    ngx_memzero(&r, sizeof(r));

    told = 0;

    for (i = 0; i < 100000; i++) {
        told += (ngx_redis_refusal_begin(&r, i * 10) == NGX_OK);

        assert_int_equal(ngx_redis_refusal_end(&r, i * 10 + 5), NGX_DECLINED);
    }

    assert_int_equal(told, 1);
}


/* one now and then: it takes a longer calm to be over, and then it is */

static void
test_now_and_then(void **state)
{
    ngx_uint_t           i, told, ended;
    ngx_redis_refusal_t  r;

    ngx_memzero(&r, sizeof(r));

    told = 0;
    ended = 0;

    for (i = 0; i < 10 * PAUSE; i += 2 * CALM) {
        told += (ngx_redis_refusal_begin(&r, i) == NGX_OK);
        ended += (ngx_redis_refusal_end(&r, i + CALM) == NGX_OK);
    }

    assert_int_equal(told, 2);
    assert_int_equal(ended, 1);

    i -= 2 * CALM;

    assert_int_equal(ngx_redis_refusal_end(&r, i + 4 * CALM - 1),
                     NGX_DECLINED);
    assert_int_equal(ngx_redis_refusal_end(&r, i + 4 * CALM), NGX_OK);

    /* what comes much later is another one */

    i += SELDOM;

    assert_int_equal(ngx_redis_refusal_begin(&r, i), NGX_OK);
    assert_int_equal(ngx_redis_refusal_end(&r, i + CALM), NGX_OK);
}


/* a pause in which nothing was asked says nothing, either */

static void
test_pause_without_questions(void **state)
{
    ngx_redis_refusal_t  r;

    ngx_memzero(&r, sizeof(r));

    assert_int_equal(ngx_redis_refusal_begin(&r, 0), NGX_OK);
    assert_int_equal(ngx_redis_refusal_begin(&r, 20 * CALM), NGX_DECLINED);
    assert_int_equal(ngx_redis_refusal_end(&r, 21 * CALM), NGX_OK);
}


/* one that begins soon after another, and lasts, is told */

static void
test_again_and_lasting(void **state)
{
    ngx_redis_refusal_t  r;

    ngx_memzero(&r, sizeof(r));

    assert_int_equal(ngx_redis_refusal_begin(&r, 0), NGX_OK);
    assert_int_equal(ngx_redis_refusal_end(&r, CALM), NGX_OK);

    assert_int_equal(ngx_redis_refusal_begin(&r, 2 * CALM), NGX_DECLINED);
    assert_int_equal(ngx_redis_refusal_begin(&r, PAUSE - 1), NGX_DECLINED);
    assert_int_equal(ngx_redis_refusal_begin(&r, PAUSE), NGX_OK);

    assert_int_equal(ngx_redis_refusal_end(&r, PAUSE + 4 * CALM), NGX_OK);
    assert_int_equal(r.since, 2 * CALM);
}


/* nobody asks any more, so nobody says that it is over */

static void
test_nobody_asks(void **state)
{
    ngx_atomic_t         shared;
    ngx_redis_refusal_t  r;

    shared = 0;
    ngx_memzero(&r, sizeof(r));
    r.shared = &shared;

    assert_false(ngx_redis_refusal_holds(&r, 1));
    assert_int_equal(ngx_redis_refusal_begin(&r, 1), NGX_OK);
    assert_true(ngx_redis_refusal_holds(&r, PAUSE));
    assert_false(ngx_redis_refusal_holds(&r, PAUSE + 1));
}


/* what one worker meets all know, and each logs its own */

static void
test_workers(void **state)
{
    ngx_atomic_t         shared;
    ngx_redis_refusal_t  a, b;

    shared = 0;
    ngx_memzero(&a, sizeof(a));
    ngx_memzero(&b, sizeof(b));
    a.shared = &shared;
    b.shared = &shared;

    assert_int_equal(ngx_redis_refusal_begin(&a, 10), NGX_OK);
    assert_true(ngx_redis_refusal_holds(&b, 20));

    /* whose clock is behind */

    assert_true(ngx_redis_refusal_holds(&b, 5));

    /* the last one counts, and not who is served again */

    assert_int_equal(ngx_redis_refusal_begin(&b, 20), NGX_OK);
    assert_int_equal(ngx_redis_refusal_end(&a, 10 + CALM), NGX_OK);
    assert_true(ngx_redis_refusal_holds(&a, 19 + PAUSE));
    assert_false(ngx_redis_refusal_holds(&a, 20 + PAUSE));

    assert_int_equal(ngx_redis_refusal_end(&b, 20 + PAUSE), NGX_OK);
}


/* nobody is to know */

static void
test_alone(void **state)
{
    ngx_redis_refusal_t  r;

    ngx_memzero(&r, sizeof(r));

    assert_int_equal(ngx_redis_refusal_begin(&r, 10), NGX_OK);
    assert_false(ngx_redis_refusal_holds(&r, 10));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_beginning_and_end),
        cmocka_unit_test(test_by_turns),
        cmocka_unit_test(test_now_and_then),
        cmocka_unit_test(test_pause_without_questions),
        cmocka_unit_test(test_again_and_lasting),
        cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
