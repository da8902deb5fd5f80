
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9111_control.h>


#define MAX       NGX_HTTP_RFC9111_DELTA_MAX

#define NO_STORE  0x01
#define NO_CACHE  0x02
#define PRIVATE   0x04
#define PUBLIC    0x08
#define MUST      0x10
#define PROXY     0x20
#define NO_TRANS  0x40


typedef struct {
    const char  *line;
    ngx_uint_t   flags;
    int64_t      max_age;
    int64_t      s_maxage;
} control_t;


static void control_table(control_t *row);
static void control_line(ngx_http_rfc9111_control_t *cc, const char *data,
    size_t len);
static ngx_uint_t control_flags(ngx_http_rfc9111_control_t *cc);


static void
test_empty(void **state)
{
    ngx_http_rfc9111_control_t  cc;

    /* what is there before does not stay */

    memset(&cc, 0xff, sizeof(cc));
    ngx_http_rfc9111_control_init(&cc);

    assert_int_equal(control_flags(&cc), 0);
    assert_int_equal(cc.max_age, -1);
    assert_int_equal(cc.s_maxage, -1);
}


static void
test_directives(void **state)
{
    static control_t  rows[] = {
        { "no-store", NO_STORE, -1, -1 },
        { "no-cache", NO_CACHE, -1, -1 },
        { "private", PRIVATE, -1, -1 },
        { "public", PUBLIC, -1, -1 },
        { "must-revalidate", MUST, -1, -1 },
        { "proxy-revalidate", PROXY, -1, -1 },
        { "no-transform", NO_TRANS, -1, -1 },
        { "max-age=60", 0, 60, -1 },
        { "s-maxage=60", 0, -1, 60 },
        { "private, max-age=60, s-maxage=5", PRIVATE, 60, 5 },
        { "no-store, no-cache, private, public, must-revalidate, "
          "proxy-revalidate, no-transform, max-age=1, s-maxage=2",
          0x7f, 1, 2 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* RFC 9111, 5.2: names are case-insensitive; unknown ones are ignored */

static void
test_names(void **state)
{
    static control_t  rows[] = {
        { "No-Store, MAX-AGE=7", NO_STORE, 7, -1 },
        { "pRiVaTe,S-MaxAge=9", PRIVATE, -1, 9 },
        { "immutable, max-age=3, stale-if-error=5", 0, 3, -1 },
        { "community=\"UCI\", max-age=3", 0, 3, -1 },
        { "x-max-age=5", 0, -1, -1 },
        { "max-age2=5", 0, -1, -1 },
        { "max-ag=5", 0, -1, -1 },
        { "no-stor", 0, -1, -1 },
        { "no-storee", 0, -1, -1 },
        { "no_store", 0, -1, -1 },
        { "no-store-x", 0, -1, -1 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* RFC 9110, 5.6.1: empty members of a list and white space mean nothing */

static void
test_lists(void **state)
{
    static control_t  rows[] = {
        { "", 0, -1, -1 },
        { " ", 0, -1, -1 },
        { ",", 0, -1, -1 },
        { ",,, ,\t,", 0, -1, -1 },
        { ",no-store,", NO_STORE, -1, -1 },
        { " \t no-store \t , \t private\t", NO_STORE|PRIVATE, -1, -1 },
        { "max-age=60 , no-transform", NO_TRANS, 60, -1 },
        { "max-age=60\t,public", PUBLIC, 60, -1 },
        { "private,max-age=60", PRIVATE, 60, -1 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* RFC 9111, 5.2: both forms of an argument are accepted */

static void
test_quoted(void **state)
{
    static control_t  rows[] = {
        { "max-age=\"60\"", 0, 60, -1 },
        { "max-age=\"60\", private", PRIVATE, 60, -1 },
        { "s-maxage=\"0\"", 0, -1, 0 },

        /* a comma, or a directive, within quotes is text */

        { "x=\"a, no-store, b\", max-age=5", 0, 5, -1 },
        { "x=\"a\\\", no-store, b\", max-age=5", 0, 5, -1 },
        { "x=\"\\\\\", no-store", NO_STORE, -1, -1 },
        { "x=\"\", no-store", NO_STORE, -1, -1 },

        /* 5.2.2.4 and 5.2.2.7: those that name fields count in full */

        { "no-cache=\"set-cookie, x\", max-age=5", NO_CACHE, 5, -1 },
        { "private=\"authorization\"", PRIVATE, -1, -1 },
        { "private=x-a, max-age=5", PRIVATE, 5, -1 },
        { "no-cache=", NO_CACHE, -1, -1 },
        { "no-store=\"x\"", NO_STORE, -1, -1 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* what is no list of directives is searched for the strict ones all the same */

static void
test_malformed(void **state)
{
    static control_t  rows[] = {
        { "private; max-age=60", PRIVATE, 60, -1 },
        { "max-age=60; private", PRIVATE, 60, -1 },
        { "public;no-store", PUBLIC|NO_STORE, -1, -1 },
        { "x=1; no-store", NO_STORE, -1, -1 },
        { "x=\"1\"; no-store", NO_STORE, -1, -1 },
        { ";;no-store;", NO_STORE, -1, -1 },
        { "x=\"1; no-cache\"; no-store", NO_STORE, -1, -1 },
        { "max-age=60;x", 0, 60, -1 },

        /* a quote that is not closed hides nothing */

        { "x=\"a, no-store", NO_STORE, -1, -1 },
        { "x=\", private, max-age=60", PRIVATE, 60, -1 },
        { "x=\"a\\\", no-store", NO_STORE, -1, -1 },
        { "x=\"a\", y=\"b, no-store", NO_STORE, -1, -1 },
        { "x=\"a, no-store\\", 0, -1, -1 },
        { "x=a\", no-store", NO_STORE, -1, -1 },
        { "\"x, no-store", NO_STORE, -1, -1 },
        { "max-age=\"60", 0, 0, -1 },
        { "max-age=\"", 0, 0, -1 },
        { "max-age=60\"", 0, 0, -1 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* RFC 9111, 4.2.1: in doubt a response is stale */

static void
test_invalid_arguments(void **state)
{
    static control_t  rows[] = {
        { "max-age", 0, 0, -1 },
        { "max-age=", 0, 0, -1 },
        { "max-age=,private", PRIVATE, 0, -1 },
        { "max-age=\"\"", 0, 0, -1 },
        { "max-age=abc", 0, 0, -1 },
        { "max-age=-1", 0, 0, -1 },
        { "max-age=+1", 0, 0, -1 },
        { "max-age=1.5", 0, 0, -1 },
        { "max-age=60s", 0, 0, -1 },
        { "max-age=0x10", 0, 0, -1 },
        { "max-age=6 0", 0, 0, -1 },
        { "max-age='60'", 0, 0, -1 },
        { "max-age=\" 60\"", 0, 0, -1 },
        { "max-age=\"60 \"", 0, 0, -1 },
        { "max-age= 60", 0, 0, -1 },
        { "max-age =60", 0, 0, -1 },
        { "max-age = 60", 0, 0, -1 },
        { "max-age==60", 0, 0, -1 },
        { "s-maxage=x, max-age=60", 0, 60, 0 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


static void
test_duplicates(void **state)
{
    static control_t  rows[] = {
        { "max-age=60, max-age=5", 0, 5, -1 },
        { "max-age=5, max-age=60", 0, 5, -1 },
        { "max-age=0, max-age=60", 0, 0, -1 },
        { "max-age=60, max-age=x", 0, 0, -1 },
        { "max-age=x, max-age=60", 0, 0, -1 },
        { "s-maxage=60, s-maxage=5", 0, -1, 5 },
        { "public, private", PUBLIC|PRIVATE, -1, -1 },
        { NULL, 0, 0, 0 }
    };

    control_table(rows);
}


/* RFC 9111, 1.2.2 */

static void
test_delta(void **state)
{
    size_t       i;
    static struct {
        const char  *text;
        int64_t      delta;
    } rows[] = {
        { "0", 0 },
        { "00", 0 },
        { "1", 1 },
        { "0060", 60 },
        { "2147483647", 2147483647 },
        { "2147483648", MAX },
        { "2147483649", MAX },
        { "4294967295", MAX },
        { "4294967296", MAX },
        { "9223372036854775807", MAX },
        { "9223372036854775808", MAX },
        { "18446744073709551616", MAX },
        { "99999999999999999999999999999999999999999999", MAX },
        { "00000000000000000000000000000000000000000007", 7 },
        { "", -1 },
        { " 1", -1 },
        { "1 ", -1 },
        { "-1", -1 },
        { "+1", -1 },
        { "1.0", -1 },
        { "1e3", -1 },
        { "/", -1 },
        { "1/", -1 },
        { "1:", -1 },
        { "99999999999999999999999999x", -1 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ngx_http_rfc9111_delta((u_char *) rows[i].text,
                                   strlen(rows[i].text))
            != rows[i].delta)
        {
            fail_msg("delta-seconds \"%s\"", rows[i].text);
        }
    }

    assert_int_equal(ngx_http_rfc9111_delta(NULL, 0), -1);
    assert_int_equal(ngx_http_rfc9111_delta((u_char *) "1\0", 2), -1);

    /* bytes after the length are not looked at */

    assert_int_equal(ngx_http_rfc9111_delta((u_char *) "123", 2), 12);
}


/* RFC 9110, 5.3: several lines are one list */

static void
test_lines(void **state)
{
    ngx_http_rfc9111_control_t  cc;

    ngx_http_rfc9111_control_init(&cc);

    control_line(&cc, "max-age=60", 10);
    control_line(&cc, "no-store, max-age=30", 20);
    control_line(&cc, "", 0);
    control_line(&cc, "s-maxage=9, max-age=90", 22);

    assert_int_equal(control_flags(&cc), NO_STORE);
    assert_int_equal(cc.max_age, 30);
    assert_int_equal(cc.s_maxage, 9);
}


/* no cut of a line is read beyond its end, nor any byte taken for another */

static void
test_cuts_and_bytes(void **state)
{
    size_t                       i;
    ngx_uint_t                   ch;
    u_char                       byte[9];
    ngx_http_rfc9111_control_t   cc;

    static const char  line[] =
        " \tmax-age=\"6\\0\" , private=\"a, \\\"b\", s-maxage=5,no-store\t";

    for (i = 0; i < sizeof(line); i++) {
        ngx_http_rfc9111_control_init(&cc);
        control_line(&cc, line, i);
    }

    assert_int_equal(control_flags(&cc), PRIVATE|NO_STORE);

    memcpy(byte, "no-store", 8);

    for (ch = 0; ch < 256; ch++) {
        byte[8] = (u_char) ch;

        ngx_http_rfc9111_control_init(&cc);
        control_line(&cc, (char *) byte, 9);

        if (cc.no_store
            != (ch == ',' || ch == ';' || ch == ' ' || ch == '\t'
                || ch == '='))
        {
            fail_msg("no-store, then byte %d", (int) ch);
        }
    }
}


static void
control_table(control_t *row)
{
    ngx_http_rfc9111_control_t  cc;

    for ( /* void */ ; row->line; row++) {
        ngx_http_rfc9111_control_init(&cc);
        control_line(&cc, row->line, strlen(row->line));

        if (control_flags(&cc) != row->flags || cc.max_age != row->max_age
            || cc.s_maxage != row->s_maxage)
        {
            fail_msg("\"%s\": flags %x, max-age %d, s-maxage %d", row->line,
                     (int) control_flags(&cc), (int) cc.max_age,
                     (int) cc.s_maxage);
        }
    }
}


/* parses a copy that ends where the line does, so that overruns are seen */

static void
control_line(ngx_http_rfc9111_control_t *cc, const char *data, size_t len)
{
    ngx_str_t  line;

    line.len = len;
    line.data = malloc(len);
    assert_true(line.data != NULL || len == 0);

    memcpy(line.data, data, len);

    ngx_http_rfc9111_control_parse(&line, cc);

    free(line.data);
}


static ngx_uint_t
control_flags(ngx_http_rfc9111_control_t *cc)
{
    return (cc->no_store ? NO_STORE : 0)
           | (cc->no_cache ? NO_CACHE : 0)
           | (cc->priv ? PRIVATE : 0)
           | (cc->pub ? PUBLIC : 0)
           | (cc->must_revalidate ? MUST : 0)
           | (cc->proxy_revalidate ? PROXY : 0)
           | (cc->no_transform ? NO_TRANS : 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_invalid_arguments),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cuts_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
