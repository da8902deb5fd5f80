
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9111_freshness.h>


#define NOW     ((time_t) 1700000000)
#define MAX     NGX_HTTP_RFC9111_DELTA_MAX


static void freshness_init(ngx_http_rfc9111_freshness_t *f);


static void
test_nothing_said(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), -1);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), -1);

    /* a Date alone says nothing */

    f.date = NOW - 10;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), -1);
}


/* RFC 9111, 5.2.2.10: s-maxage is not for a private cache */

static void
test_s_maxage(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);
    f.cc.s_maxage = 5;

    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 5);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), -1);

    f.cc.max_age = 60;
    f.expires = NOW + 600;
    f.date = NOW;

    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 5);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), 60);

    /* 0 is a value too */

    f.cc.s_maxage = 0;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);

    f.cc.max_age = 0;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), 0);
}


/* RFC 9111, 5.3 */

static void
test_max_age_wins_over_expires(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);
    f.date = NOW;
    f.cc.max_age = 60;

    f.expires = NOW + 600;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), 60);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 60);

    f.expires = 0;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 60);

    f.cc.max_age = 0;
    f.expires = NOW + 600;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);
}


static void
test_expires(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);

    /* less Date, whatever the clock here says */

    f.date = NOW - 1000;
    f.expires = NOW - 900;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 100);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 0, NOW), 100);

    f.expires = f.date + 1;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 1);

    f.expires = f.date;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);

    f.expires = f.date - 1;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);

    /* one that could not be parsed */

    f.expires = 0;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);

    /* RFC 9110, 6.6.1: without a Date */

    f.date = -1;
    f.expires = NOW + 7;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 7);

    f.expires = NOW;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);

    /* before 1970 is in the past, not "says nothing" */

    f.expires = -2;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), 0);
}


static void
test_expires_bounds(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);

    /* Fri, 31 Dec 9999 */

    f.date = 0;
    f.expires = (time_t) 253402300799LL;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX);

    f.expires = (time_t) MAX;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX);

    f.expires = (time_t) MAX - 1;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX - 1);
}


/* RFC 9111, 4.2.3 */

static void
test_initial_age(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW, NOW), 0);

    /* apparent_age */

    f.date = NOW - 30;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW, NOW), 30);

    f.date = NOW + 30;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW, NOW), 0);

    /* corrected_age_value: the time on the way counts with Age, only once */

    f.age = 20;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 24);

    f.date = NOW - 23;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 24);

    f.date = NOW - 24;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 24);

    f.date = NOW - 25;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 25);

    /* without Age the way is all that is known */

    f.age = -1;
    f.date = -1;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 4);

    f.age = 0;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 4, NOW), 4);
}


static void
test_initial_age_bounds(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);

    /* the clock was set back while the request was under way */

    f.age = 9;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW + 100, NOW), 9);

    f.age = -1;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW + 100, NOW), 0);

    f.age = MAX;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW, NOW), MAX);
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, NOW - 9, NOW), MAX);

    /* a Date of 1970 and a clock of 9999: no more than fits */

    f.age = -1;
    f.date = 0;
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, 253402300799LL,
                                                  253402300799LL),
                     MAX);
}


/* RFC 9111, 5.1: the first member of the first line, if it is a number */

static void
test_age_lines(void **state)
{
    ngx_uint_t                    i;
    ngx_str_t                     line;
    ngx_http_rfc9111_freshness_t  f;

    static struct {
        const char               *text;
        int64_t                   age;
    }  rows[] = {
        { "0", 0 },
        { "7200", 7200 },
        { " 7200\t", 7200 },
        { "7200, 0", 7200 },
        { "0 , 7200", 0 },
        { "99999999999999999999", MAX },
        { "", -1 },
        { ",1", -1 },
        { "-1", -1 },
        { "1.5", -1 },
        { "1x, 2", -1 },
        { NULL, 0 }
    };

    for (i = 0; rows[i].text; i++) {
        freshness_init(&f);
        line.data = (u_char *) rows[i].text;
        line.len = strlen(rows[i].text);

        ngx_http_rfc9111_age(&f, &line);
        assert_int_equal(f.age, rows[i].age);
    }

    freshness_init(&f);
    ngx_str_set(&line, "5");
    ngx_http_rfc9111_age(&f, &line);
    ngx_str_set(&line, "9");
    ngx_http_rfc9111_age(&f, &line);
    assert_int_equal(f.age, 5);
}


/* RFC 9111, 4.2.1 and 5.3: the earliest, and an invalid one is in the past */

static void
test_expires_lines(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    freshness_init(&f);
    ngx_http_rfc9111_expires(&f, NOW + 60);
    assert_int_equal(f.expires, NOW + 60);

    ngx_http_rfc9111_expires(&f, NOW + 90);
    assert_int_equal(f.expires, NOW + 60);

    ngx_http_rfc9111_expires(&f, NOW + 30);
    assert_int_equal(f.expires, NOW + 30);

    ngx_http_rfc9111_expires(&f, NGX_ERROR);
    assert_int_equal(f.expires, 0);
}


static void
freshness_init(ngx_http_rfc9111_freshness_t *f)
{
    ngx_http_rfc9111_control_init(&f->cc);

    f->date = -1;
    f->expires = -1;
    f->age = -1;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_s_maxage),
        cmocka_unit_test(test_age_lines),
        cmocka_unit_test(test_expires_lines),
        cmocka_unit_test(test_max_age_wins_over_expires),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_expires_bounds),
        cmocka_unit_test(test_initial_age),
        cmocka_unit_test(test_initial_age_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
