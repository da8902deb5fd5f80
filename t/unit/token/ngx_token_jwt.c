
/*
 * Copyright (C) The Optcache authors
 */


/* The examples of RFC 7515, appendix A, and RFC 8037, A.4 and A.5. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/err.h>

#include <ngx_token_jwt.h>
#include <ngx_token_source.h>

#include "../no_memory.h"
#include "ngx_token_test.h"


#define PAYLOAD                                                               \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm" \
    "NvbS9pc19yb290Ijp0cnVlfQ"


typedef struct {
    const char       *key;
    const char       *token;
    ngx_token_alg_e   alg;
} example_t;


static example_t  examples[] = {

    /* RFC 7515, A.1 */

    { TEST_KEY,
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
      NGX_TOKEN_ALG_HS256 },

    /* A.2 */

    { "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTb"
      "ji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC"
      "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5"
      "rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw"
      "Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PA"
      "cDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
      "eyJhbGciOiJSUzI1NiJ9." PAYLOAD
      ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHI"
      "m4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB-"
      "-f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383L"
      "cOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEU"
      "ipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
      NGX_TOKEN_ALG_RS256 },

    /* A.3 */

    { "{\"kty\":\"EC\",\"crv\":\"P-256\","
      "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
      "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
      "eyJhbGciOiJFUzI1NiJ9." PAYLOAD
      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQx"
      "fKTUJqPP3-Kg6NU1Q",
      NGX_TOKEN_ALG_ES256 },

    /* A.4 */

    { "{\"kty\":\"EC\",\"crv\":\"P-521\","
      "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6O"
      "vLFV1jSfS9tsz4qUxcWceqwQGk\","
      "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL"
      "4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
      "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA"
      ".AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2S"
      "I-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzD"
      "O7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
      NGX_TOKEN_ALG_ES512 },

    /* RFC 8037, A.4 */

    { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
      "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
      ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt"
      "9g7sVvpAr_MuM0KAg",
      NGX_TOKEN_ALG_ED25519 },

    { NULL, NULL, 0 }
};


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

    assert_int_equal(keys->nelts, 1);

    return keys;
}


static ngx_token_verdict_e
verdict_of(ngx_pool_t *pool, ngx_token_keys_t *keys, const ngx_str_t *text,
    ngx_token_jwt_t *jwt)
{
    ngx_token_verdict_e  verdict;

    verdict = ngx_token_jwt_parse(pool, text, jwt);

    if (verdict == NGX_TOKEN_VERDICT_OK) {
        verdict = ngx_token_jwt_verify(jwt, keys);
    }

    /* what OpenSSL leaves behind, nginx would log for another's connection */

    assert_int_equal(ERR_peek_error(), 0);

    return verdict;
}


static void
test_examples(void **state)
{
    example_t         *row, *other;
    ngx_str_t          text;
    ngx_pool_t        *pool;
    ngx_token_jwt_t    jwt;
    ngx_token_keys_t  *keys;

    for (row = examples; row->key; row++) {

        pool = test_pool();
        keys = keys_of(pool, row->key);
        text = test_str(row->token);

        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         NGX_TOKEN_VERDICT_OK);
        assert_int_equal(jwt.alg, row->alg);

        /* what was kept is not worn out */
        assert_int_equal(ngx_token_jwt_verify(&jwt, keys),
                         NGX_TOKEN_VERDICT_OK);

        /* a key is for its own algorithms, whatever a token says */

        for (other = examples; other->key; other++) {

            if (other == row) {
                continue;
            }

            text = test_str(other->token);
            assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                             NGX_TOKEN_VERDICT_ALGORITHM);
        }

        ngx_destroy_pool(pool);
    }
}


/* Any change of any character, and any character less, or more. */

static void
test_tampered(void **state)
{
    u_char               *p, ch;
    size_t                i;
    example_t            *row;
    ngx_str_t             text;
    ngx_pool_t           *pool;
    ngx_token_jwt_t       jwt;
    ngx_token_keys_t     *keys;

    for (row = examples; row->key; row++) {

        pool = test_pool();
        keys = keys_of(pool, row->key);

        text = test_str(row->token);
        p = ngx_pnalloc(pool, text.len + 1);
        assert_non_null(p);

        ngx_memcpy(p, row->token, text.len + 1);
        text.data = p;

        for (i = 0; i < text.len; i++) {
            ch = p[i];
            p[i] = (ch == 'A') ? 'B' : 'A';

            assert_int_not_equal(verdict_of(pool, keys, &text, &jwt),
                                 NGX_TOKEN_VERDICT_OK);

            p[i] = ch;
        }

        text.len--;
        assert_int_not_equal(verdict_of(pool, keys, &text, &jwt),
                             NGX_TOKEN_VERDICT_OK);

        text.len += 2;
        p[text.len - 1] = '.';
        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         NGX_TOKEN_VERDICT_MALFORMED);

        p[text.len - 1] = '=';
        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         NGX_TOKEN_VERDICT_MALFORMED);

        ngx_destroy_pool(pool);
    }
}


/* the other text of a token, if there is one and no more */

static ngx_int_t
twin_of(ngx_pool_t *pool, const ngx_str_t *text, ngx_str_t *twin)
{
    ngx_str_t   twins[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t  n;

    assert_int_equal(ngx_token_jwt_twins(pool, text, twins, &n), NGX_OK);

    if (n == 0) {
        return NGX_DECLINED;
    }

    assert_int_equal(n, 1);
    *twin = twins[0];

    return NGX_OK;
}


/* (r, n - s): valid too, and the way back; others have none */

static void
test_twin(void **state)
{
    example_t         *row;
    ngx_str_t          text, twin, again;
    ngx_pool_t        *pool;
    ngx_token_jwt_t    jwt;
    ngx_token_keys_t  *keys;

    for (row = examples; row->key; row++) {

        pool = test_pool();
        keys = keys_of(pool, row->key);
        text = test_str(row->token);

        assert_int_equal(ngx_token_jwt_parse(pool, &text, &jwt),
                         NGX_TOKEN_VERDICT_OK);

        if (row->alg != NGX_TOKEN_ALG_ES256
            && row->alg != NGX_TOKEN_ALG_ES512)
        {
            assert_int_equal(twin_of(pool, &text, &twin),
                             NGX_DECLINED);

        } else {
            assert_int_equal(twin_of(pool, &text, &twin), NGX_OK);
            assert_int_equal(twin.len, text.len);
            assert_memory_not_equal(twin.data, text.data, text.len);

            assert_int_equal(verdict_of(pool, keys, &twin, &jwt),
                             NGX_TOKEN_VERDICT_OK);

            assert_int_equal(twin_of(pool, &twin, &again), NGX_OK);
            assert_memory_equal(again.data, text.data, text.len);
        }

        ngx_destroy_pool(pool);
    }
}


/* who verifies a token may know more than we do */

static void
test_twin_of_others(void **state)
{
    u_char      signature[132];
    size_t      i, len;
    ngx_str_t   text, twin, again;
    ngx_pool_t  *pool;

    static u_char  order[] =
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"
        "\xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x40";

    static struct {
        const char  *header;
        size_t       len;
        ngx_int_t    rc;
    } rows[] = {
        { "{\"alg\":\"ES256K\"}", 64, NGX_OK },
        { "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", 64, NGX_OK },
        { "{\"alg\":\"ES256\",\"cty\":\"JWT\"}", 64, NGX_OK },
        { "{\"alg\":\"ES384\",\"b64\":true}", 96, NGX_OK },
        { "{\"alg\":\"ES512\",\"crit\":[\"x\"],\"x\":1}", 132, NGX_OK },
        { "{\"alg\":\"ES256\",\"kid\":1}", 64, NGX_OK },

        { "{\"alg\":\"ES256K\"}", 96, NGX_DECLINED },
        { "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", 132, NGX_DECLINED },
        { "{\"alg\":\"HS512\"}", 64, NGX_DECLINED },
        { "{\"alg\":\"EdDSA\"}", 64, NGX_DECLINED },
        { "{\"alg\":\"ES25\"}", 64, NGX_DECLINED },
        { "{\"alg\":\"\"}", 64, NGX_DECLINED },
        { "{\"alg\":256}", 64, NGX_DECLINED },
        { "{}", 64, NGX_DECLINED },
        { "{\"alg\":\"ES256\"", 64, NGX_DECLINED },
        { NULL, 0, 0 }
    };

    pool = test_pool();

    text.data = ngx_pnalloc(pool, 1024);
    assert_non_null(text.data);

    for (i = 0; rows[i].header; i++) {
        len = rows[i].len;

        ngx_memset(signature, 0, sizeof(signature));
        signature[len / 2 - 1] = 1;
        signature[len - 1] = 1;

        text.len = 0;
        test_part(&text, (const u_char *) rows[i].header,
                  strlen(rows[i].header));
        text.data[text.len++] = '.';
        test_part(&text, (const u_char *) "{}", 2);
        text.data[text.len++] = '.';
        test_part(&text, signature, len);

        assert_int_equal(twin_of(pool, &text, &twin), rows[i].rc);

        if (rows[i].rc != NGX_OK) {
            continue;
        }

        assert_int_equal(twin.len, text.len);
        assert_memory_not_equal(twin.data, text.data, text.len);

        assert_int_equal(twin_of(pool, &twin, &again), NGX_OK);
        assert_memory_equal(again.data, text.data, text.len);

        if (i == 0) {
            ngx_memcpy(signature + 32, order, 32);
            text.len -= 86;
            test_part(&text, signature, 64);
            assert_memory_equal(twin.data, text.data, text.len);
        }
    }

    ngx_destroy_pool(pool);
}


/* a JWS that says nothing, whoever it is of */

static void
signed_by(ngx_str_t *text, const char *header, const u_char *signature,
    size_t len)
{
    text->len = 0;
    test_part(text, (const u_char *) header, strlen(header));
    text->data[text->len++] = '.';
    test_part(text, (const u_char *) "{}", 2);
    text->data[text->len++] = '.';
    test_part(text, signature, len);
}


static void
encrypted_by(ngx_str_t *text, const char *header, const u_char *key,
    size_t len, const char *rest)
{
    text->len = 0;
    test_part(text, (const u_char *) header, strlen(header));
    text->data[text->len++] = '.';
    test_part(text, key, len);
    ngx_memcpy(text->data + text->len, rest, strlen(rest));
    text->len += strlen(rest);
}


/*
 * Of RSA, the leading zeros of which not all ask for: from each text all others
 * are found, the whole one and those without up to three zeros.
 */

static void
test_twin_of_rsa(void **state)
{
    u_char       signature[256];
    size_t       h, i, k, size, zeros, lacks, from;
    ngx_str_t    text, other, twins[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t   n, left;
    ngx_pool_t  *pool;

    static const char  *headers[] = {
        "{\"alg\":\"PS256\"}", "{\"alg\":\"PS512\"}", "{\"alg\":\"RS256\"}"
    };

    static size_t  sizes[] = { 256, 128, 72 };

    pool = test_pool();

    text.data = ngx_pnalloc(pool, 1024);
    other.data = ngx_pnalloc(pool, 1024);
    assert_non_null(text.data);
    assert_non_null(other.data);

    for (k = 0; k < 9; k++) {
        size = sizes[k / 3];
        h = k % 3;

        for (zeros = 0; zeros < 8; zeros++) {

            ngx_memset(signature, 0x0f, sizeof(signature));
            ngx_memzero(signature, zeros);

            for (from = 0; from <= zeros; from++) {

                signed_by(&text, headers[h], signature + from, size - from);

                assert_int_equal(ngx_token_source_twin(&text), zeros != 0);
                assert_int_equal(ngx_token_jwt_twins(pool, &text, twins, &n),
                                 NGX_OK);

                left = n;

                for (lacks = 0; lacks <= ngx_min(zeros, 3); lacks++) {

                    if (lacks == from) {
                        continue;
                    }

                    signed_by(&other, headers[h], signature + lacks,
                              size - lacks);

                    for (i = 0; i < n; i++) {
                        if (twins[i].len == other.len
                            && ngx_memcmp(twins[i].data, other.data,
                                          other.len)
                               == 0)
                        {
                            left--;
                            break;
                        }
                    }

                    assert_int_not_equal(i, n);
                }

                assert_int_equal(left, 0);
            }
        }
    }

    ngx_destroy_pool(pool);
}


/* with more zeros than there are: who reads a number takes these, too */

static void
test_twin_of_padded(void **state)
{
    u_char       signature[4096], *p;
    size_t       h, i, more, zeros, lacks, size;
    ngx_str_t    text, other, twins[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t   n;
    ngx_pool_t  *pool;

    static const char  *headers[] = {
        "{\"alg\":\"RS256\"}", "{\"alg\":\"PS256\"}"
    };

    static size_t  mores[] = { 1, 2, 7, 8, 9, 64, 1800, 3000 };

    pool = test_pool();

    text.data = ngx_pnalloc(pool, 8192);
    other.data = ngx_pnalloc(pool, 8192);
    assert_non_null(text.data);
    assert_non_null(other.data);

    size = 256;
    p = signature + sizeof(signature) - size;

    for (zeros = 0; zeros < 4; zeros++) {

        ngx_memzero(signature, sizeof(signature));
        ngx_memset(p + zeros, 0x0f, size - zeros);

        for (i = 0; i < sizeof(mores) / sizeof(mores[0]); i++) {
            more = mores[i];
            h = i % 2;

            signed_by(&text, headers[h], p - more, size + more);

            assert_true(ngx_token_source_twin(&text));
            assert_int_equal(ngx_token_jwt_twins(pool, &text, twins, &n),
                             NGX_OK);
            assert_int_equal(n, zeros + 1);

            for (lacks = 0; lacks <= zeros; lacks++) {
                signed_by(&other, headers[h], p + lacks, size - lacks);

                assert_int_equal(twins[lacks].len, other.len);
                assert_memory_equal(twins[lacks].data, other.data, other.len);
            }
        }
    }

    /* no number at all */

    ngx_memzero(signature, sizeof(signature));
    signed_by(&text, headers[0], signature, size);
    assert_int_equal(ngx_token_jwt_twins(pool, &text, twins, &n), NGX_OK);
    assert_int_equal(n, 0);

    ngx_destroy_pool(pool);
}


/* the key of a JWE, as what is signed */

static void
test_twin_of_jwe(void **state)
{
    u_char       key[256];
    size_t       i;
    ngx_str_t    whole, text, twin;
    ngx_pool_t  *pool;

    static const char  *rest = ".QUE.QUFB.QQ";

    static struct {
        const char  *header;
        ngx_int_t    rc;
    } rows[] = {
        { "{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}", NGX_OK },
        { "{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\"}", NGX_OK },
        { "{\"alg\":\"RSA1_5\",\"enc\":\"A256GCM\"}", NGX_OK },
        { "{\"alg\":\"A256KW\",\"enc\":\"A256GCM\"}", NGX_DECLINED },
        { "{\"alg\":\"PS256\",\"enc\":\"A256GCM\"}", NGX_DECLINED },
        { NULL, NGX_DECLINED }
    };

    pool = test_pool();

    whole.data = ngx_pnalloc(pool, 1024);
    text.data = ngx_pnalloc(pool, 1024);
    assert_non_null(whole.data);
    assert_non_null(text.data);

    ngx_memset(key, 0x5a, sizeof(key));
    key[0] = 0;

    for (i = 0; rows[i].header; i++) {

        encrypted_by(&whole, rows[i].header, key, sizeof(key), rest);
        encrypted_by(&text, rows[i].header, key + 1, sizeof(key) - 1, rest);

        assert_true(ngx_token_source_twin(&text));
        assert_true(ngx_token_source_twin(&whole));

        assert_int_equal(twin_of(pool, &text, &twin), rows[i].rc);

        if (rows[i].rc != NGX_OK) {
            continue;
        }

        assert_int_equal(twin.len, whole.len);
        assert_memory_equal(twin.data, whole.data, whole.len);

        assert_int_equal(twin_of(pool, &whole, &twin), NGX_OK);
        assert_int_equal(twin.len, text.len);
        assert_memory_equal(twin.data, text.data, text.len);
    }

    ngx_memset(key, 0x5a, sizeof(key));

    encrypted_by(&whole, rows[0].header, key, sizeof(key), rest);
    assert_false(ngx_token_source_twin(&whole));

    encrypted_by(&whole, rows[0].header, key, sizeof(key) - 1, ".QUE.QUE");
    assert_false(ngx_token_source_twin(&whole));

    encrypted_by(&whole, rows[0].header, key, sizeof(key) - 1,
                 ".QUE.QUE.QUE.QUE");
    assert_false(ngx_token_source_twin(&whole));

    ngx_destroy_pool(pool);
}


/* what cannot be a signature costs nothing */

static void
test_twin_of_none(void **state)
{
    u_char      *signature;
    size_t       len;
    ngx_str_t    text, twins[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t   n;
    ngx_pool_t  *pool;

    pool = test_pool();

    text.data = ngx_pnalloc(pool, 8192);
    signature = ngx_pcalloc(pool, 4096);
    assert_non_null(text.data);
    assert_non_null(signature);

    signed_by(&text, "{\"alg\":\"PS256\"}", signature, 2047);
    assert_true(ngx_token_source_twin(&text));

    signed_by(&text, "{\"alg\":\"PS256\"}", signature, 2048);
    assert_true(ngx_token_source_twin(&text));

    ngx_memset(signature, 0x5a, 4096);

    for (len = 2049; len < 4096; len += 17) {
        signed_by(&text, "{\"alg\":\"PS256\"}", signature, len);
        assert_false(ngx_token_source_twin(&text));
    }

    signed_by(&text, "{\"alg\":\"PS256\"}", signature, 0);
    assert_false(ngx_token_source_twin(&text));
    assert_int_equal(ngx_token_jwt_twins(pool, &text, twins, &n), NGX_OK);
    assert_int_equal(n, 0);

    signed_by(&text, "{\"alg\":\"HS256\"}", signature, 255);
    assert_int_equal(ngx_token_jwt_twins(pool, &text, twins, &n), NGX_OK);
    assert_int_equal(n, 0);

    ngx_destroy_pool(pool);
}


/* RFC 7515, 3.4, and FIPS 186-4, 6.4: lengths are exact, 0 < r, s < n */

static void
test_ecdsa(void **state)
{
    u_char             signature[133], *good;
    size_t             i, dot;
    ngx_str_t          text, twin;
    ngx_uint_t         n;
    ngx_pool_t        *pool;
    ngx_token_jwt_t    jwt;
    ngx_token_keys_t  *keys;

    static u_char  order[] =
        "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";

    static size_t  lengths[] = { 1, 32, 63, 65, 70, 72, 96, 128, 132, 0 };

    pool = test_pool();
    keys = keys_of(pool, examples[2].key);
    text = test_str(examples[2].token);

    assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                     NGX_TOKEN_VERDICT_OK);

    good = jwt.signature.data;

    for (dot = text.len; text.data[dot - 1] != '.'; dot--) { /* void */ }

    text.data = ngx_pnalloc(pool, 1024);
    assert_non_null(text.data);
    ngx_memcpy(text.data, examples[2].token, dot);

    for (n = 0; n < 8; n++) {
        ngx_memcpy(signature, good, 64);

        switch (n) {

        case 0:
            ngx_memzero(signature, 32);
            break;

        case 1:
            ngx_memzero(signature + 32, 32);
            break;

        case 2:
            ngx_memzero(signature, 64);
            break;

        case 3:
            ngx_memcpy(signature, order, 32);
            break;

        case 4:
            ngx_memcpy(signature + 32, order, 32);
            break;

        case 5:
            ngx_memset(signature, 0xff, 32);
            break;

        case 6:
            ngx_memset(signature + 32, 0xff, 32);
            break;

        default:
            /* as it was: the test can tell */
            break;
        }

        text.len = dot;
        test_part(&text, signature, 64);

        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         n == 7 ? NGX_TOKEN_VERDICT_OK
                                : NGX_TOKEN_VERDICT_SIGNATURE);

        if (n < 7) {
            assert_int_equal(twin_of(pool, &text, &twin),
                             NGX_DECLINED);
        }
    }

    ngx_memset(signature, 1, sizeof(signature));

    for (i = 0; lengths[i]; i++) {
        text.len = dot;
        test_part(&text, signature, lengths[i]);

        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         NGX_TOKEN_VERDICT_SIGNATURE);
        assert_int_equal(twin_of(pool, &text, &twin), NGX_DECLINED);
    }

    ngx_destroy_pool(pool);
}


/* an order plus S is the same to who does not look: RFC 8032, 5.1.7 */

static void
test_eddsa(void **state)
{
    u_char             signature[66];
    size_t             dot, i;
    ngx_str_t          text;
    ngx_uint_t         carry;
    ngx_pool_t        *pool;
    ngx_token_jwt_t    jwt;
    ngx_token_keys_t  *keys;

    static u_char  order[] =
        "\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";

    pool = test_pool();
    keys = keys_of(pool, examples[4].key);
    text = test_str(examples[4].token);

    assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                     NGX_TOKEN_VERDICT_OK);

    for (dot = text.len; text.data[dot - 1] != '.'; dot--) { /* void */ }

    text.data = ngx_pnalloc(pool, 1024);
    assert_non_null(text.data);
    ngx_memcpy(text.data, examples[4].token, dot);

    ngx_memzero(signature, sizeof(signature));
    ngx_memcpy(signature, jwt.signature.data, 64);

    for (i = 63; i <= 66; i++) {
        text.len = dot;
        test_part(&text, signature, i);

        assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                         i == 64 ? NGX_TOKEN_VERDICT_OK
                                 : NGX_TOKEN_VERDICT_SIGNATURE);
    }

    for (carry = 0, i = 0; i < 32; i++) {
        carry += signature[32 + i] + order[i];
        signature[32 + i] = (u_char) carry;
        carry >>= 8;
    }

    text.len = dot;
    test_part(&text, signature, 64);

    assert_int_equal(verdict_of(pool, keys, &text, &jwt),
                     NGX_TOKEN_VERDICT_SIGNATURE);

    ngx_destroy_pool(pool);
}


/*
 * Whichever allocation fails, alone or with all that come after it, a signature
 * is not taken for a wrong one.
 */

static void
test_no_memory(void **state)
{
    int                   n, failed;
    long                  more;
    ngx_str_t             text;
    ngx_pool_t           *pool;
    ngx_uint_t            i;
    ngx_token_jwt_t       jwt;
    ngx_token_keys_t     *keys;
    ngx_token_verdict_e   verdict;

    pool = test_pool();

    for (i = 0; examples[i].key; i++) {

        keys = keys_of(pool, examples[i].key);
        text = test_str(examples[i].token);

        assert_int_equal(ngx_token_jwt_parse(pool, &text, &jwt),
                         NGX_TOKEN_VERDICT_OK);

        /* of a single one within Ed25519, OpenSSL says nothing */

        more = (jwt.alg == NGX_TOKEN_ALG_ED25519) ? 1000 : 0;

        for ( ;; ) {
            n = 1;

            do {
                no_memory(n++, more);
                verdict = ngx_token_jwt_verify(&jwt, keys);
                failed = no_memory_end();

                if (verdict != NGX_TOKEN_VERDICT_OK
                    && !(failed && verdict == NGX_TOKEN_VERDICT_ERROR))
                {
                    fail_msg("example %d, allocation %d: %d", (int) i, n - 1,
                             verdict);
                }

                assert_int_equal(ERR_peek_error(), 0);

            } while (failed);

            assert_true(n > 2);

            if (more) {
                break;
            }

            more = 1000;
        }
    }

    ngx_destroy_pool(pool);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_twin_of_others),
        cmocka_unit_test(test_twin_of_rsa),
        cmocka_unit_test(test_twin_of_padded),
        cmocka_unit_test(test_twin_of_jwe),
        cmocka_unit_test(test_twin_of_none),
        cmocka_unit_test(test_ecdsa),
        cmocka_unit_test(test_eddsa),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
