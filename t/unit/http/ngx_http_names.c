
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_names.h>


static ngx_uint_t
fields(const char *key, ngx_str_t *value, ngx_http_names_e where,
    ngx_str_t *name, ngx_uint_t dashes)
{
    ngx_table_elt_t     h;
    ngx_http_request_t  r;

    ngx_memzero(&h, sizeof(ngx_table_elt_t));
    ngx_memzero(&r, sizeof(ngx_http_request_t));

    h.key.data = (u_char *) key;
    h.key.len = strlen(key);
    h.value = *value;

    r.headers_in.headers.part.elts = &h;
    r.headers_in.headers.part.nelts = 1;

    return ngx_http_names_said(&r, where, name, dashes);
}


static ngx_uint_t
cookies(ngx_str_t *text, ngx_str_t *name, ngx_uint_t dashes)
{
    return fields("Cookie", text, NGX_HTTP_NAMES_COOKIE, name, dashes);
}


static ngx_uint_t
args(ngx_str_t *text, ngx_str_t *name)
{
    ngx_http_request_t  r;

    ngx_memzero(&r, sizeof(ngx_http_request_t));
    r.args = *text;

    return ngx_http_names_said(&r, NGX_HTTP_NAMES_ARG, name, 0);
}


/* how many there are to any reader; of cookies 2 if readers differ */

static void
test_names(void **state)
{
    size_t       i;
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   n;

    static ngx_str_t  name = ngx_string("my_token");
    static ngx_str_t  under = ngx_string("_token");

    static struct {
        const char  *text;
        ngx_uint_t   args;
        ngx_uint_t   cookies;
    } rows[] = {
        { "", 0, 0 },
        { "my_token", 0, 0 },
        { "my_token=", 0, 0 },
        { "my_token=a", 1, 1 },
        { "my_toke=a", 0, 0 },
        { "my_tokens=a", 0, 0 },
        { "my_token=a=my_token=b", 1, 1 },
        { "MY_Token=a", 1, 1 },

        { "my_token=a&my_token=b", 2, 1 },
        { "my_token=a;my_token=b", 2, 2 },
        { "my_token=a; my_token=b; my_token=c", 3, 3 },
        { "x=1&amp;my_token=a", 1, 1 },

        /* a comma */
        { "my_token=a,b", 1, 1 },
        { "x=a,b; my_token=a", 1, 1 },
        { "x=a, y=b; my_token=a", 1, 1 },
        { "x=1,my_token=a", 0, 2 },
        { "x=1,my_token=a; my_token=b", 1, 2 },
        { "my_token=a; x=1, my_token=b", 1, 2 },
        { "my_token=a,my_token=b", 1, 2 },
        { "my_token=,b", 1, 2 },

        /* decoded */
        { "%6dy%5Ftoken=a", 1, 1 },
        { "my%2etoken=a", 1, 1 },
        { "my_token%=a", 0, 0 },
        { "my_token%2=a", 0, 0 },
        { "%=a", 0, 0 },

        { "%u006dy%U005Ftoken=a", 1, 1 },
        { "my_token=a&my_toke%u006E=b", 2, 1 },
        { "my_token%u0020=a", 1, 1 },
        { "my_token%u0000x=a", 1, 1 },
        { "my_token%u005B0]=a", 1, 1 },
        { "my_token%u0078=a", 0, 0 },
        { "my_%u0078oken=a", 0, 0 },
        { "my_token%u00=a", 0, 0 },
        { "%u006gy_token=a", 0, 0 },
        { "%u65e5y_token=a", 0, 0 },
        { "%u043cy_token=a", 0, 0 },

        /* to some, a wide one, and a blank */
        { "my_toke%uFF4e=a", 1, 1 },
        { "my_token%u3000=a", 1, 1 },

        /* and as PHP has it */
        { "my.token=a", 1, 1 },
        { "my token=a", 1, 2 },
        { "my+token=a", 1, 1 },
        { "my%20token=a", 1, 1 },
        { "my[token=a", 1, 1 },
        { "my-token=a", 0, 0 },
        { "  my_token=a", 1, 1 },
        { "++my_token=a", 1, 1 },
        { "%20%09my_token=a", 1, 1 },
        { "my_token =a", 1, 2 },
        { "my_token%20=a", 1, 1 },
        { "my_token x=a", 0, 0 },
        { "my_token[]=a", 1, 1 },
        { "?my_token=a", 1, 1 },
        { "x?my_token=a", 0, 0 },
        { "my_token%5b0]=a", 1, 1 },
        { "my_token%00x=a", 1, 1 },
        { "my%00_token=a", 0, 0 },

        /* brackets around it, and no name before it */
        { "[my_token]=a", 1, 1 },
        { "%5Bmy_token%5D=a", 1, 1 },
        { "]my_token=a", 1, 1 },
        { "my_token]=a", 1, 1 },
        { "=my_token=a", 1, 1 },
        { " =my_token=a", 1, 1 },
        { "x=1&=my_token=a", 1, 0 },
        { "my_token=a; =my_token=b", 2, 2 },

        /* a blank */
        { "my_token=a; x=1 my_token=b", 1, 2 },
        { "my_token=a; x=1\tmy_token=b", 1, 2 },
        { "x=1 my_token=a", 0, 2 },
        { "x=1 y=2; my_token=a", 1, 1 },
        { NULL, 0, 0 }
    };

    for (i = 0; rows[i].text; i++) {
        text.len = strlen(rows[i].text);

        /* what comes after it must not be read */

        p = malloc(text.len ? text.len : 1);
        assert_non_null(p);
        ngx_memcpy(p, rows[i].text, text.len);
        text.data = p;

        n = args(&text, &name);
        assert_int_equal(n, rows[i].args);

        n = cookies(&text, &name, 0);
        assert_int_equal(n, rows[i].cookies);

        free(p);
    }

    ngx_str_set(&text, "_token=a&[_token]=b&[token=c&token=d");
    assert_int_equal(args(&text, &under), 3);
}


static void
test_dashes(void **state)
{
    ngx_str_t  text;

    static ngx_str_t  name = ngx_string("my_token");

    ngx_str_set(&text, "x=1; my-token=a");

    assert_int_equal(cookies(&text, &name, 0), 0);
    assert_int_equal(cookies(&text, &name, 1), 1);

    ngx_str_set(&text, "my-token-x=a; x-my-token=a; my--token=a; my-token=");
    assert_int_equal(cookies(&text, &name, 1), 0);
}


static void
test_fields(void **state)
{
    ngx_str_t  text;

    static ngx_str_t  name = ngx_string("x_key");

    ngx_str_set(&text, "a");

    assert_int_equal(fields("X-Key", &text, NGX_HTTP_NAMES_FIELD, &name, 0),
                     1);
    assert_int_equal(fields("x_key", &text, NGX_HTTP_NAMES_FIELD, &name, 1),
                     1);
    assert_int_equal(fields("X-Keys", &text, NGX_HTTP_NAMES_FIELD, &name, 1),
                     0);
    assert_int_equal(fields("XKey", &text, NGX_HTTP_NAMES_FIELD, &name, 1),
                     0);

    text.len = 0;

    assert_int_equal(fields("X-Key", &text, NGX_HTTP_NAMES_FIELD, &name, 0),
                     0);
}


static void
test_variables(void **state)
{
    size_t            i;
    ngx_str_t         variable, name;
    ngx_http_names_e  where;

    static struct {
        const char        *variable;
        ngx_http_names_e   where;
        const char        *name;
    } rows[] = {
        { "arg_a", NGX_HTTP_NAMES_ARG, "a" },
        { "cookie_a_b", NGX_HTTP_NAMES_COOKIE, "a_b" },
        { "COOKIE_A", NGX_HTTP_NAMES_COOKIE, "A" },
        { "http_cookie_a", NGX_HTTP_NAMES_FIELD, "cookie_a" },
        { "http_", NGX_HTTP_NAMES_NONE, "" },
        { "sent_http_a", NGX_HTTP_NAMES_NONE, "" },
        { "args", NGX_HTTP_NAMES_NONE, "" },
        { "", NGX_HTTP_NAMES_NONE, "" },
        { NULL, NGX_HTTP_NAMES_NONE, "" }
    };

    for (i = 0; rows[i].variable; i++) {
        variable.data = (u_char *) rows[i].variable;
        variable.len = strlen(rows[i].variable);

        where = ngx_http_names_variable(&variable, &name);
        assert_int_equal(where, rows[i].where);

        if (where != NGX_HTTP_NAMES_NONE) {
            assert_int_equal(name.len, strlen(rows[i].name));
            assert_memory_equal(name.data, rows[i].name, name.len);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_dashes),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_variables)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
