
/*
 * Copyright (C) The Optcache authors
 */


/*
 * RFC 8725, and what else is tried on readers of tokens.  A token that has to
 * be refused is signed with the right key wherever that is possible, so that
 * nothing but the trick is why.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_claims.h>

#include "ngx_token_test.h"


#define RSA_PEM                                                               \
    "-----BEGIN PUBLIC KEY-----\n"                                            \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"      \
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"      \
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"      \
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"      \
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"      \
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"      \
    "oQIDAQAB\n"                                                              \
    "-----END PUBLIC KEY-----\n"


static ngx_token_keys_t *
keys_of(ngx_pool_t *pool, const char *text)
{
    ngx_str_t          bytes, err;
    ngx_token_keys_t  *keys;

    bytes = test_str(text);
    keys = ngx_token_keys_parse(pool, &bytes, 0, &err);

    if (keys == NULL) {
        fail_msg("%.*s", (int) err.len, err.data);
    }

    return keys;
}


static ngx_token_verdict_e
judge(ngx_pool_t *pool, const char *keys, const ngx_str_t *text)
{
    u_char               *p;
    ngx_str_t             copy;
    ngx_token_jwt_t       jwt;
    ngx_token_rules_t     rules;
    ngx_token_claims_t    claims;
    ngx_token_verdict_e   verdict;

    ngx_memzero(&rules, sizeof(ngx_token_rules_t));

    /* what comes after the token must not be read */

    p = malloc(text->len ? text->len : 1);
    assert_non_null(p);
    memcpy(p, text->data, text->len);

    copy.data = p;
    copy.len = text->len;

    verdict = ngx_token_claims_judge(pool, &copy, keys_of(pool, keys), &rules,
                                     1000, &jwt, &claims);

    free(p);

    return verdict;
}


/* Signed with the secret, whatever the header says. */

static void
expect(ngx_token_verdict_e verdict, const char *header, const char *payload)
{
    ngx_str_t    text;
    ngx_pool_t  *pool;

    pool = test_pool();

    text = test_signed(pool, header, payload);
    assert_int_equal(judge(pool, TEST_KEY, &text), verdict);

    ngx_destroy_pool(pool);
}


/* A text as it is. */

static void
expect_text(ngx_token_verdict_e verdict, const char *text)
{
    ngx_str_t    s;
    ngx_pool_t  *pool;

    pool = test_pool();

    s = test_str(text);
    assert_int_equal(judge(pool, TEST_KEY, &s), verdict);

    ngx_destroy_pool(pool);
}


#define OK           NGX_TOKEN_VERDICT_OK
#define MALFORMED    NGX_TOKEN_VERDICT_MALFORMED
#define UNSUPPORTED  NGX_TOKEN_VERDICT_UNSUPPORTED
#define ALGORITHM    NGX_TOKEN_VERDICT_ALGORITHM
#define SIGNATURE    NGX_TOKEN_VERDICT_SIGNATURE


/* RFC 8725, 2.1 and 3.2 */

static void
test_none(void **state)
{
    char          header[64];
    ngx_str_t     text;
    ngx_pool_t   *pool;
    const char  **name;

    static const char  *names[] = {
        "none", "None", "NONE", "nOnE", "", " none", "none ", NULL
    };

    for (name = names; *name; name++) {
        sprintf(header, "{\"alg\":\"%s\"}", *name);

        expect(ALGORITHM, header, "{}");

        /* and as such a token looks like: no signature, or no dot for it */

        pool = test_pool();

        text = test_input(pool, header, "{}");
        assert_int_equal(judge(pool, TEST_KEY, &text), MALFORMED);

        text.data[text.len++] = '.';
        assert_int_equal(judge(pool, TEST_KEY, &text), ALGORITHM);

        ngx_destroy_pool(pool);
    }
}


/* RFC 8725, 3.1: exact bytes, and what the key is for */

static void
test_algorithm_names(void **state)
{
    expect(OK, "{\"alg\":\"HS256\"}", "{}");

    expect(ALGORITHM, "{\"alg\":\"hs256\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"HS256 \"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"HS2560\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"HS25\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"HS384\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"RS256\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"ES256K\"}", "{}");
    expect(ALGORITHM, "{\"alg\":\"RSA-OAEP\"}", "{}");

    expect(MALFORMED, "{}", "{}");
    expect(MALFORMED, "{\"ALG\":\"HS256\"}", "{}");
    expect(MALFORMED, "{\"alg\":null}", "{}");
    expect(MALFORMED, "{\"alg\":[\"HS256\"]}", "{}");
    expect(MALFORMED, "{\"alg\":256}", "{}");
}


/* RFC 8725, 2.1: the text of a public key as the secret */

static void
test_public_key_as_secret(void **state)
{
    size_t        i;
    ngx_str_t     text;
    ngx_pool_t   *pool;
    const char   *header;

    static const char  *headers[] = {
        "{\"alg\":\"HS256\"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}"
    };

    for (i = 0; i < 3; i++) {
        pool = test_pool();
        header = headers[i];

        text = test_signed_by(pool, header, "{}", (u_char *) RSA_PEM,
                              sizeof(RSA_PEM) - 1);
        assert_int_equal(judge(pool, RSA_PEM, &text), ALGORITHM);

        text = test_signed_by(pool, header, "{}", (u_char *) "", 0);
        assert_int_equal(judge(pool, RSA_PEM, &text), ALGORITHM);

        ngx_destroy_pool(pool);
    }

    pool = test_pool();

    text = test_signed_by(pool, headers[0], "{}", (u_char *) "", 0);
    assert_int_equal(judge(pool, TEST_KEY, &text), SIGNATURE);

    ngx_destroy_pool(pool);
}


/* RFC 8725, 3.10: a kid is a name to look up, a short one */

static void
test_kid(void **state)
{
    char  header[512];
    int   n;

    /* this key has none, so whatever it is named */

    expect(OK, "{\"alg\":\"HS256\",\"kid\":\"../../../dev/null\"}", "{}");
    expect(OK, "{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", "{}");
    expect(OK, "{\"alg\":\"HS256\",\"kid\":\"a\\r\\nSET x y\"}", "{}");
    expect(OK, "{\"alg\":\"HS256\",\"kid\":\"\"}", "{}");

    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":1}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":null}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":[\"a\"]}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":{}}", "{}");

    for (n = 256; n <= 257; n++) {
        sprintf(header, "{\"alg\":\"HS256\",\"kid\":\"%0*d\"}", n, 0);
        expect(n == 256 ? OK : MALFORMED, header, "{}");
    }
}


/* RFC 8725, 3.10, RFC 7515, 4.1.2 to 4.1.8: a token brings no key along */

static void
test_own_key(void **state)
{
    u_char       zero[32];
    ngx_str_t    text;
    ngx_uint_t   i;
    ngx_pool_t  *pool;

    static const char  *headers[] = {
        "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}",
        "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/keys\"}",
        "{\"alg\":\"HS256\",\"x5u\":\"http://127.0.0.1:1/key\"}",
        "{\"alg\":\"HS256\",\"x5c\":[\"AAAA\"],\"x5t\":\"AA\"}",
        NULL
    };

    ngx_memzero(zero, sizeof(zero));

    for (i = 0; headers[i]; i++) {
        pool = test_pool();

        text = test_signed_by(pool, headers[i], "{}", zero, sizeof(zero));
        assert_int_equal(judge(pool, TEST_KEY, &text), SIGNATURE);

        ngx_destroy_pool(pool);

        /* ignored: what is signed with our key is good */
        expect(OK, headers[i], "{}");
    }
}


/* RFC 7515, 4.1.11, and RFC 7797, 6 */

static void
test_critical(void **state)
{
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
           "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":[\"x\"],\"x\":1}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":[\"alg\"]}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":[]}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":null}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"crit\":[\"b64\"],"
                        "\"b64\":false}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"b64\":false}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"b64\":true}", "{}");
}


/* RFC 8725, 2.3, 2.4 and 3.6: neither encrypted, compressed, nor nested */

static void
test_other_forms(void **state)
{
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"cty\":\"JWT\"}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"cty\":\"jwt\"}", "{}");
    expect(UNSUPPORTED, "{\"alg\":\"HS256\",\"cty\":\"application/jwt\"}",
           "{}");
    expect(OK, "{\"alg\":\"HS256\",\"cty\":\"json\"}", "{}");

    expect_text(UNSUPPORTED, "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA");
    expect_text(MALFORMED, "{\"payload\":\"e30\",\"signature\":\"AAAA\"}");
}


static void
test_duplicates(void **state)
{
    expect(MALFORMED, "{\"alg\":\"HS256\",\"alg\":\"none\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}",
           "{\"sub\":\"a\",\"sub\":\"b\"}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}",
           "{\"exp\":1,\"\\u0065xp\":9999}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}",
           "{\"a\":{\"role\":\"user\",\"role\":\"admin\"}}");
}


static void
test_nul(void **state)
{
    expect(MALFORMED, "{\"alg\":\"HS256\\u0000\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"typ\\u0000\":\"a\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"sub\":\"admin\\u0000x\"}");
}


static void
test_depth(void **state)
{
    expect(MALFORMED, "{\"alg\":\"HS256\",\"a\":[[[[[[[[]]]]]]]]}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"a\":[[[[[[[[]]]]]]]]}");
    expect(OK, "{\"alg\":\"HS256\"}", "{\"a\":[[[[[[[]]]]]]]}");
}


static void
test_numbers(void **state)
{
    expect(OK, "{\"alg\":\"HS256\"}", "{\"exp\":1001}");
    expect(OK, "{\"alg\":\"HS256\"}", "{\"exp\":9007199254740991}");

    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":9007199254740992}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":1e400}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":NaN}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":\"1001\"}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":null}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":true}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"exp\":[1001]}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"nbf\":\"0\"}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"iat\":\"0\"}");

    expect(NGX_TOKEN_VERDICT_EXPIRED, "{\"alg\":\"HS256\"}",
           "{\"exp\":-9007199254740991}");
    expect(NGX_TOKEN_VERDICT_NOT_YET, "{\"alg\":\"HS256\"}",
           "{\"nbf\":9007199254740991}");
}


static void
test_json(void **state)
{
    expect(MALFORMED, "", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}x", "{}");
    expect(MALFORMED, "[{\"alg\":\"HS256\"}]", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\",\"a\":\"\xff\"}", "{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "[]");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "\"a\"");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{}{}");
    expect(MALFORMED, "{\"alg\":\"HS256\"}", "{\"a\":\"\xff\"}");
}


static void
test_form(void **state)
{
    char         text[512], *token;
    size_t       i, at, len;
    ngx_str_t    s, t;
    ngx_pool_t  *pool;

    static const char   more[] = "=.+/ \n\r\t%A_\xe2";
    static const char  *junk[] = {
        "", ".", "..", "...", "....", "a", "a.b", "a.b.c", "a.b.c.d", ".e30.",
        "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.", "\n", NULL
    };

    for (i = 0; junk[i]; i++) {
        pool = test_pool();
        s = test_str(junk[i]);
        assert_int_not_equal(judge(pool, TEST_KEY, &s), OK);
        ngx_destroy_pool(pool);
    }

    expect_text(MALFORMED, "eyJhbGciOiJIUzI1NiJ9.e30.");
    expect_text(MALFORMED, "eyJhbGciOiJIUzI1NiJ9..AAAA");
    expect_text(MALFORMED, ".e30.AAAA");

    pool = test_pool();
    s = test_signed(pool, "{\"alg\":\"HS256\"}", "{}");
    token = (char *) s.data;
    len = s.len;

    /* one more character anywhere is another token, and none that is good */

    for (i = 0; i < sizeof(more) - 1; i++) {

        for (at = 0; at <= len; at++) {
            memcpy(text, token, at);
            text[at] = more[i];
            memcpy(text + at + 1, token + at, len - at);

            t.data = (u_char *) text;
            t.len = len + 1;

            if (judge(pool, TEST_KEY, &t) == OK) {
                fail_msg("\"%c\" at %u", more[i], (unsigned) at);
            }
        }
    }

    assert_int_equal(judge(pool, TEST_KEY, &s), OK);
    ngx_destroy_pool(pool);
}


/* Three parts, also where the signature is right. */

static void
test_parts(void **state)
{
    size_t       i;
    ngx_str_t    text;
    ngx_pool_t  *pool;

    static u_char       secret[32] = "a secret of thirty-two bytes ...";
    static const char   key[] = "{\"kty\":\"oct\",\"k\":\"YSBzZWNyZXQgb2YgdGhp"
                                "cnR5LXR3byBieXRlcyAuLi4\"}";
    static const char  *more[] = { "", ".", ".e30", ".e30.e30", NULL };

    for (i = 0; more[i]; i++) {
        pool = test_pool();

        text = test_input(pool, "{\"alg\":\"HS256\"}", "{}");
        text.len = ngx_cpymem(text.data + text.len, more[i], strlen(more[i]))
                   - text.data;
        test_sign(&text, secret, sizeof(secret));

        assert_int_equal(judge(pool, key, &text),
                         i == 0 ? OK : i == 3 ? UNSUPPORTED : MALFORMED);

        ngx_destroy_pool(pool);
    }
}


/* The bound is on the text, so nothing is decoded of what is longer. */

static void
test_size(void **state)
{
    int               n;
    char              payload[13000];
    ngx_str_t         text;
    ngx_uint_t        good;
    ngx_pool_t       *pool, *work;
    ngx_token_jwt_t   jwt;

    for (n = 12160, good = 0; n < 12260; n += 10) {
        sprintf(payload, "{\"a\":\"%0*d\"}", n, 0);

        pool = test_pool();
        text = test_signed(pool, "{\"alg\":\"HS256\"}", payload);

        assert_int_equal(judge(pool, TEST_KEY, &text),
                         text.len <= NGX_TOKEN_JWT_MAX ? OK : MALFORMED);

        good += (text.len <= NGX_TOKEN_JWT_MAX);
        ngx_destroy_pool(pool);
    }

    assert_in_range(good, 1, 9);

    /* 64 KB, by the three parts or by one: not a byte is allocated */

    pool = test_pool();
    text.data = ngx_pnalloc(pool, 65536);
    assert_non_null(text.data);
    text.len = 65536;

    for (n = 0; n < 2; n++) {
        memset(text.data, n ? '.' : 'A', text.len);
        memcpy(text.data, "eyJhbGciOiJIUzI1NiJ9.e30.", 25);

        work = test_pool();
        assert_int_equal(ngx_token_jwt_parse(work, &text, &jwt), MALFORMED);
        assert_null(work->large);
        assert_null(work->cleanup);
        ngx_destroy_pool(work);
    }

    ngx_destroy_pool(pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_algorithm_names),
        cmocka_unit_test(test_public_key_as_secret),
        cmocka_unit_test(test_kid),
        cmocka_unit_test(test_own_key),
        cmocka_unit_test(test_critical),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_size)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
