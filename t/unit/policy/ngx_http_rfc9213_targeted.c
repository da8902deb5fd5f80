
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9213_targeted.h>


static ngx_int_t
targeted(const char *text, ngx_http_rfc9111_control_t *cc)
{
    ngx_str_t  line;

    line.data = (u_char *) text;
    line.len = strlen(text);

    return ngx_http_rfc9213_targeted(&line, cc);
}


/* RFC 9213, 2.1: as if it were absent */

static void
test_ignored(void **state)
{
    ngx_uint_t                  i;
    ngx_http_rfc9111_control_t  cc;

    static const char  *rows[] = {
        "", "  ", "max-age=60,", "max-age = 60",
        "Max-Age=60", "max-age='60'", "no-store, max-age=", "max-age=60 60",
        "no-store; max-age= 60", "private=a b", "max-age=9999999999999999"
    };

    ngx_http_rfc9111_control_init(&cc);
    cc.max_age = 7;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        if (targeted(rows[i], &cc) != NGX_DECLINED) {
            fail_msg("\"%s\"", rows[i]);
        }

        assert_int_equal(cc.max_age, 7);
        assert_false(cc.no_store);
    }
}


static void
test_directives(void **state)
{
    ngx_str_t                   name;
    ngx_http_rfc9111_control_t  cc;

    ngx_http_rfc9111_control_init(&cc);
    cc.priv = 1;
    cc.s_maxage = 5;

    assert_int_equal(targeted("max-age=60, must-revalidate, x=(1 2)", &cc),
                     NGX_OK);
    assert_int_equal(cc.max_age, 60);
    assert_true(cc.must_revalidate);

    /* what was said elsewhere is gone */

    assert_false(cc.priv);
    assert_int_equal(cc.s_maxage, -1);

    assert_int_equal(targeted("no-store, no-cache, private", &cc), NGX_OK);
    assert_true(cc.no_store && cc.no_cache && cc.priv);

    /* RFC 9213, 3.1: a directive that nobody knows */

    assert_int_equal(targeted("none", &cc), NGX_OK);
    assert_false(cc.no_store || cc.no_cache || cc.priv);
    assert_int_equal(cc.max_age, -1);

    /* parameters are ignored */

    assert_int_equal(targeted("max-age=60;no-store, public;x=1", &cc),
                     NGX_OK);
    assert_int_equal(cc.max_age, 60);
    assert_true(cc.pub);
    assert_false(cc.no_store);

    assert_int_equal(targeted("private=\"a, x\", no-cache=b, max-age=1", &cc),
                     NGX_OK);
    assert_false(cc.priv || cc.no_cache);

    ngx_str_set(&name, "X");
    assert_true(ngx_http_rfc9111_control_omits(&cc, &name, 1));
    ngx_str_set(&name, "b");
    assert_true(ngx_http_rfc9111_control_omits(&cc, &name, 0));
}


/* a value of the wrong type grants nothing */

static void
test_types(void **state)
{
    ngx_uint_t                  i;
    ngx_http_rfc9111_control_t  cc;

    static const char  *rows[] = {
        "max-age=\"60\"", "max-age=60.0", "max-age=-60", "max-age=x60",
        "max-age=:60:", "max-age=@60", "max-age=(60)", "max-age",
        "max-age=%\"60\""
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(targeted(rows[i], &cc), NGX_OK);

        if (cc.max_age != 0) {
            fail_msg("\"%s\"", rows[i]);
        }
    }

    assert_int_equal(targeted("no-store=1, private=(a), no-cache=\"a b\"",
                              &cc), NGX_OK);
    assert_true(cc.no_store && cc.priv && cc.no_cache);

    assert_int_equal(targeted("no-store=?0, max-age=5, private=?1", &cc),
                     NGX_OK);
    assert_false(cc.no_store);
    assert_true(cc.priv);
}


/* RFC 9651, 4.2.2: the last of a key */

static void
test_duplicates(void **state)
{
    ngx_str_t                   name;
    ngx_http_rfc9111_control_t  cc;

    assert_int_equal(targeted("max-age=5, max-age=60", &cc), NGX_OK);
    assert_int_equal(cc.max_age, 60);

    assert_int_equal(targeted("max-age=60, max-age=5", &cc), NGX_OK);
    assert_int_equal(cc.max_age, 5);

    assert_int_equal(targeted("no-store, no-store=?0", &cc), NGX_OK);
    assert_false(cc.no_store);

    assert_int_equal(targeted("private=a, no-cache=c, private=b", &cc),
                     NGX_OK);
    ngx_str_set(&name, "a");
    assert_false(ngx_http_rfc9111_control_omits(&cc, &name, 1));
    ngx_str_set(&name, "b");
    assert_true(ngx_http_rfc9111_control_omits(&cc, &name, 1));
    ngx_str_set(&name, "c");
    assert_true(ngx_http_rfc9111_control_omits(&cc, &name, 1));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_duplicates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
