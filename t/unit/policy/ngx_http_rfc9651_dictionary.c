
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9651_dictionary.h>


typedef struct {
    char        text[512];
    size_t      len;
} told_t;


static ngx_int_t dictionary(const char *data, size_t len, told_t *told);
static void told_member(ngx_http_rfc9651_member_t *m, void *data);


/* what the handler is told: a letter for the type, key, text */

static void
test_valid(void **state)
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
        { "a", 1, "B a 1;" },
        { "a=?1", 1, "B a ?1 1;" },
        { "a=?0", 1, "B a ?0 0;" },
        { "\t", 0, "" },
        { "a\t", 1, "B a 1;" },
        { " \ta\t ", 1, "B a 1;" },
        { " a , b\t,\tc ", 3, "B a 1;B b 1;B c 1;" },
        { "a=1,b=-2,c=007", 3, "I a 1;I b -2;I c 007;" },
        { "a=999999999999999", 1, "I a 999999999999999;" },
        { "a=-999999999999999", 1, "I a -999999999999999;" },
        { "a=1.5, b=-0.125, c=123456789012.1", 3,
          "D a 1.5;D b -0.125;D c 123456789012.1;" },
        { "a=\"\"", 1, "S a ;" },
        { "a=\"b, c=1\"", 1, "S a b, c=1;" },
        { "a=\"\\\"\\\\\"", 1, "S a \\\"\\\\;" },
        { "a=b", 1, "T a b;" },
        { "a=*b/c:d#", 1, "T a *b/c:d#;" },
        { "a=:aGVsbG8=:", 1, "Y a :aGVsbG8=:;" },
        { "a=::", 1, "Y a ::;" },
        { "a=@1659578233", 1, "@ a @1659578233;" },
        { "a=@-1", 1, "@ a @-1;" },
        { "a=%\"\"", 1, "% a %\"\";" },
        { "a=%\"f%c3%bc\"", 1, "% a %\"f%c3%bc\";" },
        { "a=%\"%f0%9f%98%80\"", 1, "% a %\"%f0%9f%98%80\";" },
        { "a=()", 1, "L a ();" },
        { "a=( )", 1, "L a ( );" },
        { "a=(1 \"x)\" ?0  y)", 1, "L a (1 \"x)\" ?0  y);" },
        { "a=(1;p;q=2 b;r);s=1", 1, "L a (1;p;q=2 b;r);" },
        { "a;b=1, c", 2, "B a 1;B c 1;" },
        { "a=1;  b=\"x,y\";c, d=2", 2, "I a 1;I d 2;" },
        { "a=1;*b=?1", 1, "I a 1;" },
        { "*a_-.*9=1", 1, "I *a_-.*9 1;" },
        { "a=1, a=2", 2, "I a 1;I a 2;" },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        n = dictionary(rows[i].line, strlen(rows[i].line), &told);

        if (n != rows[i].n || strcmp(told.text, rows[i].told) != 0) {
            fail_msg("\"%s\": %d \"%s\"", rows[i].line, (int) n, told.text);
        }
    }
}


static void
test_invalid(void **state)
{
    told_t      told;
    ngx_uint_t  i;

    static const char  *rows[] = {
        ",", "a,", "a,,b", ",a", "a b", "a;", "a; ", "a=", "a= 1", "a =1",
        "A", "aB", "9", "-a", "_a", "=1", "a=1 b=2", "a=1;B",
        "a;\tb", "a ;b",
        "a=-", "a=+1", "a=1000000000000000", "a=1.", "a=.5", "a=1.2345",
        "a=1234567890123.1", "a=--1", "a=1x", "a=1.5.1",
        "a=\"", "a=\"b", "a=\"\\x\"", "a=\"\\", "a=\"\x7f\"", "a=\"\t\"",
        "a=\"\xc3\xbc\"", "a=\"b\"c",
        "a=;", "a=!b", "a=b,c=(", "a=b\"",
        "a=:", "a=:a", "a=:a-b:", "a=:a b:", "a=:=YQ=a:",
        "a=?", "a=?2", "a=?t", "a=?10",
        "a=@", "a=@x", "a=@1.5", "a=@ 1",
        "a=%", "a=%a", "a=%\"", "a=%\"x", "a=%\"%\"", "a=%\"%c\"",
        "a=%\"%C3%BC\"", "a=%\"%c3\"", "a=%\"%c3x\"", "a=%\"%80\"",
        "a=%\"%c0%80\"", "a=%\"%ed%a0%80\"", "a=%\"%f4%90%80%80\"",
        "a=%\"%ff\"", "a=%\"\xc3\xbc\"",
        "a=(", "a=(1", "a=(1 ", "a=(1,2)", "a=(1\t2)", "a=((1))", "a=(1;)",
        "a=(1)x", "a=(\"x\"\"y\")", "a=)",
        "a=1;p=(1)", "a=1;p=", "a=1; p = 2",
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (dictionary(rows[i], strlen(rows[i]), &told) != NGX_ERROR) {
            fail_msg("\"%s\": \"%s\"", rows[i], told.text);
        }
    }
}


/* no cut of a line is read beyond its end, nor any byte taken for another */

static void
test_cuts_and_bytes(void **state)
{
    char        text[8];
    size_t      i;
    told_t      told;
    ngx_int_t   n;
    ngx_uint_t  ch;

    static const char  line[] =
        "a=(1 2;x);y, b=\"\\\"c\", d=:ab:, e=%\"%c3%bc\", f=@12, g=-1.25, h=?1";

    for (i = 0; i < sizeof(line); i++) {
        (void) dictionary(line, i, &told);
    }

    for (ch = 0; ch < 256; ch++) {
        text[0] = (char) ch;

        n = dictionary(text, 1, &told);

        if (n != ((ch == ' ' || ch == '\t') ? 0
                  : ((ch >= 'a' && ch <= 'z') || ch == '*') ? 1 : NGX_ERROR))
        {
            fail_msg("byte %d", (int) ch);
        }
    }
}


/* of a copy that ends where the line does, so that overruns are seen */

static ngx_int_t
dictionary(const char *data, size_t len, told_t *told)
{
    ngx_int_t  n;
    ngx_str_t  line;

    line.len = len;
    line.data = malloc(len ? len : 1);
    assert_non_null(line.data);

    memcpy(line.data, data, len);
    memset(told, 0, sizeof(told_t));

    n = ngx_http_rfc9651_dictionary(&line, told_member, told);

    free(line.data);

    return n;
}


static void
told_member(ngx_http_rfc9651_member_t *m, void *data)
{
    told_t *told = data;

    static const char  letters[] = "BIDSTY@%L";

    told->len += snprintf(told->text + told->len,
                          sizeof(told->text) - told->len, "%c %.*s %.*s%s%s;",
                          letters[m->type], (int) m->key.len, m->key.data,
                          (int) m->text.len, m->text.data,
                          (m->type == 0 && m->text.len) ? " " : "",
                          m->type ? "" : m->truth ? "1" : "0");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_cuts_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
