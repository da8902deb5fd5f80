
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_api_path.h>


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
assert_str(ngx_str_t *s, const char *expected)
{
    assert_int_equal(s->len, strlen(expected));
    assert_memory_equal(s->data, expected, s->len);
}


static void
test_match(void **state)
{
    ngx_uint_t           i, n;
    ngx_http_api_path_t  found;

    /* what the segments and the tail are; no tail: what did not match */

    static struct {
        ngx_str_t    pattern;
        ngx_str_t    path;
        ngx_int_t    rc;
        const char  *found[3];
    } rows[] = {
        { ngx_string("/zones"), ngx_string("/zones"), NGX_OK, { NULL } },
        { ngx_string("/zones"), ngx_string("/zone"), NGX_DECLINED, { NULL } },
        { ngx_string("/zones"), ngx_string("/zonesx"), NGX_DECLINED, { NULL } },
        { ngx_string("/zones"), ngx_string("/zones/"), NGX_DECLINED, { NULL } },
        { ngx_string("/zones"), ngx_string(""), NGX_DECLINED, { NULL } },

        { ngx_string("/z/*"), ngx_string("/z/a"), NGX_OK, { "a" } },
        { ngx_string("/z/*"), ngx_string("/z/"), NGX_DECLINED, { NULL } },
        { ngx_string("/z/*"), ngx_string("/z"), NGX_DECLINED, { NULL } },
        { ngx_string("/z/*"), ngx_string("/z/a/b"), NGX_DECLINED, { NULL } },
        { ngx_string("/z/*/c"), ngx_string("/z/a/c"), NGX_OK, { "a" } },
        { ngx_string("/z/*/*"), ngx_string("/z/*/b"), NGX_OK, { "*", "b" } },
        { ngx_string("/*/*/*"), ngx_string("/a/b/c"), NGX_DECLINED, { NULL } },

        { ngx_string("/s/*/**"), ngx_string("/s/a/b/c"), NGX_OK,
          { "a", NULL, "b/c" } },
        { ngx_string("/s/*/**"), ngx_string("/s/a/"), NGX_OK,
          { "a", NULL, "" } },
        { ngx_string("/s/*/**"), ngx_string("/s//b"), NGX_DECLINED, { NULL } },
        { ngx_string("/s/*/**"), ngx_string("/s/a"), NGX_DECLINED, { NULL } }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        assert_int_equal(ngx_http_api_path_match(&rows[i].pattern,
                                                 &rows[i].path, &found),
                         rows[i].rc);

        if (rows[i].rc != NGX_OK) {
            continue;
        }

        for (n = 0; n < 2 && rows[i].found[n]; n++) {
            assert_str(&found.names[n], rows[i].found[n]);
        }

        if (rows[i].found[2]) {
            assert_non_null(found.tail.data);
            assert_str(&found.tail, rows[i].found[2]);

        } else {
            assert_null(found.tail.data);
        }
    }
}


static void
test_tail(void **state)
{
    size_t       head;
    ngx_int_t    rc;
    ngx_str_t    tail;
    ngx_uint_t   i;

    /* "uri" is what nginx makes of "raw"; the head ends with "/z/" */

    static struct {
        ngx_str_t    raw;
        ngx_str_t    uri;
        const char  *tail;
    } rows[] = {
        { ngx_string("/z/k"), ngx_string("/z/k"), "k" },
        { ngx_string("/z/k?a=b"), ngx_string("/z/k"), "k" },
        { ngx_string("/z/k#a"), ngx_string("/z/k"), "k" },
        { ngx_string("/%7a/%6B%2f"), ngx_string("/z/k/"), "k/" },
        { ngx_string("%2Fz%2Fk"), ngx_string("/z/k"), "k" },
        { ngx_string("/z/%252F+"), ngx_string("/z/%2F+"), "%2F+" },
        { ngx_string("/z/%FF"), ngx_string("/z/\xff"), "\xff" },
        { ngx_string("/z/"), ngx_string("/z/"), "" },

        /* what nginx takes out is there */

        { ngx_string("/z//a//b/"), ngx_string("/z/a/b/"), "/a//b/" },
        { ngx_string("/z/%2F"), ngx_string("/z/"), "/" },
        { ngx_string("/z/."), ngx_string("/z/"), "." },
        { ngx_string("/z/a/../b"), ngx_string("/z/b"), "a/../b" },

        /* the heads differ, or the whole URI is another one */

        { ngx_string("/y/../z/k"), ngx_string("/z/k"), NULL },
        { ngx_string("//z/k"), ngx_string("/z/k"), NULL },
        { ngx_string("/elsewhere"), ngx_string("/z/k"), NULL },
        { ngx_string("/z"), ngx_string("/z/k"), NULL },
        { ngx_string("/z?/k"), ngx_string("/z/k"), NULL },
        { ngx_string(""), ngx_string("/z/k"), NULL },

        /* nginx would not have let these in */

        { ngx_string("/z/%"), ngx_string("/z/k"), NULL },
        { ngx_string("/z/%4"), ngx_string("/z/k"), NULL },
        { ngx_string("/z/%4?"), ngx_string("/z/k"), NULL },
        { ngx_string("/z/%zz"), ngx_string("/z/k"), NULL },
        { ngx_string("/%zz/k"), ngx_string("/z/k"), NULL }
    };

    head = 3;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        ngx_str_set(&tail, "left alone");

        rc = ngx_http_api_path_tail(&rows[i].raw, &rows[i].uri, head, &tail,
                                    pool);

        assert_int_equal(rc, rows[i].tail ? NGX_OK : NGX_DECLINED);
        assert_str(&tail, rows[i].tail ? rows[i].tail : "left alone");
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_tail)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
