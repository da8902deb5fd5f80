
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_base64.h>


static ngx_int_t
decode(const char *text, ngx_str_t *dst)
{
    ngx_str_t  src;

    src.data = (u_char *) text;
    src.len = strlen(text);

    return ngx_token_base64_decode(&src, dst);
}


static void
test_decoded(void **state)
{
    u_char      buf[64];
    ngx_str_t   dst;
    ngx_uint_t  i;

    static struct {
        const char  *text;
        const char  *bytes;
        size_t       len;
    } rows[] = {
        { "", "", 0 },
        { "QQ", "A", 1 },
        { "QUI", "AB", 2 },
        { "QUJD", "ABC", 3 },
        { "-_-_", "\xfb\xff\xbf", 3 },
        { "AAAA", "\0\0\0", 3 },
        { "_____w", "\xff\xff\xff\xff", 4 },
        { NULL, NULL, 0 }
    };

    for (i = 0; rows[i].text; i++) {
        dst.data = buf;

        assert_int_equal(decode(rows[i].text, &dst), NGX_OK);
        assert_int_equal(dst.len, rows[i].len);
        assert_memory_equal(dst.data, rows[i].bytes, dst.len);
    }
}


/* RFC 7515, 2, and RFC 4648, 3.5: one text for the same bytes */

static void
test_refused(void **state)
{
    u_char        buf[64];
    ngx_str_t     dst;
    const char  **text;

    static const char  *texts[] = {
        "Q", "A", "QUJDQ", "AAAAA", "QQ==", "QUI=", "QQ=", "=",
        "QR", "Qf", "QUJ", "QUG", "QU+D", "QU/D", "QU D", "QU\nD", "QQ\n",
        " QQ", "QQ.", "Q\xc3\xa9Q", NULL
    };

    for (text = texts; *text; text++) {
        dst.data = buf;
        assert_int_equal(decode(*text, &dst), NGX_ERROR);
    }
}


/* what is written can be read, and nothing past the room asked for */

static void
test_both_ways(void **state)
{
    size_t      len, i;
    u_char     *bytes, *text, *again;
    ngx_str_t   src, dst;

    for (len = 1; len < 130; len++) {

        bytes = malloc(len);
        text = malloc((len * 4 + 2) / 3);
        assert_true(bytes && text);

        for (i = 0; i < len; i++) {
            bytes[i] = (u_char) (i * 73 + len);
        }

        src.data = bytes;
        src.len = len;
        ngx_token_base64_encode(&src, text);

        src.data = text;
        src.len = (len * 4 + 2) / 3;

        again = malloc(ngx_token_base64_size(src.len));
        assert_non_null(again);
        dst.data = again;

        assert_int_equal(ngx_token_base64_decode(&src, &dst), NGX_OK);
        assert_int_equal(dst.len, len);
        assert_memory_equal(dst.data, bytes, len);

        free(bytes);
        free(text);
        free(again);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_both_ways)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
