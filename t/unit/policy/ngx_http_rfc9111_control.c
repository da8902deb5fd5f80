
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
#define KNOWN     0x80
#define IMMUTABLE 0x100
#define ONLY      0x200


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
    assert_int_equal(cc.stale_while_revalidate, -1);
    assert_int_equal(cc.stale_if_error, -1);
    assert_int_equal(cc.min_fresh, -1);
    assert_int_equal(cc.max_stale, -1);
    assert_int_equal(cc.nfields, 0);
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
        { "must-understand", KNOWN, -1, -1 },
        { "immutable", IMMUTABLE, -1, -1 },
        { "only-if-cached", ONLY, -1, -1 },
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
        { "Must-Understand, Only-If-Cached", KNOWN|ONLY, -1, -1 },
        { "max-age=3, stale-if-error=5", 0, 3, -1 },
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

        /* 5.2.2.4 and 5.2.2.7: those that name fields are of these alone */

        { "no-cache=\"set-cookie, x\", max-age=5", 0, 5, -1 },
        { "private=\"authorization\"", 0, -1, -1 },
        { "private=x-a, max-age=5", PRIVATE, 5, -1 },
        { "private=\"x\", private", PRIVATE, -1, -1 },
        { "no-cache, no-cache=\"x\"", NO_CACHE, -1, -1 },

        /* and in full when they name what is no field, or nothing */

        { "no-cache=", NO_CACHE, -1, -1 },
        { "no-cache=\"\"", NO_CACHE, -1, -1 },
        { "no-cache=\" , \"", NO_CACHE, -1, -1 },
        { "private=\"a b\"", PRIVATE, -1, -1 },
        { "private=\"a, b:\"", PRIVATE, -1, -1 },
        { "private=\"a\\b\"", PRIVATE, -1, -1 },
        { "private=\"a", PRIVATE, -1, -1 },
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


/* the other seconds, of responses and of requests */

static void
test_seconds(void **state)
{
    ngx_uint_t                   i;
    ngx_http_rfc9111_control_t   cc;

    static struct {
        const char  *line;
        int64_t      revalidate;
        int64_t      error;
        int64_t      fresh;
        int64_t      stale;
    } rows[] = {
        { "max-age=5", -1, -1, -1, -1 },

        /* RFC 5861: what is no number allows nothing */

        { "stale-while-revalidate=30", 30, -1, -1, -1 },
        { "Stale-If-Error=\"86400\"", -1, 86400, -1, -1 },
        { "stale-while-revalidate=9, stale-while-revalidate=5", 5, -1, -1,
          -1 },
        { "stale-while-revalidate", 0, -1, -1, -1 },
        { "stale-while-revalidate=x, stale-if-error=-1", 0, 0, -1, -1 },

        /* RFC 9111, 5.2.1.3: more is stricter */

        { "min-fresh=20", -1, -1, 20, -1 },
        { "min-fresh=20, min-fresh=30", -1, -1, 30, -1 },
        { "min-fresh=30, min-fresh=20", -1, -1, 30, -1 },
        { "min-fresh=0", -1, -1, 0, -1 },
        { "min-fresh", -1, -1, MAX, -1 },
        { "min-fresh=1x, min-fresh=1", -1, -1, MAX, -1 },

        /* 5.2.1.2: without an argument, any age */

        { "max-stale", -1, -1, -1, MAX },
        { "max-stale=60", -1, -1, -1, 60 },
        { "max-stale, max-stale=60", -1, -1, -1, 60 },
        { "max-stale=", -1, -1, -1, 0 },
        { "max-stale=\"\"", -1, -1, -1, 0 },
        { "max-stale=x", -1, -1, -1, 0 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ngx_http_rfc9111_control_init(&cc);
        control_line(&cc, rows[i].line, strlen(rows[i].line));

        if (cc.stale_while_revalidate != rows[i].revalidate
            || cc.stale_if_error != rows[i].error
            || cc.min_fresh != rows[i].fresh
            || cc.max_stale != rows[i].stale)
        {
            fail_msg("\"%s\"", rows[i].line);
        }
    }
}


static ngx_uint_t
omits(ngx_http_rfc9111_control_t *cc, const char *name, ngx_uint_t shared)
{
    ngx_str_t  s;

    s.data = (u_char *) name;
    s.len = strlen(name);

    return ngx_http_rfc9111_control_omits(cc, &s, shared);
}


/* RFC 9111, 5.2.2.4 and 5.2.2.7: fields that are not kept with the rest */

static void
test_omits(void **state)
{
    ngx_uint_t                   i;
    ngx_str_t                    line;
    ngx_http_rfc9111_control_t   cc;

    static const char  *lines[] = {
        "private=\"a, x-User\", max-age=5",
        "no-cache=\"set-cookie\"",
        "no-cache=\"etag\"",
        "private=\"X-Again\"",
        "PRIVATE=\"x-again\"",
    };

    ngx_http_rfc9111_control_init(&cc);
    assert_false(omits(&cc, "a", 1));

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        line.data = (u_char *) lines[i];
        line.len = strlen(lines[i]);
        ngx_http_rfc9111_control_parse(&line, &cc);
    }

    assert_int_equal(control_flags(&cc), 0);
    assert_int_equal(cc.nfields, NGX_HTTP_RFC9111_LISTS);

    assert_true(omits(&cc, "A", 1));
    assert_true(omits(&cc, "X-USER", 1));
    assert_true(omits(&cc, "Set-Cookie", 1));
    assert_true(omits(&cc, "ETag", 1));
    assert_false(omits(&cc, "x-use", 1));
    assert_false(omits(&cc, "x-users", 1));
    assert_false(omits(&cc, "", 1));

    /* private is not for a private cache, no-cache is */

    assert_false(omits(&cc, "a", 0));
    assert_false(omits(&cc, "x-again", 0));
    assert_true(omits(&cc, "set-cookie", 0));
    assert_true(omits(&cc, "etag", 0));

    /* one list too many */

    ngx_str_set(&line, "private=\"one-more\"");
    ngx_http_rfc9111_control_parse(&line, &cc);

    assert_int_equal(control_flags(&cc), PRIVATE);
}


static void
test_remove(void **state)
{
    ngx_uint_t                   i;
    ngx_str_t                    line, name;
    ngx_http_rfc9111_control_t   cc;

    static const char  *names[] = {
        "no-store", "no-cache", "private", "public", "must-revalidate",
        "proxy-revalidate", "must-understand", "no-transform", "immutable",
        "only-if-cached", "max-age", "s-maxage", "stale-while-revalidate",
        "stale-if-error", "min-fresh", "max-stale", "unknown"
    };

    ngx_http_rfc9111_control_init(&cc);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        line.data = (u_char *) names[i];
        line.len = strlen(names[i]);
        ngx_http_rfc9111_control_parse(&line, &cc);
    }

    ngx_str_set(&line, "private=\"a\", no-cache=\"b\", private=\"c\"");
    ngx_http_rfc9111_control_parse(&line, &cc);

    assert_int_equal(control_flags(&cc), 0x3ff);
    assert_int_equal(cc.nfields, 3);

    ngx_str_set(&name, "private");
    ngx_http_rfc9111_control_remove(&cc, &name);

    assert_int_equal(cc.nfields, 1);
    assert_false(omits(&cc, "a", 1));
    assert_true(omits(&cc, "b", 1));

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        name.data = (u_char *) names[i];
        name.len = strlen(names[i]);
        ngx_http_rfc9111_control_remove(&cc, &name);
    }

    assert_int_equal(control_flags(&cc), 0);
    assert_int_equal(cc.nfields, 0);
    assert_int_equal(cc.max_age, -1);
    assert_int_equal(cc.s_maxage, -1);
    assert_int_equal(cc.stale_while_revalidate, -1);
    assert_int_equal(cc.stale_if_error, -1);
    assert_int_equal(cc.min_fresh, -1);
    assert_int_equal(cc.max_stale, -1);
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
    assert_int_equal(cc.max_age, 0);
    assert_int_equal(cc.s_maxage, 5);

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
           | (cc->no_transform ? NO_TRANS : 0)
           | (cc->must_understand ? KNOWN : 0)
           | (cc->immutable ? IMMUTABLE : 0)
           | (cc->only_if_cached ? ONLY : 0);
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
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_omits),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cuts_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
