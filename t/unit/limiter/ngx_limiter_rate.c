
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_rate.h>


static void
test_good(void **state)
{
    ngx_str_t            text;
    ngx_uint_t           i;
    const char          *err;
    ngx_limiter_rate_t   rate;

    static struct {
        const char      *text;
        uint64_t         limit;
        uint64_t         period;
    } good[] = {
        { "60r/m", 60, 60000 },
        { "500r/h", 500, 3600000 },
        { "2000r/d", 2000, 86400000 },
        { "100r/s", 100, 1000 },
        { "1000r/30s", 1000, 30000 },
        { "1r/1s", 1, 1000 },
        { "0060r/01m", 60, 60000 },
        { "1000000r/s", 1000000, 1000 },
        { "60000000r/m", 60000000, 60000 },
        { "1r/31d", 1, 2678400000ULL },
        { "1r/744h", 1, 2678400000ULL },
        { "2678400000000r/31d", 2678400000000ULL, 2678400000ULL },
        { "0r/m", 0, 60000 },
        { "000r/31d", 0, 2678400000ULL },
        { NULL, 0, 0 }
    };

    for (i = 0; good[i].text; i++) {
        text.data = (u_char *) good[i].text;
        text.len = ngx_strlen(good[i].text);

        assert_int_equal(ngx_limiter_rate_parse(&text, &rate, &err), NGX_OK);
        assert_true(rate.limit == good[i].limit);
        assert_true(rate.period == good[i].period);
    }
}


static void
test_bad(void **state)
{
    ngx_str_t            text;
    ngx_uint_t           i;
    const char          *err;
    ngx_limiter_rate_t   rate;

    static const char   *bad[] = {
        "", "r", "r/", "r/s", "1", "1r", "1r/", "1/s", "1rs", "1r/x", "1r/S",
        "1r/sm", "1r/s ", " 1r/s", "+1r/s", "-1r/s", "1.0r/s", "1r/0s",
        "1r/0d", "1r/32d", "1r/745h", "1r/2678401s", "1000001r/s",
        "60000001r/m", "2678400000001r/31d", "1000000000000000r/31d",
        "9999999999999999999999r/s", "1r/9999999999999999999999s",
        "18446744073709551617r/s", "1r/18446744073709551617s", "1r/-1s",
        NULL
    };

    for (i = 0; bad[i]; i++) {
        text.data = (u_char *) bad[i];
        text.len = ngx_strlen(bad[i]);
        err = NULL;

        assert_int_equal(ngx_limiter_rate_parse(&text, &rate, &err),
                         NGX_ERROR);
        assert_non_null(err);
    }
}


/* what comes after the text is not looked at */

static void
test_bounds(void **state)
{
    size_t               len;
    u_char              *p;
    ngx_str_t            text;
    const char          *err;
    ngx_limiter_rate_t   rate;

    for (len = 0; len < sizeof("1000r/30s"); len++) {
        p = malloc(len ? len : 1);
        assert_non_null(p);

        ngx_memcpy(p, "1000r/30s", len);
        text.data = p;
        text.len = len;

        assert_int_equal(ngx_limiter_rate_parse(&text, &rate, &err),
                         (len == 9) ? NGX_OK : NGX_ERROR);
        free(p);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
