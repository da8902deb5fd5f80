
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_client.h>
#include <ngx_redis_metrics.h>


#define BOUNDS  NGX_REDIS_METRICS_BOUNDS


static uint64_t             own[NGX_REDIS_METRICS];
static ngx_metrics_block_t  block;
static ngx_redis_stats_t    stats;


static int
setup(void **state)
{
    ngx_memzero(own, sizeof(own));
    ngx_memzero(&stats, sizeof(stats));

    block.own = own;
    block.n = NGX_REDIS_METRICS;

    return 0;
}


static void
assert_latency(uint64_t usec, ngx_uint_t bucket)
{
    (void) setup(NULL);

    ngx_redis_metrics_latency(&stats, 1000000, 1000000 + usec);

    assert_int_equal(stats.counters[NGX_REDIS_METRICS_LATENCY + bucket], 1);
    assert_int_equal(stats.counters[NGX_REDIS_METRICS_USEC], usec);
}


/* a bound is of what is up to it, and above the last one there is a bucket */

static void
test_buckets(void **state)
{
    ngx_uint_t  i;

    assert_latency(0, 0);

    for (i = 0; i < BOUNDS; i++) {
        assert_latency(ngx_redis_metrics_bounds[i], i);
        assert_latency(ngx_redis_metrics_bounds[i] + 1, i + 1);
    }

    assert_latency((uint64_t) 1 << 40, BOUNDS);

    assert_int_equal(NGX_REDIS_METRICS_LATENCY + BOUNDS,
                     NGX_REDIS_METRICS - 1);
}


static void
test_ascending(void **state)
{
    ngx_uint_t  i;

    for (i = 1; i < BOUNDS; i++) {
        assert_true(ngx_redis_metrics_bounds[i]
                    > ngx_redis_metrics_bounds[i - 1]);
    }
}


static void
test_no_time(void **state)
{
    ngx_redis_metrics_latency(&stats, 1000, 999);

    assert_int_equal(stats.counters[NGX_REDIS_METRICS_LATENCY], 1);
    assert_int_equal(stats.counters[NGX_REDIS_METRICS_USEC], 0);
}


static void
test_block(void **state)
{
    ngx_redis_metrics_count(&stats, NGX_REDIS_METRICS_WRITES);

    stats.block = &block;

    ngx_redis_metrics_count(&stats, NGX_REDIS_METRICS_WRITES);
    ngx_redis_metrics_latency(&stats, 0, 300);

    assert_int_equal(stats.counters[NGX_REDIS_METRICS_WRITES], 2);
    assert_int_equal(own[NGX_REDIS_METRICS_WRITES], 1);
    assert_int_equal(own[NGX_REDIS_METRICS_LATENCY + 2], 1);
    assert_int_equal(own[NGX_REDIS_METRICS_USEC], 300);
}


static void
test_results(void **state)
{
    assert_int_equal(NGX_REDIS_METRICS_REPLIES + NGX_REDIS_REPLY,
                     NGX_REDIS_METRICS_REPLIES);
    assert_int_equal(NGX_REDIS_METRICS_REPLIES + NGX_REDIS_REFUSED,
                     NGX_REDIS_METRICS_ERRORS);
    assert_int_equal(NGX_REDIS_METRICS_REPLIES + NGX_REDIS_TIMEOUT,
                     NGX_REDIS_METRICS_TIMEOUTS);
    assert_int_equal(NGX_REDIS_METRICS_REPLIES + NGX_REDIS_CLOSED,
                     NGX_REDIS_METRICS_CLOSED);
}


static void
test_clock(void **state)
{
    uint64_t  now, later;

    now = ngx_redis_metrics_clock();
    later = ngx_redis_metrics_clock();

    assert_true(now > 0);
    assert_true(later >= now);
}


int
main(void)
{
#define one(test)  cmocka_unit_test_setup(test, setup)

    const struct CMUnitTest  tests[] = {
        one(test_buckets),
        one(test_ascending),
        one(test_no_time),
        one(test_block),
        one(test_results),
        one(test_clock)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
