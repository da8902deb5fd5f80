
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_report.h>
#include <ngx_limiter_window.h>


static const ngx_limiter_rate_t  rates[] = {
    { 60, 60000 },
    { 500, 3600000 },
    { 2000, 86400000 }
};


static ngx_uint_t
ask(ngx_limiter_window_t *w, uint64_t now)
{
    ngx_limiter_window_t  next[3];

    ngx_limiter_window_open(next, rates, 3, w, 3, now);

    if (ngx_limiter_window_check(next, rates, 3, 1) != NGX_OK) {
        return 0;
    }

    ngx_limiter_window_count(next, 3, 1);
    ngx_memcpy(w, next, sizeof(next));

    return 1;
}


/* 60r/m, 500r/h and 2000r/d: a day of somebody who never stops asking */

static void
test_day(void **state)
{
    uint64_t              now;
    ngx_uint_t            i, passed, total;
    ngx_limiter_window_t  w[3];

    ngx_memzero(w, sizeof(w));

    now = 1000000;
    passed = 0;

    for (i = 0; i < 60; i++) {
        passed += ask(w, now + i * 10);
    }

    assert_int_equal(passed, 60);
    assert_int_equal(ask(w, now + 600), 0);

    /* the window is over 60 seconds after its first request, not before */

    assert_int_equal(ask(w, now + 59999), 0);
    assert_int_equal(ask(w, now + 60000), 1);

    total = 61;

    for (i = 60001; i < 3600000; i += 500) {
        total += ask(w, now + i);
    }

    assert_int_equal(total, 500);
    assert_int_equal(w[1].end - now, 3600000);
    assert_int_equal(ngx_limiter_window_tightest(w, rates, 3, 1, 1), 1);

    for (i = 3600000; i < 86400000; i += 500) {
        total += ask(w, now + i);
    }

    assert_int_equal(total, 2000);
    assert_int_equal(ngx_limiter_window_tightest(w, rates, 3, 1, 1), 2);
    assert_int_equal(ask(w, now + 86400000), 1);
}


static void
test_refused_burns_nothing(void **state)
{
    ngx_uint_t            i;
    ngx_limiter_window_t  w[3], before[3];

    ngx_memzero(w, sizeof(w));

    for (i = 0; i < 60; i++) {
        assert_int_equal(ask(w, 1000), 1);
    }

    ngx_memcpy(before, w, sizeof(w));

    for (i = 0; i < 1000; i++) {
        assert_int_equal(ask(w, 1000 + i), 0);
    }

    assert_memory_equal(before, w, sizeof(w));
}


static void
test_clock_steps_back(void **state)
{
    ngx_limiter_window_t  w[3], next[3];

    ngx_memzero(w, sizeof(w));

    assert_int_equal(ask(w, 100000000), 1);

    ngx_limiter_window_open(next, rates, 3, w, 3, 50000000);

    assert_int_equal(next[0].used, 1);
    assert_int_equal(next[0].end, 50060000);
    assert_int_equal(next[2].used, 1);
    assert_int_equal(next[2].end, 50000000 + 86400000);
}


static void
test_rates_change(void **state)
{
    ngx_limiter_window_t  w[3], next[2];

    static const ngx_limiter_rate_t  changed[] = {
        { 9, 86400000 },
        { 7, 1000 }
    };

    ngx_memzero(w, sizeof(w));

    assert_int_equal(ask(w, 1000), 1);
    assert_int_equal(ask(w, 1000), 1);

    ngx_limiter_window_open(next, changed, 2, w, 3, 2000);

    assert_int_equal(next[0].used, 2);
    assert_int_equal(next[0].end, 86401000);
    assert_int_equal(next[1].used, 0);
    assert_int_equal(next[1].end, 3000);
}


static void
test_cost(void **state)
{
    ngx_limiter_window_t             w[1];
    static const ngx_limiter_rate_t  one[] = { { 10, 1000 } };

    ngx_limiter_window_open(w, one, 1, NULL, 0, 0);

    assert_int_equal(ngx_limiter_window_check(w, one, 1, 10), NGX_OK);
    assert_int_equal(ngx_limiter_window_check(w, one, 1, 11), NGX_BUSY);

    ngx_limiter_window_count(w, 1, 4);

    assert_int_equal(ngx_limiter_window_check(w, one, 1, 6), NGX_OK);
    assert_int_equal(ngx_limiter_window_check(w, one, 1, 7), NGX_BUSY);
    assert_int_equal(ngx_limiter_window_remaining(&w[0], &one[0]), 6);
}


/* the largest rate for the longest time is far from any overflow */

static void
test_large(void **state)
{
    ngx_limiter_window_t             w[1];
    static const ngx_limiter_rate_t  one[] = {
        { 2678400000000ULL, 2678400000ULL }
    };

    ngx_limiter_window_open(w, one, 1, NULL, 0, 1ULL << 44);
    ngx_limiter_window_count(w, 1, one[0].limit);

    assert_int_equal(ngx_limiter_window_check(w, one, 1, 1), NGX_BUSY);
    assert_int_equal(ngx_limiter_window_check(w, one, 1, 0), NGX_OK);
    assert_true(w[0].end == (1ULL << 44) + one[0].period);
}


static void
test_report(void **state)
{
    ngx_limiter_item_t    a, b;
    ngx_limiter_zone_t    za, zb;
    ngx_limiter_report_t  report;

    ngx_memzero(&a, sizeof(a));
    ngx_memzero(&b, sizeof(b));
    ngx_memzero(&za, sizeof(za));
    ngx_memzero(&zb, sizeof(zb));

    za.nrates = 2;
    za.rates[0].limit = 10;
    za.rates[0].period = 1000;
    za.rates[1].limit = 20;
    za.rates[1].period = 5000;
    zb.nrates = 1;
    zb.rates[0].limit = 5;
    zb.rates[0].period = 2000;

    a.zone = &za;
    a.cost = 1;
    b.zone = &zb;
    b.cost = 1;

    /* fewest remaining; of equals, the later end */

    a.windows[0].used = 6;
    a.windows[0].end = 1000;
    a.windows[1].used = 16;
    a.windows[1].end = 5000;
    b.windows[0].used = 1;
    b.windows[0].end = 2000;

    report.zone = NULL;
    ngx_limiter_report_passed(&report, &b);
    ngx_limiter_report_passed(&report, &a);
    assert_ptr_equal(report.zone, &za);
    assert_int_equal(report.limit, 20);
    assert_int_equal(report.remaining, 4);

    b.windows[0].used = 2;
    ngx_limiter_report_passed(&report, &b);
    assert_ptr_equal(report.zone, &zb);

    /* the longest of those that refuse, not of those that have room */

    a.windows[0].used = 10;
    b.windows[0].used = 5;

    report.zone = NULL;
    ngx_limiter_report_rejected(&report, &a);
    assert_int_equal(report.limit, 10);
    assert_int_equal(report.remaining, 0);
    ngx_limiter_report_rejected(&report, &b);
    assert_int_equal(report.limit, 5);
    ngx_limiter_report_rejected(&report, &a);
    assert_int_equal(report.limit, 5);

    /* a limit that was lowered below what is used */

    b.windows[0].used = 9;
    report.zone = NULL;
    ngx_limiter_report_rejected(&report, &b);
    assert_int_equal(report.remaining, 0);

    /* seconds, never too few */

    assert_int_equal(ngx_limiter_report_reset(&report, 0), 2);
    assert_int_equal(ngx_limiter_report_reset(&report, 999), 2);
    assert_int_equal(ngx_limiter_report_reset(&report, 1000), 1);
    assert_int_equal(ngx_limiter_report_reset(&report, 1999), 1);
    assert_int_equal(ngx_limiter_report_reset(&report, 2000), 0);
    assert_int_equal(ngx_limiter_report_reset(&report, 9000), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_refused_burns_nothing),
        cmocka_unit_test(test_clock_steps_back),
        cmocka_unit_test(test_rates_change),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_report)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
