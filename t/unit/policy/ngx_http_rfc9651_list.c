
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9651_list.h>


typedef struct {
    char        text[512];
    size_t      len;
} told_t;


static ngx_int_t list(const char *data, size_t len, told_t *told);
static void told_string(ngx_str_t *text, void *data);


static void
test_strings(void **state)
{
    ngx_int_t   n;
    told_t      told;
    ngx_uint_t  i;

    static struct {
        const char  *line;
        ngx_int_t    n;
        const char  *told;
    } rows[] = {
        { "", 0, "" },
        { "   ", 0, "" },
        { "\"\"", 1, ";" },
        { "\"a\"", 1, "a;" },
        { "  \"a\"  ", 1, "a;" },
        { "\t\"a\" \t", 1, "a;" },
        { "\"a\",\"b\"", 2, "a;b;" },
        { "\"a\"\t ,\t \"b\"", 2, "a;b;" },
        { "\"a,b\", \"c;d\"", 2, "a,b;c;d;" },
        { "\"a\";p, \"b\";q=\"r,s\";t=?0", 2, "a;b;" },
        { "\"\\\"\\\\\"", 1, "\\\"\\\\;" },
        { "\"a\", \"a\"", 2, "a;a;" },

        { "a", NGX_ERROR, NULL },
        { "1", NGX_ERROR, NULL },
        { "?1", NGX_ERROR, NULL },
        { ":YQ==:", NGX_ERROR, NULL },
        { "%\"a\"", NGX_ERROR, NULL },
        { "(\"a\")", NGX_ERROR, NULL },
        { "\"a\", b", NGX_ERROR, NULL },
        { "\"a\" \"b\"", NGX_ERROR, NULL },
        { "\"a\",", NGX_ERROR, NULL },
        { "\"a\", ", NGX_ERROR, NULL },
        { ",\"a\"", NGX_ERROR, NULL },
        { "\"a\",,\"b\"", NGX_ERROR, NULL },
        { "\"a", NGX_ERROR, NULL },
        { "\"a\\", NGX_ERROR, NULL },
        { "\"a\\b\"", NGX_ERROR, NULL },
        { "\"a\nb\"", NGX_ERROR, NULL },
        { "\"\x7f\"", NGX_ERROR, NULL },
        { "\"\xc3\xa4\"", NGX_ERROR, NULL },
        { "\"a\";", NGX_ERROR, NULL },
        { "\"a\";P", NGX_ERROR, NULL },
        { "\"a\";\tp", NGX_ERROR, NULL },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        n = list(rows[i].line, strlen(rows[i].line), &told);

        if (n != rows[i].n
            || (n != NGX_ERROR && strcmp(told.text, rows[i].told) != 0))
        {
            fail_msg("\"%s\": %d, \"%s\"", rows[i].line, (int) n, told.text);
        }
    }

    assert_int_equal(list("\"a\0\"", 4, &told), NGX_ERROR);
}


/* wherever it ends, nothing behind it is read */

static void
test_cut(void **state)
{
    size_t  i;
    told_t  told;

    static const char  line[] = "\"a\\\"b\";p=\"q\", \"c\" ;r, \"d\"";

    for (i = 0; i < sizeof(line); i++) {
        (void) list(line, i, &told);
    }
}


static void
test_unescape(void **state)
{
    u_char     *end, dst[16];
    ngx_str_t   text;

    ngx_str_set(&text, "a\\\"b\\\\");

    end = ngx_http_rfc9651_unescape(dst, &text);

    assert_int_equal(end - dst, 4);
    assert_memory_equal(dst, "a\"b\\", 4);

    text.len = 0;
    assert_ptr_equal(ngx_http_rfc9651_unescape(dst, &text), dst);
}


/* of a copy that ends where the line does */

static ngx_int_t
list(const char *data, size_t len, told_t *told)
{
    ngx_int_t  n;
    ngx_str_t  line;

    told->len = 0;
    told->text[0] = '\0';

    line.len = len;
    line.data = malloc(len);
    assert_true(line.data != NULL || len == 0);

    memcpy(line.data, data, len);

    n = ngx_http_rfc9651_strings(&line, told_string, told);

    free(line.data);

    return n;
}


static void
told_string(ngx_str_t *text, void *data)
{
    told_t *told = data;

    assert_true(told->len + text->len + 2 < sizeof(told->text));

    memcpy(told->text + told->len, text->data, text->len);
    told->len += text->len;
    told->text[told->len++] = ';';
    told->text[told->len] = '\0';
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_unescape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
