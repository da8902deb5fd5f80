
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


static void freshness_line(void (*take)(ngx_http_rfc9111_freshness_t *f,
    ngx_str_t *line), ngx_http_rfc9111_freshness_t *f, const char *text);


static void
test_nothing_said(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    ngx_http_rfc9111_freshness_init(&f);
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

    ngx_http_rfc9111_freshness_init(&f);
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

    ngx_http_rfc9111_freshness_init(&f);
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

    ngx_http_rfc9111_freshness_init(&f);

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

    ngx_http_rfc9111_freshness_init(&f);

    f.date = 0;

#if (NGX_TIME_T_SIZE == 8)
    /* Fri, 31 Dec 9999 */

    f.expires = (time_t) 253402300799LL;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX);

    f.expires = (time_t) MAX;
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX);
#endif

    f.expires = (time_t) (MAX - 1);
    assert_int_equal(ngx_http_rfc9111_lifetime(&f, 1, NOW), MAX - 1);
}


/* RFC 9111, 4.2.3 */

static void
test_initial_age(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    ngx_http_rfc9111_freshness_init(&f);
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

    ngx_http_rfc9111_freshness_init(&f);

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

#if (NGX_TIME_T_SIZE == 8)
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, 253402300799LL,
                                                  253402300799LL),
                     MAX);
#else
    assert_int_equal(ngx_http_rfc9111_initial_age(&f, 0x7fffffff, 0x7fffffff),
                     0x7fffffff);
#endif
}


/* RFC 9111, 5.1: the first member of the first line, if it is a number */

static void
test_age_lines(void **state)
{
    ngx_uint_t                    i;
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

        /* a number with parameters is still that number */

        { "7200;foo=bar", 7200 },
        { "7200 ; foo=1, 5", 7200 },
        { ";7200", -1 },
        { "x;7200", -1 },
        { NULL, 0 }
    };

    for (i = 0; rows[i].text; i++) {
        ngx_http_rfc9111_freshness_init(&f);
        freshness_line(ngx_http_rfc9111_age, &f, rows[i].text);
        assert_int_equal(f.age, rows[i].age);
    }

    ngx_http_rfc9111_freshness_init(&f);
    freshness_line(ngx_http_rfc9111_age, &f, "5");
    freshness_line(ngx_http_rfc9111_age, &f, "9");
    assert_int_equal(f.age, 5);

    /* one that is ignored is not made up for by the next */

    ngx_http_rfc9111_freshness_init(&f);
    freshness_line(ngx_http_rfc9111_age, &f, "x");
    freshness_line(ngx_http_rfc9111_age, &f, "9");
    assert_int_equal(f.age, -1);
}


/* RFC 9111, 4.2.1 and 5.3: the earliest, and an invalid one is in the past */

static void
test_expires_lines(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    ngx_http_rfc9111_freshness_init(&f);
    freshness_line(ngx_http_rfc9111_expires, &f,
                   "Tue, 14 Nov 2023 22:14:20 GMT");
    assert_int_equal(f.expires, NOW + 60);

    freshness_line(ngx_http_rfc9111_expires, &f,
                   "Tue, 14 Nov 2023 22:14:50 GMT");
    assert_int_equal(f.expires, NOW + 60);

    freshness_line(ngx_http_rfc9111_expires, &f,
                   "Tue, 14 Nov 2023 22:13:50 GMT");
    assert_int_equal(f.expires, NOW + 30);

    freshness_line(ngx_http_rfc9111_expires, &f, "0");
    assert_int_equal(f.expires, 0);

    ngx_http_rfc9111_freshness_init(&f);
    freshness_line(ngx_http_rfc9111_expires, &f, "");
    assert_int_equal(f.expires, 0);
}


/* RFC 9111, 4.2.2 */

static void
test_heuristic(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    ngx_http_rfc9111_freshness_init(&f);
    f.date = NOW;

    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), -1);

    f.last_modified = NOW - 1000;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 100);

    f.last_modified = NOW - 9;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 0);

    f.last_modified = NOW;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 0);

    f.last_modified = NOW + 1000;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 0);

    /* a day at most */

    f.last_modified = NOW - 864000;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 86400);

    f.last_modified = 0;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 86400);

    /* from Last-Modified to Date, whatever the clock here says */

    f.last_modified = NOW - 2000;
    f.date = NOW - 1000;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 100);

    f.date = -1;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), 200);

    f.pragma = 1;
    assert_int_equal(ngx_http_rfc9111_heuristic(&f, 200, NOW), -1);
}


/* RFC 9110, 15.1 */

static void
test_heuristic_status(void **state)
{
    ngx_uint_t                    status, i, expected;
    ngx_http_rfc9111_freshness_t  f;

    static ngx_uint_t  cacheable[] = {
        200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501, 0
    };

    ngx_http_rfc9111_freshness_init(&f);
    f.last_modified = NOW - 1000;

    for (status = 100; status < 1000; status++) {
        expected = 0;

        for (i = 0; cacheable[i]; i++) {
            expected |= (cacheable[i] == status);
        }

        f.cc.pub = 0;

        if (ngx_http_rfc9111_heuristic(&f, status, NOW)
            != (expected ? 100 : -1))
        {
            fail_msg("status %d", (int) status);
        }

        f.cc.pub = 1;
        assert_int_equal(ngx_http_rfc9111_heuristic(&f, status, NOW), 100);
    }
}


static void
test_validated_status(void **state)
{
    ngx_uint_t  status;

    for (status = 0; status < 1000; status++) {
        assert_int_equal(ngx_http_rfc9111_validated_status(status),
                         status / 100 == 2);
    }
}


static void
test_last_modified_lines(void **state)
{
    ngx_http_rfc9111_freshness_t  f;

    ngx_http_rfc9111_freshness_init(&f);

    freshness_line(ngx_http_rfc9111_last_modified, &f, "yesterday");
    assert_int_equal(f.last_modified, -1);

    freshness_line(ngx_http_rfc9111_last_modified, &f,
                   "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_int_equal(f.last_modified, NOW);

    freshness_line(ngx_http_rfc9111_last_modified, &f,
                   "Tue, 14 Nov 2023 22:13:10 GMT");
    assert_int_equal(f.last_modified, NOW);
}


/* RFC 9111, 4.2.4 and 5.2.1 */

static void
test_reuse(void **state)
{
    ngx_uint_t                   i;
    ngx_str_t                    line;
    ngx_http_rfc9111_reuse_e     shared, priv;
    ngx_http_rfc9111_control_t   request, response;

    static struct {
        const char               *asked;
        const char               *stored;
        int64_t                   age;
        ngx_http_rfc9111_reuse_e  shared;
        ngx_http_rfc9111_reuse_e  priv;
    }  rows[] = {

#define FRESH     NGX_HTTP_RFC9111_FRESH
#define ACCEPTED  NGX_HTTP_RFC9111_STALE_ACCEPTED
#define STALE     NGX_HTTP_RFC9111_STALE
#define REFUSED   NGX_HTTP_RFC9111_REFUSED

        /* each of a lifetime of 100 */

        { "", "", 0, FRESH, FRESH },
        { "", "", 99, FRESH, FRESH },
        { "", "", 100, STALE, STALE },
        { "no-store", "", 0, FRESH, FRESH },
        { "only-if-cached", "", 0, FRESH, FRESH },

        { "no-cache", "", 0, REFUSED, REFUSED },
        { "no-cache, max-stale", "", 100, REFUSED, REFUSED },

        { "max-age=10", "", 10, FRESH, FRESH },
        { "max-age=10", "", 11, REFUSED, REFUSED },
        { "max-age=0", "", 0, FRESH, FRESH },
        { "max-age=0", "", 1, REFUSED, REFUSED },
        { "max-age=500", "", 100, STALE, STALE },
        { "max-age=x", "", 1, REFUSED, REFUSED },

        { "min-fresh=40", "", 60, FRESH, FRESH },
        { "min-fresh=40", "", 61, REFUSED, REFUSED },
        { "min-fresh=0", "", 99, FRESH, FRESH },
        { "min-fresh=0", "", 100, STALE, STALE },

        { "max-stale=20", "", 100, ACCEPTED, ACCEPTED },
        { "max-stale=20", "", 120, ACCEPTED, ACCEPTED },
        { "max-stale=20", "", 121, STALE, STALE },
        { "max-stale=0", "", 100, ACCEPTED, ACCEPTED },
        { "max-stale", "", 9999999, ACCEPTED, ACCEPTED },
        { "max-stale=20", "", 50, FRESH, FRESH },
        { "max-stale=20, min-fresh=1", "", 110, STALE, STALE },
        { "max-stale=20, max-age=105", "", 105, ACCEPTED, ACCEPTED },
        { "max-stale=20, max-age=105", "", 106, REFUSED, REFUSED },

        /* what the origin forbids, no client allows */

        { "max-stale", "must-revalidate", 100, STALE, STALE },
        { "max-stale", "no-cache", 100, STALE, STALE },
        { "max-stale", "proxy-revalidate", 100, STALE, ACCEPTED },
        { "max-stale", "s-maxage=100", 100, STALE, ACCEPTED },
        { "max-stale", "max-age=100", 100, ACCEPTED, ACCEPTED },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ngx_http_rfc9111_control_init(&request);
        line.data = (u_char *) rows[i].asked;
        line.len = strlen(rows[i].asked);
        ngx_http_rfc9111_control_parse(&line, &request);

        ngx_http_rfc9111_control_init(&response);
        line.data = (u_char *) rows[i].stored;
        line.len = strlen(rows[i].stored);
        ngx_http_rfc9111_control_parse(&line, &response);

        shared = ngx_http_rfc9111_reuse(&request, &response, 1, rows[i].age,
                                        100);
        priv = ngx_http_rfc9111_reuse(&request, &response, 0, rows[i].age,
                                      100);

        if (shared != rows[i].shared || priv != rows[i].priv) {
            fail_msg("\"%s\" of \"%s\" at %d", rows[i].asked,
                     rows[i].stored, (int) rows[i].age);
        }

        /* without what it was stored with, never stale */

        shared = ngx_http_rfc9111_reuse(&request, NULL, 1, rows[i].age, 100);

        assert_int_equal(shared, (rows[i].shared == ACCEPTED)
                                 ? STALE : rows[i].shared);
    }
}


/* RFC 9111, 5.4 */

static void
test_pragma(void **state)
{
    ngx_str_t  line;

    ngx_str_set(&line, "no-cache");
    assert_true(ngx_http_rfc9111_pragma(&line));

    ngx_str_set(&line, "foo, No-Cache ,");
    assert_true(ngx_http_rfc9111_pragma(&line));

    ngx_str_set(&line, "foo, no-cached, no_cache");
    assert_false(ngx_http_rfc9111_pragma(&line));

    ngx_str_set(&line, "");
    assert_false(ngx_http_rfc9111_pragma(&line));
}


/* takes a copy that ends where the line does, so that overruns are seen */

static void
freshness_line(void (*take)(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line),
    ngx_http_rfc9111_freshness_t *f, const char *text)
{
    ngx_str_t  line;

    line.len = strlen(text);
    line.data = malloc(line.len);
    assert_true(line.data != NULL || line.len == 0);

    memcpy(line.data, text, line.len);

    take(f, &line);

    free(line.data);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_s_maxage),
        cmocka_unit_test(test_max_age_wins_over_expires),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_expires_bounds),
        cmocka_unit_test(test_initial_age),
        cmocka_unit_test(test_initial_age_bounds),
        cmocka_unit_test(test_age_lines),
        cmocka_unit_test(test_expires_lines),
        cmocka_unit_test(test_heuristic),
        cmocka_unit_test(test_heuristic_status),
        cmocka_unit_test(test_validated_status),
        cmocka_unit_test(test_last_modified_lines),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_pragma),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
