
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9110_list.h>


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


/* RFC 9110, 5.6.1 */

static void
test_next(void **state)
{
    u_char     *p, *last;
    ngx_str_t   list, member;

    list = str(" ,a, \tb c\t,,d ");

    p = list.data;
    last = p + list.len;

    p = ngx_http_rfc9110_list_next(p, last, &member);
    assert_non_null(p);
    assert_int_equal(member.len, 1);
    assert_memory_equal(member.data, "a", 1);

    p = ngx_http_rfc9110_list_next(p, last, &member);
    assert_non_null(p);
    assert_int_equal(member.len, 3);
    assert_memory_equal(member.data, "b c", 3);

    p = ngx_http_rfc9110_list_next(p, last, &member);
    assert_non_null(p);
    assert_int_equal(member.len, 1);
    assert_memory_equal(member.data, "d", 1);

    assert_null(ngx_http_rfc9110_list_next(p, last, &member));
    assert_null(ngx_http_rfc9110_list_next(last, last, &member));
}


static void
test_has(void **state)
{
    ngx_str_t  list, name;

    list = str("Aa, bb ,c");

    name = str("aA");
    assert_true(ngx_http_rfc9110_list_has(&list, &name));
    name = str("BB");
    assert_true(ngx_http_rfc9110_list_has(&list, &name));
    name = str("c");
    assert_true(ngx_http_rfc9110_list_has(&list, &name));
    name = str("b");
    assert_false(ngx_http_rfc9110_list_has(&list, &name));
    name = str("bbb");
    assert_false(ngx_http_rfc9110_list_has(&list, &name));
    name = str("");
    assert_false(ngx_http_rfc9110_list_has(&list, &name));
}


static void
test_valid(void **state)
{
    ngx_uint_t  i;
    ngx_str_t   list;

    static struct {
        const char  *text;
        ngx_uint_t   valid;
    } rows[] = {
        { "a", 1 },
        { "A-b_9!, x", 1 },
        { " , a, ,b,", 1 },
        { "*", 1 },
        { "", 0 },
        { " , ,", 0 },
        { "a b", 0 },
        { "a, b:", 0 },
        { "\"a\"", 0 },
        { "a;b", 0 },
        { "a, \x80", 0 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        list = str(rows[i].text);

        if (ngx_http_rfc9110_list_valid(&list) != rows[i].valid) {
            fail_msg("\"%s\"", rows[i].text);
        }
    }
}


/* RFC 9110, 5.6.2, each byte */

static void
test_token(void **state)
{
    u_char      byte;
    ngx_str_t   s;
    ngx_uint_t  ch, expected;

    for (ch = 0; ch < 256; ch++) {
        byte = (u_char) ch;
        s.data = &byte;
        s.len = 1;

        expected = ch > 0x20 && ch < 0x7f
                   && strchr("\"(),/:;<=>?@[\\]{}", (int) ch) == NULL;

        if (ngx_http_rfc9110_token(&s) != expected) {
            fail_msg("byte %d", (int) ch);
        }
    }

    s.len = 0;
    assert_false(ngx_http_rfc9110_token(&s));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_has),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
