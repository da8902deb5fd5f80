
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_breaker.h>


#define FAILURES  NGX_REDIS_BREAKER_FAILURES
#define MIN_WAIT  NGX_REDIS_BREAKER_MIN_WAIT
#define MAX_WAIT  NGX_REDIS_BREAKER_MAX_WAIT
#define CALM      NGX_REDIS_BREAKER_CALM


static void breaker_trip(ngx_redis_breaker_t *b, ngx_msec_t now);


static void
test_failures_in_a_row(void **state)
{
    ngx_uint_t           i;
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    for (i = 1; i < FAILURES; i++) {
        assert_int_equal(ngx_redis_breaker_failed(&b, i), NGX_DECLINED);
        assert_int_equal(b.state, NGX_REDIS_BREAKER_CLOSED);
    }

    /* only the last one is told, and only once */

    assert_int_equal(ngx_redis_breaker_failed(&b, 50), NGX_OK);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_OPEN);
    assert_int_equal(b.opened, 50);
    assert_int_equal(ngx_redis_breaker_failed(&b, 51), NGX_DECLINED);
    assert_int_equal(b.opened, 50);
}


static void
test_success_in_between(void **state)
{
    ngx_uint_t           i;
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    for (i = 0; i < FAILURES * 10; i++) {
        assert_int_equal(ngx_redis_breaker_failed(&b, i), NGX_DECLINED);

        if (i % (FAILURES - 1) == 0) {
            assert_int_equal(ngx_redis_breaker_succeeded(&b, i),
                             NGX_DECLINED);
        }
    }

    assert_int_equal(b.state, NGX_REDIS_BREAKER_CLOSED);
}


/* a late answer is no reason to send hundreds of requests there again */

static void
test_only_a_probe_closes(void **state)
{
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));
    breaker_trip(&b, 100);

    assert_int_equal(ngx_redis_breaker_succeeded(&b, 110), NGX_DECLINED);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_OPEN);

    assert_int_equal(ngx_redis_breaker_probed(&b, 150), NGX_OK);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_CLOSED);
    assert_int_equal(b.closed - b.opened, 50);
    assert_int_equal(b.failures, 0);

    assert_int_equal(ngx_redis_breaker_probed(&b, 160), NGX_DECLINED);
}


static void
test_refusals(void **state)
{
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    assert_int_equal(ngx_redis_breaker_open(&b, 100, 1), NGX_OK);

    /* a replica answers PING: that is not the end of the outage */

    assert_int_equal(ngx_redis_breaker_probed(&b, 200), NGX_DECLINED);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_TRIAL);

    assert_int_equal(ngx_redis_breaker_open(&b, 210, 1), NGX_DECLINED);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_OPEN);

    assert_int_equal(ngx_redis_breaker_probed(&b, 300), NGX_DECLINED);
    assert_int_equal(ngx_redis_breaker_failed(&b, 310), NGX_DECLINED);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_OPEN);

    assert_int_equal(ngx_redis_breaker_probed(&b, 400), NGX_DECLINED);
    assert_int_equal(ngx_redis_breaker_succeeded(&b, 410), NGX_OK);
    assert_int_equal(b.state, NGX_REDIS_BREAKER_CLOSED);
    assert_int_equal(b.closed - b.opened, 310);

    /* the next outage is of the other kind */

    breaker_trip(&b, 500);
    assert_int_equal(ngx_redis_breaker_probed(&b, 510), NGX_OK);
}


static void
test_refused_then_gone(void **state)
{
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    (void) ngx_redis_breaker_open(&b, 100, 1);
    assert_int_equal(ngx_redis_breaker_open(&b, 200, 0), NGX_DECLINED);
    assert_int_equal(ngx_redis_breaker_probed(&b, 300), NGX_OK);
    assert_int_equal(b.opened, 100);
}


static void
test_delay(void **state)
{
    ngx_uint_t           i;
    ngx_msec_t           wait, expected;
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));
    breaker_trip(&b, 0);

    expected = MIN_WAIT;

    for (i = 0; i < 20; i++) {
        wait = ngx_redis_breaker_delay(&b, i * 7919);

        assert_in_range(wait, expected / 2, expected);

        expected = ngx_min(expected * 2, MAX_WAIT);
    }

    assert_int_equal(b.wait, MAX_WAIT);
}


static void
test_jitter(void **state)
{
    ngx_msec_t           least, most, wait;
    ngx_uint_t           i;
    ngx_redis_breaker_t  b;

    least = MAX_WAIT;
    most = 0;

    for (i = 0; i < 1000; i++) {
        ngx_memzero(&b, sizeof(b));

        wait = ngx_redis_breaker_delay(&b, i);
        least = ngx_min(least, wait);
        most = ngx_max(most, wait);
    }

    assert_int_equal(least, MIN_WAIT / 2);
    assert_int_equal(most, MIN_WAIT);

    ngx_memzero(&b, sizeof(b));
    assert_in_range(ngx_redis_breaker_delay(&b, (ngx_uint_t) -1),
                    MIN_WAIT / 2, MIN_WAIT);
}


/* what was waited for one of several connections is no matter of an outage */

static void
test_first_outage(void **state)
{
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    (void) ngx_redis_breaker_delay(&b, 0);
    (void) ngx_redis_breaker_delay(&b, 0);

    breaker_trip(&b, 100);
    (void) ngx_redis_breaker_delay(&b, 0);
    assert_int_equal(b.wait, MIN_WAIT);
}


/* one that comes and goes is not asked more often than one that stays away */

static void
test_flapping(void **state)
{
    ngx_msec_t           now;
    ngx_uint_t           i;
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));
    now = 0;

    for (i = 0; i < 10; i++) {
        breaker_trip(&b, ++now);
        (void) ngx_redis_breaker_delay(&b, 0);
        (void) ngx_redis_breaker_probed(&b, ++now);
    }

    assert_int_equal(b.wait, MAX_WAIT);

    breaker_trip(&b, now + CALM - 1);
    assert_int_equal(b.wait, MAX_WAIT);
    (void) ngx_redis_breaker_probed(&b, now + CALM - 1);

    breaker_trip(&b, now + CALM - 1 + CALM);
    (void) ngx_redis_breaker_delay(&b, 0);
    assert_int_equal(b.wait, MIN_WAIT);
}


/* ngx_current_msec wraps around on 32-bit platforms */

static void
test_wrap_around(void **state)
{
    ngx_redis_breaker_t  b;

    ngx_memzero(&b, sizeof(b));

    breaker_trip(&b, (ngx_msec_t) -10);
    (void) ngx_redis_breaker_delay(&b, 0);
    assert_int_equal(ngx_redis_breaker_probed(&b, 5), NGX_OK);
    assert_int_equal(b.closed - b.opened, 15);

    (void) ngx_redis_breaker_delay(&b, 0);
    breaker_trip(&b, 6);
    assert_int_equal(b.wait, MIN_WAIT * 2);
}


static void
breaker_trip(ngx_redis_breaker_t *b, ngx_msec_t now)
{
    ngx_uint_t  i;

    for (i = 1; i < FAILURES; i++) {
        assert_int_equal(ngx_redis_breaker_failed(b, now), NGX_DECLINED);
    }

    assert_int_equal(ngx_redis_breaker_failed(b, now), NGX_OK);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_failures_in_a_row),
        cmocka_unit_test(test_success_in_between),
        cmocka_unit_test(test_only_a_probe_closes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refused_then_gone),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_first_outage),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_wrap_around),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
