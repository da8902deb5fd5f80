
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9110_date.h>


static time_t date(const char *text, size_t len);


/* RFC 9110, 5.6.7 */

static void
test_forms(void **state)
{
    ngx_uint_t  i;

    static struct {
        const char  *text;
        time_t       time;
    } rows[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
        { "Sun Nov  6 08:49:37 1994", 784111777 },
        { "Wed Nov 16 08:49:37 1994", 784975777 },
        { "  Sun, 06 Nov 1994 08:49:37 GMT\t", 784111777 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
#if (NGX_TIME_T_SIZE == 8)
        { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
#else
        { "Thu, 31 Dec 2037 23:59:59 GMT", 2145916799 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", NGX_ERROR },
#endif
        { "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 },

        /* all months */

        { "Tue, 10 Jan 2023 00:00:00 GMT", 1673308800 },
        { "Fri, 10 Feb 2023 00:00:00 GMT", 1675987200 },
        { "Fri, 10 Mar 2023 00:00:00 GMT", 1678406400 },
        { "Mon, 10 Apr 2023 00:00:00 GMT", 1681084800 },
        { "Wed, 10 May 2023 00:00:00 GMT", 1683676800 },
        { "Sat, 10 Jun 2023 00:00:00 GMT", 1686355200 },
        { "Mon, 10 Jul 2023 00:00:00 GMT", 1688947200 },
        { "Thu, 10 Aug 2023 00:00:00 GMT", 1691625600 },
        { "Sun, 10 Sep 2023 00:00:00 GMT", 1694304000 },
        { "Tue, 10 Oct 2023 00:00:00 GMT", 1696896000 },
        { "Fri, 10 Nov 2023 00:00:00 GMT", 1699574400 },
        { "Sun, 10 Dec 2023 00:00:00 GMT", 1702166400 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (date(rows[i].text, strlen(rows[i].text)) != rows[i].time) {
            fail_msg("\"%s\"", rows[i].text);
        }
    }
}


/* RFC 9111, 4.2: capitals or not */

static void
test_case(void **state)
{
    ngx_uint_t  i;

    static const char  *rows[] = {
        "Sun, 06 NOV 1994 08:49:37 GMT",
        "SUN, 06 nov 1994 08:49:37 gmt",
        "sunday, 06-noV-94 08:49:37 gMT",
        "sun nOV  6 08:49:37 1994",
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (date(rows[i], strlen(rows[i])) != 784111777) {
            fail_msg("\"%s\"", rows[i]);
        }
    }

    assert_int_equal(date("Mon, 10 APR 2023 00:00:00 GMT", 29), 1681084800);
    assert_int_equal(date("Thu, 10 AUG 2023 00:00:00 GMT", 29), 1691625600);
    assert_int_equal(date("Sat, 10 JUN 2023 00:00:00 GMT", 29), 1686355200);
}


static void
test_invalid(void **state)
{
    ngx_uint_t  i;

    static const char  *rows[] = {
        "",
        " ",
        "0",
        "-1",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 ",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 gms",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Mon, 10 AUR 2023 00:00:00 GMT",
        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, 06-Nov-94 08:49:37 "
            "GMT",
        "Mon, 10 Apr 2023 00:00:00 UTC",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "06 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "784111777",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Wed, 30 Feb 2024 12:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (date(rows[i], strlen(rows[i])) != (time_t) NGX_ERROR) {
            fail_msg("\"%s\"", rows[i]);
        }
    }
}


static void
test_cuts(void **state)
{
    size_t      i, n;
    const char  *rows[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994"
    };

    for (i = 0; i < 3; i++) {
        for (n = 0; n < strlen(rows[i]); n++) {
            assert_int_equal(date(rows[i], n), NGX_ERROR);
        }
    }
}


/* of a copy that ends where the text does, so that overruns are seen */

static time_t
date(const char *text, size_t len)
{
    time_t     time;
    ngx_str_t  s;

    s.len = len;
    s.data = malloc(len ? len : 1);
    assert_non_null(s.data);

    memcpy(s.data, text, len);

    time = ngx_http_rfc9110_date(&s);

    free(s.data);

    return time;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
