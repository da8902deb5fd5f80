
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_digest.h>
#include <ngx_token_source.h>

#include "ngx_token_test.h"


static ngx_int_t
parse(const char *text, size_t len, size_t *at, ngx_str_t *token)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   field;

    /* what comes after the field must not be read */

    p = malloc(len ? len : 1);
    assert_non_null(p);
    ngx_memcpy(p, text, len);

    field.data = p;
    field.len = len;

    rc = ngx_token_source_bearer(&field, token);

    if (rc == NGX_OK) {
        *at = token->data - p;
    }

    free(p);

    return rc;
}


static void
test_fields(void **state)
{
    size_t       at;
    ngx_int_t    rc;
    ngx_str_t    token;
    ngx_uint_t   i;

    static struct {
        const char  *text;
        ngx_int_t    rc;
        size_t       at;
        size_t       len;
    } fields[] = {
        { "Bearer abc", NGX_OK, 7, 3 },
        { "bearer abc", NGX_OK, 7, 3 },
        { "BEARER abc", NGX_OK, 7, 3 },
        { "bEaReR   abc", NGX_OK, 9, 3 },
        { "Bearer a=", NGX_OK, 7, 2 },
        { "Bearer a==", NGX_OK, 7, 3 },
        { "Bearer AZaz09-._~+/=", NGX_OK, 7, 13 },
        { "", NGX_DECLINED, 0, 0 },
        { "B", NGX_DECLINED, 0, 0 },
        { "Beare", NGX_DECLINED, 0, 0 },
        { "Bearers abc", NGX_ERROR, 0, 0 },
        { "Basic abc", NGX_DECLINED, 0, 0 },
        { "Bearer", NGX_ERROR, 0, 0 },
        { "Bearer ", NGX_ERROR, 0, 0 },
        { "Bearer    ", NGX_ERROR, 0, 0 },
        { "Bearer =", NGX_ERROR, 0, 0 },
        { "Bearer ==", NGX_ERROR, 0, 0 },
        { "Bearer a b", NGX_ERROR, 0, 0 },
        { "Bearer a ", NGX_ERROR, 0, 0 },
        { "Bearer a=b", NGX_ERROR, 0, 0 },
        { "Bearer a,b", NGX_ERROR, 0, 0 },
        { "Bearer\tabc", NGX_ERROR, 0, 0 },
        { "Bearer \tabc", NGX_ERROR, 0, 0 },
        { "Bearer \"abc\"", NGX_ERROR, 0, 0 },

        /* blanks before it */
        { " Bearer abc", NGX_OK, 8, 3 },
        { "\tBearer abc", NGX_OK, 8, 3 },
        { " \t bearer  abc", NGX_OK, 11, 3 },
        { " \t", NGX_DECLINED, 0, 0 },
        { "\tBasic abc", NGX_DECLINED, 0, 0 },
        { "\tBearer", NGX_ERROR, 0, 0 },

        /* what is a blank to some */
        { "\013Bearer abc", NGX_ERROR, 0, 0 },
        { "\014Bearer abc", NGX_ERROR, 0, 0 },
        { "\177Bearer abc", NGX_ERROR, 0, 0 },
        { "\240Bearer abc", NGX_ERROR, 0, 0 },
        { "\302\240bearer abc", NGX_ERROR, 0, 0 },
        { "Bearer\013abc", NGX_ERROR, 0, 0 },
        { "Bearer\014abc", NGX_ERROR, 0, 0 },
        { "Bearer\240abc", NGX_ERROR, 0, 0 },
        { "x,Bearer\240abc", NGX_ERROR, 0, 0 },
        { "Basic \001", NGX_ERROR, 0, 0 },
        { "Basic a\177", NGX_ERROR, 0, 0 },

        /* the scheme, but not as it has to be */
        { "Bearer: abc", NGX_ERROR, 0, 0 },
        { "Bearer:abc", NGX_ERROR, 0, 0 },
        { "Bearer,abc", NGX_ERROR, 0, 0 },
        { "Bearer=abc", NGX_ERROR, 0, 0 },
        { "Bearer\"abc\"", NGX_ERROR, 0, 0 },

        /* and behind another one */
        { "Basic x, Bearer abc", NGX_ERROR, 0, 0 },
        { "Basic x,bearer abc", NGX_ERROR, 0, 0 },
        { "Basic BEARER abc", NGX_ERROR, 0, 0 },
        { "Basic x, Bearer", NGX_ERROR, 0, 0 },
        { "Basic x, Bearer=abc", NGX_ERROR, 0, 0 },
        { "Basic x, Bearer:abc", NGX_ERROR, 0, 0 },
        { "Digest a=\"Bearer abc ", NGX_ERROR, 0, 0 },
        { "Digest a=\"b, Bearer abc , c\"", NGX_ERROR, 0, 0 },
        { "MacBearer abc", NGX_ERROR, 0, 0 },

        /* others, with the word in them or not */
        { "Basic dXNlcjpwYXNz", NGX_DECLINED, 0, 0 },
        { "Basic\tdXNlcjpwYXNz", NGX_DECLINED, 0, 0 },
        { "Basic bearerbearer", NGX_DECLINED, 0, 0 },
        { "Digest username=\"bearer\", realm=\"a, b\"", NGX_DECLINED, 0, 0 },
        { "Digest realm=\"a, bearer\", uri=\"/bearer\"", NGX_DECLINED, 0, 0 },
        { "Digest username=\"\303\251\"", NGX_DECLINED, 0, 0 },
        { "Negotiate YIIBearer==", NGX_DECLINED, 0, 0 },
        { "AWS4-HMAC-SHA256 Credential=A/20250101/eu/bearer/aws4_request, "
          "SignedHeaders=bearer;host, Signature=bea", NGX_DECLINED, 0, 0 },
        { "Bearer-Token abc", NGX_ERROR, 0, 0 },
        { "Bearer_1 abc", NGX_ERROR, 0, 0 },
        { "DPoP abc", NGX_DECLINED, 0, 0 },
        { NULL, 0, 0, 0 }
    };

    for (i = 0; fields[i].text; i++) {
        rc = parse(fields[i].text, ngx_strlen(fields[i].text), &at, &token);

        assert_int_equal(rc, fields[i].rc);

        if (rc == NGX_OK) {
            assert_int_equal(at, fields[i].at);
            assert_int_equal(token.len, fields[i].len);
        }
    }
}


/* RFC 6750, 2.1: these, and no other byte */

static void
test_bytes(void **state)
{
    char         text[] = "Bearer x?x";
    size_t       at;
    ngx_uint_t   ch, good;
    ngx_str_t    token;

    for (ch = 0; ch < 256; ch++) {
        text[8] = (char) ch;

        good = (ch < 128
                && (isalnum((int) ch)
                    || (ch && strchr("-._~+/", (int) ch) != NULL)));

        assert_int_equal(parse(text, sizeof(text) - 1, &at, &token),
                         good ? NGX_OK : NGX_ERROR);
    }
}


static void
test_digest(void **state)
{
    u_char     hex[NGX_TOKEN_DIGEST_HEX + 1];
    ngx_str_t  text;

    hex[NGX_TOKEN_DIGEST_HEX] = 'x';

    ngx_str_set(&text, "abc");
    ngx_token_digest_hex(&text, hex);

    assert_memory_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
                             "b00361a396177a9cb410ff61f20015adx",
                        NGX_TOKEN_DIGEST_HEX + 1);

    text.len = 0;
    ngx_token_digest_hex(&text, hex);

    assert_memory_equal(hex, "e3b0c44298fc1c149afbf4c8996fb924"
                             "27ae41e4649b934ca495991b7852b855x",
                        NGX_TOKEN_DIGEST_HEX + 1);
}


/* two ways to write a token are two digests, but one token to its issuer */

static void
test_canonical(void **state)
{
    size_t       i;
    ngx_str_t    token;
    ngx_pool_t  *pool;

    static struct {
        const char  *text;
        ngx_uint_t   canonical;
    } rows[] = {
        { "", 1 },
        { "opaque", 1 },
        { "opaque==", 1 },
        { "one.dot=", 1 },
        { "three.dots.are.none=", 1 },
        { "eyJh.one-dot=", 1 },

        /* opaque ones that have as many parts */
        { "ya29.c.b0Aa=", 1 },
        { "a.b.c", 1 },
        { "ez.b.c", 1 },
        { "e", 1 },
        { "a.b.c.d.e", 1 },

        /* {"enc":"A"}, behind {"alg":"dir", and with a blank */
        { "eyJlbmMiOiJBIn0..QUE.QUE.QQ", 1 },
        { "eyJhbGciOiJkaXIiLCJlbmMiOiJBIn0..QUE.QUE.QQ", 1 },
        { "eyAiZW5jIjoiQSJ9..QUE.QUE.QQ", 1 },
        { "eyJlbmMiOiJBIn0..QUE.QUE.QR", 0 },
        { "eyJlbmMiOiJBIn0..QUE.QUE.QQ==", 0 },
        { "eyJlbmMiOiJBIn0..QUE.QUE.QQ.", 0 },

        /* parts that readers drop */
        { "eyJh.eyJz.c2ln.", 0 },
        { "eyJh.eyJz.c2ln..", 0 },
        { "eyJh.eyJz.c2ln...", 0 },
        { "eyJh.eyJz.c2ln.QUE", 0 },
        { "eyJh.eyJz.c2ln.QUE.QUE", 0 },
        { "eyJh.ImVuYyI.c2ln.QUE.QUE", 0 },

        /* {.. "kid":"enc"}, {.. "jwk":{"enc":"A"}}, {.. "x":["enc"]} */
        { "eyJhbGciOiJIUzI1NiIsImtpZCI6ImVuYyJ9.eyJz.c2ln..", 0 },
        { "eyJhbGciOiJIUzI1NiIsImtpZCI6ImVuYyJ9.eyJz.c2ln.QUE.QUE", 0 },
        { "eyJhbGciOiJIUzI1NiIsImp3ayI6eyJlbmMiOiJBIn19.eyJz.c2ln..", 0 },
        { "eyJhbGciOiJIUzI1NiIsIngiOlsiZW5jIl19.eyJz.c2ln..", 0 },

        /* {"\u0065nc":"A"} is "enc"; {"enc":"A"; {"enc":"A","enc":"B"} */
        { "eyJcdTAwNjVuYyI6IkEifQ..QUE.QUE.QQ", 1 },
        { "eyJlbmMiOiJBIg..QUE.QUE.QQ", 0 },
        { "eyJlbmMiOiJBIiwiZW5jIjoiQiJ9..QUE.QUE.QQ", 0 },

        { "eyJh.eyJz.c2ln", 1 },
        { "eyJh.eyJz.", 1 },
        { "eyJh.eyJz.QQ", 1 },
        { "eyJh.eyJz.QUE", 1 },
        { "eyJh.eyJz.-_-_", 1 },

        { "eyJh.eyJz.Q", 0 },
        { "eyJh.eyJz.QQ=", 0 },
        { "eyJh.eyJz.QQ==", 0 },
        { "eyJh.eyJz.QR", 0 },
        { "eyJh.eyJz.Qf", 0 },
        { "eyJh.eyJz.QUF", 0 },
        { "eyJh.eyJz.QUG", 0 },
        { "eyR.eyJz.c2ln", 0 },
        { "ewogICJh.eyJz.QR", 0 },
        { "eyJh.QUF.c2ln", 0 },
        { "eyJh=.eyJz.c2ln", 0 },
        { "eyJh.eyJz.c2l+", 0 },
        { "eyJh.eyJz.c2l/", 0 },
        { "eyJh.eyJz.c2 n", 0 },
        { NULL, 0 }
    };

    pool = test_pool();

    for (i = 0; rows[i].text; i++) {
        token.data = (u_char *) rows[i].text;
        token.len = strlen(rows[i].text);

        assert_int_equal(ngx_token_source_canonical(pool, &token),
                         rows[i].canonical ? NGX_OK : NGX_DECLINED);
    }

    ngx_destroy_pool(pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_digest)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
