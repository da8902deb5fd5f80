
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9110_encoding.h>


typedef struct {
    const char  *line;
    ngx_uint_t   gzip;
    ngx_uint_t   br;
} encoding_t;


static void encoding_table(encoding_t *row);
static ngx_uint_t encoding_accepts(const char *data, size_t len,
    const char *coding);


static void
test_absent(void **state)
{
    ngx_str_t  gzip = ngx_string("gzip");

    assert_false(ngx_http_rfc9110_accepts(NULL, &gzip));
}


static void
test_names(void **state)
{
    static encoding_t  rows[] = {
        { "", 0, 0 },
        { "gzip", 1, 0 },
        { "br", 0, 1 },
        { "GZip, BR", 1, 1 },
        { "gzip, deflate, br", 1, 1 },
        { "deflate", 0, 0 },
        { "identity", 0, 0 },
        { "gzi", 0, 0 },
        { "gzipp", 0, 0 },
        { "xgzip", 0, 0 },
        { "b", 0, 0 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);
}


/* RFC 9110, 8.4.1.3 */

static void
test_aliases(void **state)
{
    static encoding_t  rows[] = {
        { "x-gzip", 1, 0 },
        { "X-GZIP", 1, 0 },
        { "x-gzip;q=0", 0, 0 },
        { "x-gzip;q=0, *", 0, 1 },
        { "x-compress", 0, 0 },
        { "x-br", 0, 0 },
        { "x-*", 0, 0 },
        { "x-*;q=0, *", 1, 1 },
        { "x-", 0, 0 },
        { "x-x-gzip", 0, 0 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);

    /* also the other way round: what was stored may be called by the alias */

    assert_true(encoding_accepts("gzip", 4, "x-gzip"));
    assert_true(encoding_accepts("x-gzip", 6, "x-gzip"));
    assert_false(encoding_accepts("br", 2, "x-gzip"));
}


/* RFC 9110, 12.4.2 */

static void
test_weights(void **state)
{
    static encoding_t  rows[] = {
        { "gzip;q=1", 1, 0 },
        { "gzip;q=1.0", 1, 0 },
        { "gzip;q=1.000", 1, 0 },
        { "gzip;q=0.5", 1, 0 },
        { "gzip;q=0.001", 1, 0 },
        { "gzip;q=0", 0, 0 },
        { "gzip;q=0.", 0, 0 },
        { "gzip;q=0.0", 0, 0 },
        { "gzip;q=0.000", 0, 0 },
        { "gzip;Q=0", 0, 0 },
        { "gzip;Q=0.3", 1, 0 },
        { "gzip ; q=0.5", 1, 0 },
        { "gzip\t;\tq=0\t", 0, 0 },
        { "gzip; q=0, br", 0, 1 },
        { "gzip;q=0.000,br;q=0.001", 0, 1 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);
}


/* what is no weight, or none that is above 0, does not say yes */

static void
test_invalid_weights(void **state)
{
    static encoding_t  rows[] = {
        { "gzip;q", 0, 0 },
        { "gzip;q=", 0, 0 },
        { "gzip;q=x", 0, 0 },
        { "gzip;q=-1", 0, 0 },
        { "gzip;q =1", 0, 0 },
        { "gzip;q= 1", 0, 0 },
        { "gzip;x=1", 0, 0 },
        { "gzip;level=5;q=1", 0, 0 },
        { "gzip;q=, br", 0, 1 },
        { "gzip;q=0.5x", 0, 0 },
        { "gzip;q=1;x=2", 0, 0 },
        { "gzip;q=1.5", 0, 0 },
        { "gzip;q=2", 0, 0 },
        { "gzip;q=9", 0, 0 },
        { "gzip;q=0.1.1", 0, 0 },
        { "gzip;q=.5", 0, 0 },
        { "gzip;q=01", 0, 0 },
        { "gzip;q=0.5 x", 0, 0 },

        /* more digits than three are a harmless excess */

        { "gzip;q=0.33333", 1, 0 },
        { "gzip;q=1.0000", 1, 0 },
        { "gzip;q=0.0000", 0, 0 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);
}


/* RFC 9110, 12.5.3: "*" is for what is not listed, wherever it stands */

static void
test_any(void **state)
{
    static encoding_t  rows[] = {
        { "*", 1, 1 },
        { "*;q=0.1", 1, 1 },
        { "*;q=0", 0, 0 },
        { "*, gzip;q=0", 0, 1 },
        { "gzip;q=0, *", 0, 1 },
        { "*;q=0, gzip", 1, 0 },
        { "gzip, *;q=0", 1, 0 },
        { "identity, *;q=0", 0, 0 },
        { "identity;q=0, *;q=1", 1, 1 },
        { "**", 0, 0 },
        { "*/*", 0, 0 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);
}


/* RFC 9110, 5.6.1 */

static void
test_lists(void **state)
{
    static encoding_t  rows[] = {
        { " ", 0, 0 },
        { ",", 0, 0 },
        { ",,gzip,,", 1, 0 },
        { " \t,\tgzip \t, br\t", 1, 1 },
        { "gzip,br", 1, 1 },
        { ";q=0,gzip", 1, 0 },
        { NULL, 0, 0 }
    };

    encoding_table(rows);
}


static void
test_cuts_and_bytes(void **state)
{
    size_t      i;
    char        byte[5];
    ngx_uint_t  ch;

    static const char  line[] = " , x-gzip ; q=0.001 , *;q=0\t, br;q=1";

    /* the length counts, no byte after it */

    for (i = 0; i < sizeof(line); i++) {
        (void) encoding_accepts(line, i, "gzip");
        (void) encoding_accepts(line, i, "br");
    }

    assert_false(encoding_accepts("gzip", 3, "gzip"));
    assert_true(encoding_accepts("gzip;q=0", 4, "gzip"));

    memcpy(byte, "gzip", 4);

    for (ch = 0; ch < 256; ch++) {
        byte[4] = (char) ch;

        if (encoding_accepts(byte, 5, "gzip")
            != (ch == ',' || ch == ' ' || ch == '\t' || ch == ';'))
        {
            fail_msg("gzip, then byte %d", (int) ch);
        }
    }
}


/* the codings of a response, as a list */

static void
test_acceptable(void **state)
{
    ngx_uint_t  i;
    ngx_str_t   line, codings;

    static struct {
        const char  *line;
        const char  *codings;
        ngx_uint_t   acceptable;
    } rows[] = {
        { "gzip", "gzip", 1 },
        { "gzip", "X-GZIP", 1 },
        { "gzip", "br", 0 },
        { "gzip;q=0", "gzip", 0 },
        { "", "deflate", 0 },
        { "gzip, br", "gzip, br", 1 },
        { "gzip", "gzip, br", 0 },
        { "br", "gzip, br", 0 },
        { "*", "gzip, zstd", 1 },

        /* that nobody would ask for */

        { "gzip", "aes128gcm", 1 },
        { "br", "aes128gcm, gzip", 0 },
        { "gzip", "", 1 },
        { "gzip", "identity", 1 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        line.data = (u_char *) rows[i].line;
        line.len = strlen(rows[i].line);
        codings.data = (u_char *) rows[i].codings;
        codings.len = strlen(rows[i].codings);

        if (ngx_http_rfc9110_acceptable(&line, &codings, 0)
            != rows[i].acceptable)
        {
            fail_msg("\"%s\" to \"%s\"", rows[i].codings, rows[i].line);
        }
    }

    ngx_str_set(&codings, "gzip");
    assert_false(ngx_http_rfc9110_acceptable(NULL, &codings, 0));

    ngx_str_set(&codings, "x");
    assert_true(ngx_http_rfc9110_acceptable(NULL, &codings, 0));

    /* that somebody has asked for */

    assert_false(ngx_http_rfc9110_acceptable(NULL, &codings, 1));

    ngx_str_set(&line, "gzip, x");
    assert_true(ngx_http_rfc9110_acceptable(&line, &codings, 1));

    ngx_str_set(&codings, "identity");
    assert_true(ngx_http_rfc9110_acceptable(NULL, &codings, 1));
}


/* RFC 9110, 12.5.3: unless it is excluded, by its name or by "*" */

static void
test_identity(void **state)
{
    ngx_uint_t  i;
    ngx_str_t   line;

    static struct {
        const char  *line;
        ngx_uint_t   taken;
    } rows[] = {
        { "", 1 },
        { "gzip", 1 },
        { "gzip;q=0", 1 },
        { "*", 1 },
        { "identity", 1 },
        { "identity;q=0.1", 1 },
        { "identity;q=0", 0 },
        { "Identity;Q=0.000", 0 },
        { "gzip, identity;q=0", 0 },
        { "identity;q=x", 0 },
        { "*;q=0", 0 },
        { "gzip, *;q=0", 0 },
        { "*;q=0, identity", 1 },
        { "identity;q=0, *", 0 },
        { "identity2;q=0", 1 },
    };

    assert_true(ngx_http_rfc9110_accepts_identity(NULL));

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        line.data = (u_char *) rows[i].line;
        line.len = strlen(rows[i].line);

        if (ngx_http_rfc9110_accepts_identity(&line) != rows[i].taken) {
            fail_msg("\"%s\"", rows[i].line);
        }
    }
}


static void
encoding_table(encoding_t *row)
{
    size_t  len;

    for ( /* void */ ; row->line; row++) {
        len = strlen(row->line);

        if (encoding_accepts(row->line, len, "gzip") != row->gzip) {
            fail_msg("\"%s\", gzip", row->line);
        }

        if (encoding_accepts(row->line, len, "br") != row->br) {
            fail_msg("\"%s\", br", row->line);
        }
    }
}


/* asks with a copy that ends where the line does, so that overruns are seen */

static ngx_uint_t
encoding_accepts(const char *data, size_t len, const char *coding)
{
    ngx_str_t   line, name;
    ngx_uint_t  accepts;

    line.len = len;
    line.data = malloc(len);
    assert_true(line.data != NULL || len == 0);

    memcpy(line.data, data, len);

    name.data = (u_char *) coding;
    name.len = strlen(coding);

    accepts = ngx_http_rfc9110_accepts(&line, &name);

    free(line.data);

    return accepts;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_invalid_weights),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_acceptable),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_cuts_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
