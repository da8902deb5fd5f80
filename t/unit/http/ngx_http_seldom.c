
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_seldom.h>


static ngx_time_t  now;


static int
setup(void **state)
{
    now.sec = 1790000000;
    ngx_cached_time = &now;

    return 0;
}


static void
test_once_in_a_while(void **state)
{
    time_t  told;

    told = 0;

    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_WARN), NGX_LOG_WARN);
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_WARN), NGX_LOG_INFO);

    now.sec += 9;
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_WARN), NGX_LOG_INFO);

    now.sec += 1;
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_WARN), NGX_LOG_WARN);
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_WARN), NGX_LOG_INFO);
}


static void
test_each_line_by_itself(void **state)
{
    time_t  told, other;

    told = 0;
    other = 0;

    assert_int_equal(ngx_http_seldom(&told, 1, NGX_LOG_ERR), NGX_LOG_ERR);
    assert_int_equal(ngx_http_seldom(&other, 1, NGX_LOG_ERR), NGX_LOG_ERR);
}


/* it is not silent until the clock is where it was */

static void
test_clock_set_back(void **state)
{
    time_t  told;

    told = 0;

    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_ERR), NGX_LOG_ERR);

    now.sec -= 3600;
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_ERR), NGX_LOG_ERR);
    assert_int_equal(ngx_http_seldom(&told, 10, NGX_LOG_ERR), NGX_LOG_INFO);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_once_in_a_while, setup),
        cmocka_unit_test_setup(test_each_line_by_itself, setup),
        cmocka_unit_test_setup(test_clock_set_back, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
