
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_api_json.h>


static ngx_pool_t  *pool;


static int
setup(void **state)
{
    static ngx_log_t  log;

    pool = ngx_create_pool(4096, &log);

    return pool ? 0 : -1;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(pool);

    return 0;
}


static void
assert_encoded(ngx_http_api_json_t *json, const char *expected)
{
    ngx_str_t  body;

    assert_int_equal(ngx_http_api_json_encode(json, &body), NGX_OK);
    assert_int_equal(body.len, strlen(expected));
    assert_memory_equal(body.data, expected, body.len);
}


static void
test_members(void **state)
{
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);

    ngx_http_api_json_text(json, "a", "b\"\\\n</script>");
    ngx_http_api_json_array(json, "list");
    ngx_http_api_json_number(json, NULL, 1);
    ngx_http_api_json_object(json, NULL);
    ngx_http_api_json_flag(json, "yes", 2);
    ngx_http_api_json_flag(json, "no", 0);
    ngx_http_api_json_end(json);
    ngx_http_api_json_null(json, NULL);
    ngx_http_api_json_end(json);
    ngx_http_api_json_object(json, "empty");
    ngx_http_api_json_end(json);

    assert_encoded(json, "{\"a\":\"b\\\"\\\\\\n</script>\","
                         "\"list\":[1,{\"yes\":true,\"no\":false},null],"
                         "\"empty\":{}}\n");
}


/* as integers, and none that a double would change */

static void
test_numbers(void **state)
{
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);

    ngx_http_api_json_array(json, "n");
    ngx_http_api_json_number(json, NULL, 0);
    ngx_http_api_json_number(json, NULL, 1000000000000000);
    ngx_http_api_json_number(json, NULL, 9007199254740991);
    ngx_http_api_json_number(json, NULL, 9007199254740992);
    ngx_http_api_json_number(json, NULL, (uint64_t) -1);
    ngx_http_api_json_end(json);

    assert_encoded(json, "{\"n\":[0,1000000000000000,9007199254740991,"
                         "9007199254740991,9007199254740991]}\n");
}


static void
test_utf8(void **state)
{
    ngx_uint_t            i;
    ngx_http_api_json_t  *json;

    static struct {
        ngx_str_t    text;
        const char  *expected;
    } rows[] = {
        { ngx_string(""), "{\"s\":\"\"}\n" },
        { ngx_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"),
          "{\"s\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
          "\xf4\x8f\xbf\xbf\"}\n" },

        /* NUL; alone; cut short; followed by something else */

        { ngx_string("a\0b"), "{\"s\":\"a\xef\xbf\xbd" "b\"}\n" },
        { ngx_string("\xff"), "{\"s\":\"\xef\xbf\xbd\"}\n" },
        { ngx_string("\x80"), "{\"s\":\"\xef\xbf\xbd\"}\n" },
        { ngx_string("a\xc3"), "{\"s\":\"a\xef\xbf\xbd\"}\n" },
        { ngx_string("\xe2\x82"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xc3\xff"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xc3\"x"), "{\"s\":\"\xef\xbf\xbd\\\"x\"}\n" },

        /* too long, a surrogate, beyond the last */

        { ngx_string("\xc0\xaf"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xe0\x80\xaf"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xed\xa0\x80"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xf0\x80\x80\x80"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n" },
        { ngx_string("\xf4\x90\x80\x80"),
          "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json = ngx_http_api_json_create(pool);
        ngx_http_api_json_string(json, "s", &rows[i].text);
        assert_encoded(json, rows[i].expected);
    }
}


/* what fails is told once, at the end, and is no crash before */

static void
test_failure(void **state)
{
    ngx_str_t             body;
    ngx_uint_t            i;
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);

    for (i = 1; i < NGX_HTTP_API_JSON_DEPTH; i++) {
        ngx_http_api_json_object(json, "o");
    }

    ngx_http_api_json_number(json, "n", 1);

    assert_int_equal(ngx_http_api_json_encode(json, &body), NGX_OK);
    assert_int_equal(ngx_http_api_json_encode(json, &body), NGX_ERROR);

    json = ngx_http_api_json_create(pool);

    for (i = 0; i < NGX_HTTP_API_JSON_DEPTH; i++) {
        ngx_http_api_json_object(json, "o");
    }

    ngx_http_api_json_number(json, "n", 1);

    for (i = 0; i < NGX_HTTP_API_JSON_DEPTH; i++) {
        ngx_http_api_json_end(json);
    }

    assert_int_equal(ngx_http_api_json_encode(json, &body), NGX_ERROR);

    ngx_http_api_json_object(NULL, "o");
    ngx_http_api_json_text(NULL, "t", "t");
    ngx_http_api_json_end(NULL);

    assert_int_equal(ngx_http_api_json_encode(NULL, &body), NGX_ERROR);
}


/* one that is given up on leaves with its pool: the sanitizer would tell */

static void
test_abandoned(void **state)
{
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);
    assert_non_null(json);

    ngx_http_api_json_array(json, "a");
    ngx_http_api_json_text(json, NULL, "t");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_abandoned)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
