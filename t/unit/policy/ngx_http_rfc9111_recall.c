
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9111_recall.h>


static void
recall_same(u_char *line, size_t len)
{
    ngx_str_t                   s;
    ngx_uint_t                  i;
    ngx_http_rfc9111_control_t  read, recalled;

    s.data = line;
    s.len = len;

    ngx_http_rfc9111_control_init(&read);
    ngx_http_rfc9111_control_parse(&s, &read);

    /* the second time it is remembered, if at all */

    for (i = 0; i < 2; i++) {
        memset(&recalled, 0xff, sizeof(recalled));
        ngx_http_rfc9111_recall(&s, &recalled);

        if (memcmp(&read, &recalled, sizeof(read)) != 0) {
            fail_msg("\"%.*s\" is recalled in another way", (int) len, line);
        }
    }
}


/* Each line in memory of its own: a set points into no other. */

static void
recall_line(const char *text)
{
    size_t   len;
    u_char  *line;

    len = strlen(text);
    line = malloc(len ? len : 1);

    assert_non_null(line);

    memcpy(line, text, len);
    recall_same(line, len);
    free(line);
}


static void
test_lines(void **state)
{
    ngx_uint_t    i;
    const char  **line;

    static const char  *lines[] = {
        "",
        ",",
        "no-store",
        "NO-STORE",
        "no-cache",
        "no-cache=\"a\"",
        "private",
        "private=\"set-cookie\"",
        "private, max-age=60",
        "private; max-age=60",
        "private, max-age=61",
        "private, max-age=06",
        "public, max-age=600",
        "public, max-age=60\t",
        "max-age=6040",
        "max-age=60",                     /* where the one above was */
        "max-age=60, private=\"set-cookie, x\", no-cache=\"y\"",
        "s-maxage=1, proxy-revalidate, must-revalidate, no-transform, x=y",
        "s-maxage=1, proxy-revalidate, must-revalidate, no-transform, x=yz",
        "min-fresh=1, max-stale, only-if-cached, immutable",
        NULL
    };

    for (i = 0; i < 3; i++) {
        for (line = lines; *line; line++) {
            recall_line(*line);
        }
    }
}


/* every byte in every place, also of lines that take the place of another */

static void
test_bytes(void **state)
{
    u_char      line[2][sizeof("max-age=60, public")];
    size_t      len;
    ngx_uint_t  ch, i;

    len = sizeof(line[0]) - 1;
    memcpy(line[0], "max-age=60, public", len);

    for (i = 0; i < len; i++) {
        memcpy(line[1], line[0], len);

        for (ch = 0; ch < 256; ch++) {
            line[1][i] = (u_char) ch;

            recall_same(line[1], len);
            recall_same(line[0], len);
        }
    }
}


/* what is not read again is what it was, whatever was done with the set */

static void
test_apart(void **state)
{
    ngx_http_rfc9111_control_t  cc;

    ngx_str_t  line = ngx_string("private, max-age=7");
    ngx_str_t  more = ngx_string("no-store, max-age=1");

    ngx_http_rfc9111_recall(&line, &cc);
    ngx_http_rfc9111_control_parse(&more, &cc);

    assert_true(cc.no_store && cc.priv);
    assert_int_equal(cc.max_age, 1);

    ngx_http_rfc9111_recall(&line, &cc);

    assert_true(!cc.no_store && cc.priv);
    assert_int_equal(cc.max_age, 7);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
