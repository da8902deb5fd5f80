
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_input_json.h>

#include "../no_memory.h"


static ngx_log_t   test_log;
static ngx_uint_t  told;
static ngx_input_json_limits_t  limits = { 4096, 256, 2048 };


/* Parses a copy that ends where its memory does. */

static ngx_int_t
parse_in(ngx_pool_t *pool, const char *text, size_t len,
    ngx_input_json_t **json)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   s;

    p = malloc(len ? len : 1);
    assert_non_null(p);
    memcpy(p, text, len);

    s.data = p;
    s.len = len;

    rc = ngx_input_json_parse(pool, &s, &limits, json);

    free(p);

    return rc;
}


static ngx_int_t
parse_bytes(const char *text, size_t len)
{
    ngx_int_t          rc;
    ngx_pool_t        *pool;
    ngx_input_json_t  *json;

    pool = ngx_create_pool(1024, &test_log);
    assert_non_null(pool);

    rc = parse_in(pool, text, len, &json);
    assert_true((rc == NGX_OK) == (json != NULL));

    ngx_destroy_pool(pool);

    return rc;
}


#define accepted(text)                                                        \
    assert_int_equal(parse_bytes(text, sizeof(text) - 1), NGX_OK)
#define refused(text)                                                         \
    assert_int_equal(parse_bytes(text, sizeof(text) - 1), NGX_DECLINED)


/* What cJSON may refuse too is refused before it is asked. */

static ngx_int_t
scan_bytes(const char *text, size_t len)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = len;

    return ngx_input_json_scan(&s, &limits);
}


#define unread(text)                                                          \
    refused(text);                                                            \
    assert_int_equal(scan_bytes(text, sizeof(text) - 1), NGX_DECLINED)


static void
test_accepted(void **state)
{
    accepted("{}");
    accepted(" \t\r\n{ } \t\r\n");
    accepted("{\"a\":1}");
    accepted("{ \"a\" : [ 1 , -2.5e+3 , true , false , null , \"\" ] , "
             "\"b\" : { } , \"c\" : [ ] }");
    accepted("{\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"}");
    accepted("{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}");
    accepted("{\"a\":{\"a\":1},\"A\":1}");
}


static void
test_grammar(void **state)
{
    refused("");
    refused(" ");
    refused("1");
    refused("[]");
    refused("\"a\"");
    refused("null");
    unread("{");
    unread("}");
    unread("{\"a\"}");
    unread("{\"a\":}");
    unread("{\"a\":1,}");
    unread("{,}");
    unread("{a:1}");
    unread("{'a':1}");
    unread("{\"a\":1 \"b\":2}");
    unread("{\"a\":[1,]}");
    unread("{\"a\":[1 2]}");
    unread("{\"a\":[}");
    unread("{\"a\":[1}");
    unread("{\"a\":1]");
    unread("{\"a\":tru}");
    unread("{\"a\":TRUE}");
    unread("{\"a\":nulll}");
    unread("{\"a\":\"b}");
    unread("{\"a\":\"\\");
    unread("{\"a\":\"\\u00");
    unread("{\"a\":\"\\x41\"}");
    unread("{\"a\":\"\n\"}");
    unread("{\"a\":\"\x1f\"}");
    unread("{\"a\":1}\v");
    unread("{/**/}");
    unread("\xef\xbb\xbf{}");
}


static void
test_trailing(void **state)
{
    unread("{}{}");
    unread("{}x");
    unread("{} 1");
    unread("{},");
    unread("{}\0");
}


/* cJSON takes the first of two */

static void
test_duplicates(void **state)
{
    refused("{\"a\":1,\"a\":1}");
    refused("{\"a\":1,\"b\":2,\"a\":3}");
    refused("{\"a\":1,\"\\u0061\":2}");
    refused("{\"a\\/b\":1,\"a/b\":2}");
    refused("{\"\":1,\"\":2}");
    refused("{\"x\":{\"a\":1,\"a\":2}}");
    refused("{\"x\":[{\"y\":{\"a\":1,\"a\":2}}]}");
    accepted("{\"x\":[{\"a\":1},{\"a\":2}],\"a\":1}");
}


static void
test_nul(void **state)
{
    unread("{\"a\":\"\0\"}");
    unread("{\"a\":\"x\\u0000y\"}");
    unread("{\"a\\u0000b\":1}");
    unread("{\"a\":1,\"b\\u0000\":2}");
    unread("{\0\"a\":1}");
    accepted("{\"a\":\"\\\\u0000\"}");
}


static void
test_utf8(void **state)
{
    unread("{\"a\":\"\xff\"}");
    unread("{\"a\":\"\x80\"}");
    unread("{\"a\":\"\xc3\"}");
    unread("{\"a\":\"\xc3(\"}");
    unread("{\"a\":\"\xc0\xaf\"}");
    unread("{\"a\":\"\xc0\x80\"}");
    unread("{\"a\":\"\xe0\x80\xaf\"}");
    unread("{\"a\":\"\xed\xa0\x80\"}");
    unread("{\"a\":\"\xf0\x80\x80\xaf\"}");
    unread("{\"a\":\"\xf4\x90\x80\x80\"}");
    unread("{\"a\":\"\xf8\x90\x80\x80\"}");
    unread("{\"a\":\"\xfb\xbf\xbf\xbf\"}");
    unread("{\"a\":\"\xff\x90\x80\x80\"}");
    unread("{\"a\":\"\xf8\x88\x80\x80\x80\"}");
    unread("{\"\xff\":1}");
    unread("{\"a\":\"\\ud800\"}");
    unread("{\"a\":\"\\ud800x\"}");
    unread("{\"a\":\"\\udc00\"}");
    unread("{\"a\":\"\\ud800\\ud800\"}");
    unread("{\"a\":\"\\ud800\\u0041\"}");
    unread("{\"a\":\"\\u00g0\"}");
}


static void
test_numbers(void **state)
{
    accepted("{\"a\":0}");
    accepted("{\"a\":-0}");
    accepted("{\"a\":9007199254740991}");
    accepted("{\"a\":-9007199254740991}");
    accepted("{\"a\":1.5e3}");
    accepted("{\"a\":1E-3}");

    refused("{\"a\":9007199254740992}");
    refused("{\"a\":9007199254740993}");
    refused("{\"a\":-9007199254740992}");
    refused("{\"a\":18446744073709551616}");
    refused("{\"a\":1e16}");
    refused("{\"a\":1e308}");
    refused("{\"a\":1e309}");
    refused("{\"a\":-1e999}");
    refused("{\"x\":[{\"a\":1e999}]}");
    refused("{\"a\":0.000000000000000000000000000000001}");
    refused("{\"a\":NaN}");
    refused("{\"a\":Infinity}");
    refused("{\"a\":-Infinity}");
    refused("{\"a\":01}");
    refused("{\"a\":-}");
    refused("{\"a\":+1}");
    refused("{\"a\":1.}");
    refused("{\"a\":.5}");
    refused("{\"a\":1e}");
    refused("{\"a\":1e+}");
    refused("{\"a\":0x10}");
    refused("{\"a\":1_0}");
}


static void
test_depth(void **state)
{
    /* the object itself is one of eight */

    accepted("{\"a\":[[[[[[[]]]]]]]}");
    refused("{\"a\":[[[[[[[[]]]]]]]]}");
    accepted("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}");
    refused("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}"
            "}}}}");

    /* levels that were left again do not count */
    accepted("{\"a\":[[[[[[[]]]]]]],\"b\":[[[[[[[]]]]]]]}");
}


static void
test_limits(void **state)
{
    char        text[8192], *p;
    ngx_uint_t  i, n;

    /* members, of all objects */

    for (n = 256; n <= 257; n++) {
        p = text;
        p += sprintf(p, "{");

        for (i = 0; i < n; i++) {
            p += sprintf(p, "%s\"m%u\":0", i ? "," : "", (unsigned) i);
        }

        p += sprintf(p, "}");

        assert_int_equal(parse_bytes(text, p - text),
                         n == 256 ? NGX_OK : NGX_DECLINED);
    }

    /* values: the object, the array and its elements; one byte too much */

    limits.size = 8192;

    for (n = 2046; n <= 2047; n++) {
        p = text;
        p += sprintf(p, "{\"a\":[");

        for (i = 0; i < n; i++) {
            p += sprintf(p, "%s0", i ? "," : "");
        }

        p += sprintf(p, "]}");

        assert_int_equal(parse_bytes(text, p - text),
                         n == 2046 ? NGX_OK : NGX_DECLINED);
    }

    limits.size = 7;

    accepted("{\"a\":1}");
    refused("{\"a\":1} ");

    limits.size = 4096;
}


static void
test_values(void **state)
{
    double             number;
    ngx_str_t          text;
    ngx_uint_t         value;
    ngx_pool_t        *pool;
    ngx_input_json_t  *json, *m;

    static char  example[] =
        "{\"s\":\"a\\u00e9\\n\",\"n\":-1.5,\"t\":true,\"f\":false,"
        "\"z\":null,\"a\":[1,\"b\"],\"o\":{\"x.y\":1},\"S\":\"upper\"}";

    pool = ngx_create_pool(1024, &test_log);
    assert_non_null(pool);

    assert_int_equal(parse_in(pool, example, sizeof(example) - 1, &json),
                     NGX_OK);

    m = ngx_input_json_member(json, "s");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_STRING);
    assert_int_equal(ngx_input_json_string(m, &text), NGX_OK);
    assert_int_equal(text.len, 4);
    assert_memory_equal(text.data, "a\xc3\xa9\n", 4);
    assert_true(ngx_input_json_is(m, &text));
    text.len--;
    assert_false(ngx_input_json_is(m, &text));
    assert_int_equal(ngx_input_json_number(m, &number), NGX_DECLINED);
    assert_null(ngx_input_json_first(m));

    m = ngx_input_json_member(json, "n");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_NUMBER);
    assert_int_equal(ngx_input_json_number(m, &number), NGX_OK);
    assert_true(number == -1.5);
    assert_int_equal(ngx_input_json_string(m, &text), NGX_DECLINED);

    m = ngx_input_json_member(json, "t");
    assert_int_equal(ngx_input_json_boolean(m, &value), NGX_OK);
    assert_int_equal(value, 1);

    m = ngx_input_json_member(json, "f");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_BOOLEAN);
    assert_int_equal(ngx_input_json_boolean(m, &value), NGX_OK);
    assert_int_equal(value, 0);

    m = ngx_input_json_member(json, "z");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_NULL);
    assert_int_equal(ngx_input_json_boolean(m, &value), NGX_DECLINED);

    m = ngx_input_json_member(json, "a");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_ARRAY);
    m = ngx_input_json_next(ngx_input_json_first(m));
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_STRING);
    assert_null(ngx_input_json_next(m));

    m = ngx_input_json_member(json, "o");
    assert_int_equal(ngx_input_json_type(m), NGX_INPUT_JSON_OBJECT);
    assert_non_null(ngx_input_json_member(m, "x.y"));
    assert_null(ngx_input_json_member(m, "x"));

    assert_non_null(ngx_input_json_member(json, "S"));
    assert_null(ngx_input_json_member(json, "T"));
    assert_null(ngx_input_json_member(NULL, "s"));
    assert_int_equal(ngx_input_json_type(NULL), NGX_INPUT_JSON_NONE);

    ngx_destroy_pool(pool);
}


static void
tell(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    told++;
}


/* A text that is right is not refused because memory is short. */

static void
test_no_memory(void **state)
{
    int                n, failed;
    ngx_int_t          rc;
    ngx_log_t          log;
    ngx_str_t          s;
    ngx_pool_t        *pool;
    ngx_input_json_t  *json;

    ngx_memzero(&log, sizeof(ngx_log_t));

    log.log_level = NGX_LOG_EMERG;
    log.writer = tell;

    ngx_use_stderr = 0;

    ngx_str_set(&s, "{\"a\":[\"b\",{\"c\":1.5,\"d\":null}],"
                    "\"e\":{\"f\":true}}");

    n = 1;

    do {
        pool = ngx_create_pool(1024, &log);
        assert_non_null(pool);

        told = 0;

        no_memory(n++, 0);
        rc = ngx_input_json_parse(pool, &s, &limits, &json);
        failed = no_memory_end();

        assert_int_equal(rc, failed ? NGX_ERROR : NGX_OK);
        assert_int_equal(told, failed);

        ngx_destroy_pool(pool);

    } while (failed);

    assert_true(n > 10);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_trailing),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_memory)
    };

    ngx_pagesize = 4096;

    return cmocka_run_group_tests(tests, NULL, NULL);
}
