
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_template.h>

#include "ngx_token_test.h"


static ngx_pool_t  *pool;
static ngx_uint_t   asked;


/* of what begins with these letters */

static ngx_int_t
variable(void *data, ngx_str_t *name, ngx_str_t *value)
{
    asked++;
    assert_ptr_equal(data, &asked);

    switch (name->data[0]) {

    case 'n':
        *value = *name;
        return NGX_OK;

    case 'd':
        *value = test_str("$d");
        return NGX_OK;

    case 'e':
        *value = test_str("");
        return NGX_OK;

    case 'f':
        return NGX_ERROR;

    default:
        return NGX_DECLINED;
    }
}


static void
expands(const char *value, ngx_int_t rc, const char *expected)
{
    ngx_str_t  v, text;

    v = test_str(value);

    assert_int_equal(ngx_token_template_expand(pool, &v, variable, &asked,
                                               &text), rc);

    if (rc == NGX_OK
        && (text.len != strlen(expected)
            || memcmp(text.data, expected, text.len) != 0))
    {
        fail_msg("%s: \"%.*s\"", value, (int) text.len, text.data);
    }
}


static void
test_expand(void **state)
{
    pool = test_pool();

    expands("plain", NGX_OK, "plain");
    expands("", NGX_OK, "");
    expands("jti:$name", NGX_OK, "jti:name");
    expands("$name", NGX_OK, "name");
    expands("$n1$n2", NGX_OK, "n1n2");
    expands("${n}x${n_2}", NGX_OK, "nxn_2");
    expands("a:$n:b", NGX_OK, "a:n:b");
    expands("a{$n}", NGX_OK, "a{n}");
    expands("$N_Xy9.z", NGX_OK, "n_xy9.z");

    /* what a variable is, is not looked into */

    expands("${d}n", NGX_OK, "$dn");

    expands("a:$x", NGX_DECLINED, NULL);
    expands("a:$e", NGX_DECLINED, NULL);
    expands("$n:$f", NGX_ERROR, NULL);
    expands("$1", NGX_DECLINED, NULL);

    /* what nginx would not have accepted */

    expands("$", NGX_DECLINED, NULL);
    expands("a$", NGX_DECLINED, NULL);
    expands("$$n", NGX_DECLINED, NULL);
    expands("${n", NGX_DECLINED, NULL);
    expands("${", NGX_DECLINED, NULL);
    expands("${}", NGX_DECLINED, NULL);
    expands("${n.}", NGX_DECLINED, NULL);

    assert_true(asked > 0);

    ngx_destroy_pool(pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_expand)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
