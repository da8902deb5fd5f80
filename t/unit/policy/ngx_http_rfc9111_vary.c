
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9111_vary.h>


static void
vary_line(ngx_http_rfc9111_vary_t *v, const char *text)
{
    ngx_str_t  line;

    line.data = (u_char *) text;
    line.len = strlen(text);

    ngx_http_rfc9111_vary_parse(&line, v);
}


static void
test_lines(void **state)
{
    ngx_uint_t               i;
    ngx_http_rfc9111_vary_t  v;

    static struct {
        const char  *text;
        ngx_uint_t   n;
        ngx_uint_t   any;
        ngx_uint_t   encoding;
    } rows[] = {
        { "", 0, 0, 0 },
        { " , ,", 0, 0, 0 },
        { "Accept-Encoding", 0, 0, 1 },
        { "accept-encoding, ACCEPT-ENCODING", 0, 0, 1 },
        { "Accept-Language", 1, 0, 0 },
        { "Accept, Accept-Encoding, Cookie", 2, 0, 1 },
        { "Accept-Encodings", 1, 0, 0 },
        { "Accept, accept, ACCEPT", 1, 0, 0 },

        /* RFC 9111, 4.1: "*" wherever it stands */

        { "*", 0, 1, 0 },
        { "Accept, *", 1, 1, 0 },
        { ", *", 0, 1, 0 },
        { "**", 1, 0, 0 },

        /* what is no name of a field depends on who knows what */

        { "Accept Cookie", 0, 1, 0 },
        { "Accept; Cookie", 0, 1, 0 },
        { "\"Accept\"", 0, 1, 0 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&v, 0, sizeof(v));
        vary_line(&v, rows[i].text);

        if (v.n != rows[i].n || v.any != rows[i].any
            || v.encoding != rows[i].encoding)
        {
            fail_msg("\"%s\"", rows[i].text);
        }
    }
}


static void
test_several_lines(void **state)
{
    ngx_http_rfc9111_vary_t  v;

    memset(&v, 0, sizeof(v));
    vary_line(&v, "Accept");
    vary_line(&v, "accept , Cookie");
    vary_line(&v, "");

    assert_int_equal(v.n, 2);
    assert_int_equal(v.names[1].len, 6);
    assert_memory_equal(v.names[1].data, "Cookie", 6);
    assert_false(v.any);

    vary_line(&v, "*");
    assert_true(v.any);
}


static void
test_too_many(void **state)
{
    ngx_http_rfc9111_vary_t  v;

    memset(&v, 0, sizeof(v));
    vary_line(&v, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p");

    assert_int_equal(v.n, NGX_HTTP_RFC9111_VARY_MAX);
    assert_false(v.any);

    vary_line(&v, "p, A");
    assert_false(v.any);

    vary_line(&v, "q");
    assert_int_equal(v.n, NGX_HTTP_RFC9111_VARY_MAX);
    assert_true(v.any);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_several_lines),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
