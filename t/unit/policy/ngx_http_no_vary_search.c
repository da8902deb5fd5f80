
/*
 * Copyright (C) The Optcache authors
 */


/* No-Vary-Search: what a field says, and what it makes of a query. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_no_vary_search.h>


static ngx_log_t  logger;


/* the target that a field makes of another; "-": the field says nothing */

static void
assert_target(char *field, char *target, char *wanted)
{
    ngx_int_t                  rc;
    ngx_str_t                  line, text, result;
    ngx_pool_t                *pool;
    ngx_http_no_vary_search_t  nvs;

    pool = ngx_create_pool(4096, &logger);
    assert_non_null(pool);

    line.data = (u_char *) strdup(field);
    line.len = strlen(field);
    text.data = (u_char *) strdup(target);
    text.len = strlen(target);

    rc = ngx_http_no_vary_search_parse(pool, &line, &nvs);

    if (rc == NGX_OK) {
        rc = ngx_http_no_vary_search_target(pool, &text, &nvs, &result);
    }

    if (rc == NGX_OK) {
        assert_int_equal(result.len, strlen(wanted));
        assert_memory_equal(result.data, wanted, result.len);

    } else {
        assert_int_equal(rc, NGX_DECLINED);
        assert_string_equal(wanted, "-");
    }

    free(line.data);
    free(text.data);
    ngx_destroy_pool(pool);
}


static void
test_rules(void **state)
{
    assert_target("params=(\"a\")", "/p?a=1&b=2", "/p?b=2");
    assert_target("params=(\"a\")", "/p?b=2&a=1&b=1", "/p?b=2&b=1");
    assert_target("params=(\"a\" \"b\")", "/p?a=1&b=2", "/p");
    assert_target("params=( \"a\"   \"b\" )", "/p?a=1&b=2", "/p");
    assert_target("params=(\"a\")", "/p?aa=1&A=1&a", "/p?aa=1&A=1");
    assert_target("params", "/p?a=1&b=2", "/p");
    assert_target("params=?1", "/p?a=1", "/p");
    assert_target("except=(\"id\")", "/p?a=1&id=2&b", "/p?id=2");
    assert_target("except=()", "/p?a=1&id=2&b", "/p");
    assert_target("params, except=(\"id\")", "/p?a=1&id=2&b", "/p?id=2");
    assert_target("except=(\"id\"), params", "/p?a=1&id=2&b", "/p?id=2");
    assert_target("key-order", "/p?b=1&a=2&b=0&a=1", "/p?a=2&a=1&b=1&b=0");
    assert_target("key-order, params=(\"c\")", "/p?b&c&a", "/p?a&b");
    assert_target("params=(\"a\")", "/p", "/p");
    assert_target("params=(\"a\")", "/p?", "/p");
    assert_target("params=(\"a\")", "/p?&&b&&", "/p?b");
    assert_target("x=1, params=(\"a\");y=(1), z", "/p?a", "-");
    assert_target("x=1, params=(\"a\");y=1, z", "/p?a", "/p");
    assert_target("params=(\"a\";x=\"b c\" \"d\";y)", "/p?a&b&c&d", "/p?b&c");
}


/* of form data: names are compared decoded, values are left as they are */

static void
test_names(void **state)
{
    assert_target("params=(\"a b\")", "/p?a+b=1&a%20b=2&c=%41+", "/p?c=%41+");
    assert_target("params=(\"a%20b\")", "/p?a+b=1&c", "/p?c");
    assert_target("params=(\"a+b\")", "/p?a%20b=1&a%2Bb&c", "/p?a%2Bb&c");
    assert_target("params=(\"a\")", "/p?%61=1&%6=2&%zz&%", "/p?%6=2&%zz&%");
    assert_target("params=(\"\\\"\\\\\")", "/p?%22%5c&c", "/p?c");
    assert_target("params=(\"\")", "/p?=1&c", "/p?c");
    assert_target("key-order", "/p?b=1&%61=2", "/p?%61=2&b=1");
}


/* all of the query matters */

static void
test_default(void **state)
{
    assert_target("", "/p?a", "-");
    assert_target("key-order=?0", "/p?a", "-");
    assert_target("params=?0", "/p?a", "-");
    assert_target("params=()", "/p?a", "-");
    assert_target("params=(a)", "/p?a", "-");
    assert_target("params=(\"a\" 1)", "/p?a", "-");
    assert_target("params=1", "/p?a", "-");
    assert_target("params=\"a\"", "/p?a", "-");
    assert_target("except", "/p?a", "-");
    assert_target("except=\"a\"", "/p?a", "-");
    assert_target("key-order=1", "/p?a", "-");
    assert_target("params=(\"a\"), except=(\"b\")", "/p?a", "-");
    assert_target("except=(\"b\"), params=(\"a\")", "/p?a", "-");
    assert_target("params=?0, except=(\"b\")", "/p?a", "-");
    assert_target("params=(\"a\"", "/p?a", "-");
    assert_target("params=(\"a\"),", "/p?a", "-");

    /* the last of one name counts */

    assert_target("params=(\"a\"), params=?0", "/p?a", "-");
    assert_target("params=(\"a\"), params=(\"b\")", "/p?a&b", "/p?a");
    assert_target("key-order, key-order=?0", "/p?b&a", "-");
}


static void
test_many(void **state)
{
    char        *text, *p;
    ngx_uint_t   i;

    text = malloc(4096);
    assert_non_null(text);

    p = text + sprintf(text, "/p?x=1");

    for (i = 1; i < NGX_HTTP_NO_VARY_SEARCH_PARAMS; i++) {
        p += sprintf(p, "&%u", (unsigned) i);
    }

    assert_target("params=(\"a\")", text, text);

    sprintf(p, "&a");
    *p = '\0';
    sprintf(p, "&b");
    assert_target("params=(\"a\")", text, "-");

    p = text + sprintf(text, "params=(\"x\"");

    for (i = 1; i < NGX_HTTP_NO_VARY_SEARCH_NAMES; i++) {
        p += sprintf(p, " \"%u\"", (unsigned) i);
    }

    sprintf(p, ")");
    assert_target(text, "/p?x&1&63&64", "/p?64");
    sprintf(p, " \"64\")");
    assert_target(text, "/p?x", "-");

    free(text);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
