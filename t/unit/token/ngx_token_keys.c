
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/err.h>

#include <ngx_token_keys.h>

#include "../no_memory.h"
#include "ngx_token_test.h"


#define PEM(name, text)                                                       \
    "-----BEGIN " name "-----\n" text "\n-----END " name "-----\n"

#define P256_DER                                                              \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUaupBNnkNN1pOarIQaMxyU+KViEc\n"      \
    "eICjp05W4WYqb5X8vcShqSHU3uOYfBHiwe8UlX+S1a/E4BCmv3iJNUseTw=="

#define SMALL_DER                                                             \
    "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

#define ED25519_DER                                                           \
    "MCowBQYDK2VwAyEAx3pUJx1mrKQDq/E4s7WvR8Da6BYLqlsXwen8XNirbxY="

#define RSA_PKCS1_DER                                                         \
    "MIIBCgKCAQEAps8NApu0HlIPcmRELIwfV9LjADEvppjlnUFJV9pBPAQAkTuu1lYt\n"      \
    "7Ix9jEzyU0r913EB40M84BokvYZm2M9M5kLqMmb1QdajfhkZfJVUZ1gKbwoyLLMX\n"      \
    "n3GrVd3UtsiMPpitkcIZJckAM+bKyX70oDxkcFx7OM1gOVrSlRaAlWVQhlxnHWZo\n"      \
    "tNR8ck6XmGtr2w2yi/STHSbKcHOPMN/6FDUeZpwZLA+bw6IDjoutFRxig+2jRaU4\n"      \
    "ED7/DAH8Mm3aJKV9cQTWcQubp6M5KGWGX6jJ4PUXc75t3E2Bqjogf3SIkRUHSa2Y\n"      \
    "Zrdo/8CcjoGgijGB/9R79STewlQuv527hQIDAQAB"

#define P256_CERTIFICATE_DER                                                  \
    "MIIBBTCBq6ADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAWswHhcNMjAw\n"      \
    "MTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjAMMQowCAYDVQQDDAFrMFkwEwYHKoZI\n"      \
    "zj0CAQYIKoZIzj0DAQcDQgAEUaupBNnkNN1pOarIQaMxyU+KViEceICjp05W4WYq\n"      \
    "b5X8vcShqSHU3uOYfBHiwe8UlX+S1a/E4BCmv3iJNUseTzAKBggqhkjOPQQDAgNJ\n"      \
    "ADBGAiEAvKz5Uzz+rv/v2Dj3WMzPHN4csq6ph0CN/wrQ036VtXICIQDRlgCEjRVH\n"      \
    "dWxLwn1MuEw2U+Z6ZrLAMwj38R+vsj2lpA=="

#define RSA_1024_DER                                                          \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDdpfPimwZ0SUDToSew2GpwoFL4\n"      \
    "Zceegvj7TWL5RObrxY30NCpu95OP0rreuBszbpB7Y+9ODjyeN2EYKuSP2MFp3jWB\n"      \
    "Va5zv4K8wgI4ljUnxMBhSNeP2R59eAlOrvWW6p6BEKjos7JGWT99aR41MEWnsGGH\n"      \
    "ghcYu+sAcKunfNDcrwIDAQAB"

#define K256_DER                                                              \
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAExlQuwkdIP4q0GL4BcTjamiB6HXOK0HUy\n"      \
    "vAaEcrwxYQ8ujns3LZu9ubtMFkuEBnT5XXx2k0Em4nyD4rGI6NUsBw=="

/* P-256 by its parameters, and not by its name */

#define EXPLICIT_DER                                                          \
    "MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA\n"      \
    "AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////\n"      \
    "///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd\n"      \
    "NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5\n"      \
    "RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA\n"      \
    "//////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABJN8h2LtoNvG0gU5+bR7O+Y6\n"      \
    "ARjQokSVBoKTJaIVb/puQiUA+1DaRcxbicrAUNBEs9fdWhHU8FTLMSZdh1aPdSo="

#define ED448_DER                                                             \
    "MEMwBQYDK2VxAzoAoVfTOwz7Nv/mhzH53i4FRfSgE6ZyGmUiMtZ8l23+QStz2qPf\n"      \
    "uUIWvRfSKhoSwbhzMPmF0KWUFn4A"

#define N2048                                                                 \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw"    \
    "-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b3269"    \
    "0r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS"    \
    "-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aG"    \
    "hyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp"    \
    "oQ"

#define K32  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define X    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OKP  "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define SET(keys)  "{\"keys\":[" keys "]}"
#define OCT(more)  "{\"kty\":\"oct\",\"k\":\"" K32 "\"" more "}"
#define RSA(more)                                                             \
    "{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQAB\"" more "}"
#define EC(more)                                                              \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\""       \
    more "}"
#define ED(more)                                                              \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP "\"" more "}"

#define HS256    ngx_token_alg_bit(NGX_TOKEN_ALG_HS256)
#define HS384    ngx_token_alg_bit(NGX_TOKEN_ALG_HS384)
#define RS256    ngx_token_alg_bit(NGX_TOKEN_ALG_RS256)
#define PS512    ngx_token_alg_bit(NGX_TOKEN_ALG_PS512)
#define ES256    ngx_token_alg_bit(NGX_TOKEN_ALG_ES256)
#define ED25519  ngx_token_alg_bit(NGX_TOKEN_ALG_ED25519)
#define RSA_ALL  (NGX_TOKEN_ALG_RS | NGX_TOKEN_ALG_PS)


static ngx_pool_t  *pool;
static ngx_str_t    error;


static int
setup(void **state)
{
    pool = test_pool();
    return 0;
}


/* what OpenSSL leaves behind, nginx would log for another's connection */

static int
teardown(void **state)
{
    ngx_destroy_pool(pool);

    return ERR_peek_error() != 0;
}


static ngx_token_keys_t *
parse(const char *text, ngx_uint_t allowed)
{
    ngx_str_t          bytes;
    ngx_token_keys_t  *keys;

    /* an end that is seen */

    bytes.len = strlen(text);
    bytes.data = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(bytes.data);
    memcpy(bytes.data, text, bytes.len);

    keys = ngx_token_keys_parse(pool, &bytes, allowed, &error);

    free(bytes.data);

    return keys;
}


/* The file has one key, for these algorithms. */

static void
one(const char *text, ngx_uint_t allowed, ngx_uint_t algorithms)
{
    ngx_token_keys_t  *keys;

    keys = parse(text, allowed);

    if (keys == NULL) {
        fail_msg("%.*s: %s", (int) error.len, error.data, text);
    }

    assert_int_equal(keys->nelts, 1);
    assert_int_equal(keys->skipped, 0);
    assert_int_equal(keys->elts[0].algorithms, algorithms);
}


/* The file is refused, and the words have this in them. */

static void
none(const char *text, const char *why)
{
    char  buf[256];

    assert_null(parse(text, 0));

    assert_in_range(error.len, 1, 255);
    memcpy(buf, error.data, error.len);
    buf[error.len] = '\0';

    if (strstr(buf, why) == NULL) {
        fail_msg("\"%s\" is not \"%s\": %s", buf, why, text);
    }
}


static void
test_types(void **state)
{
    one(SET(OCT("")), 0, HS256);
    one(SET(RSA("")), 0, RSA_ALL);
    one(SET(EC("")), 0, ES256);
    one(SET(ED("")), 0, ED25519);
    one(RSA(""), 0, RSA_ALL);
    one(" \r\n\t" EC(""), 0, ES256);

    /* RFC 7518, 3.2: a secret is at least as long as the hash */

    one("{\"kty\":\"oct\",\"k\":\"" K32 K32 "\"}", 0, HS256 | HS384
        | ngx_token_alg_bit(NGX_TOKEN_ALG_HS512));
    one("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAA\"}", 0, HS256 | HS384);
}


static void
test_algorithm(void **state)
{
    one(RSA(",\"alg\":\"RS256\""), 0, RS256);
    one(RSA(",\"alg\":\"PS512\""), 0, PS512);
    one(EC(",\"alg\":\"ES256\""), 0, ES256);
    one(ED(",\"alg\":\"EdDSA\""), 0, ED25519);
    one(ED(",\"alg\":\"Ed25519\""), 0, ED25519);
    one(OCT(",\"alg\":\"HS256\""), 0, HS256);

    none(RSA(",\"alg\":\"HS256\""), "\"alg\" is not for such a key");
    none(RSA(",\"alg\":\"ES256\""), "\"alg\" is not for such a key");
    none(OCT(",\"alg\":\"RS256\""), "\"alg\" is not for such a key");
    none(OCT(",\"alg\":\"HS512\""), "\"alg\" is not for such a key");
    none(EC(",\"alg\":\"ES512\""), "\"alg\" is not for such a key");
    none(OCT(",\"alg\":\"none\""), "unknown \"alg\"");
    none(RSA(",\"alg\":\"RSA-OAEP\""), "unknown \"alg\"");
    none(RSA(",\"alg\":null"), "unknown \"alg\"");

    /* what the configuration leaves of it */

    one(RSA(""), RS256 | ES256, RS256);
    one(RSA(",\"alg\":\"PS512\""), PS512, PS512);

    assert_null(parse(RSA(""), ES256));
    assert_null(parse(RSA(",\"alg\":\"RS256\""), PS512));
    assert_null(parse(PEM("RSA PUBLIC KEY", RSA_PKCS1_DER), HS256));
}


static void
test_purpose(void **state)
{
    one(EC(",\"use\":\"sig\""), 0, ES256);
    one(EC(",\"key_ops\":[\"verify\"]"), 0, ES256);
    one(OCT(",\"key_ops\":[\"sign\",\"verify\"],\"use\":\"sig\""), 0, HS256);

    none(EC(",\"use\":\"enc\""), "\"use\"");
    none(EC(",\"use\":\"SIG\""), "\"use\"");
    none(EC(",\"use\":1"), "\"use\"");
    none(EC(",\"key_ops\":[\"sign\"]"), "\"key_ops\"");
    none(EC(",\"key_ops\":[]"), "\"key_ops\"");
    none(EC(",\"key_ops\":\"verify\""), "\"key_ops\"");
    none(EC(",\"use\":\"sig\",\"key_ops\":[\"encrypt\"]"), "\"key_ops\"");
}


/* RFC 8725, 3.5 */

static void
test_weak(void **state)
{
    none("{\"kty\":\"oct\",\"k\":\"\"}", "less than 32 bytes");
    none("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", "less than 32 bytes");
    none("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "\"}", "less than 32 bytes");

    none(PEM("PUBLIC KEY", RSA_1024_DER), "less than 2048 bits");
    none("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
         "less than 2048 bits");

    /* leading zeros do not make it longer, and do no harm */

    none("{\"kty\":\"RSA\",\"n\":\"AAAA" N2048 "\",\"e\":\"\"}", "exponent");
    one("{\"kty\":\"RSA\",\"n\":\"AAAA" N2048 "\",\"e\":\"AAAAAAAAAAAAAQAB\"}",
        0, RSA_ALL);

    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQ\"}", "exponent");
    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AA\"}", "exponent");
    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQAA\"}", "exponent");
    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"____________\"}",
         "exponent");
    one("{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"Aw\"}", 0, RSA_ALL);

    none("{\"kty\":\"RSA\",\"n\":\"" N2048 N2048 "AA\",\"e\":\"AQAB\"}",
         "even");

    /* "-----BEGIN PUBLIC KEY-----\n..." */

    none("{\"kty\":\"oct\",\"k\":\"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KLi4u"
         "Li4uLi4uLi4uLi4uLi4u\"}", "public key in the place of a secret");
}


static void
test_broken(void **state)
{
    none(SET("1"), "not an object");
    none("{\"keys\":[null,[],\"a\"]}", "key 1: not an object");
    none("{\"keys\":[{}]}", "\"kty\"");
    none("{\"keys\":[{\"kty\":1}]}", "\"kty\"");
    none("{\"kty\":\"rsa\"}", "unknown \"kty\"");
    none("{\"kty\":\"oct\"}", "\"k\"");
    none("{\"kty\":\"oct\",\"k\":1}", "\"k\"");
    none("{\"kty\":\"oct\",\"k\":\"" K32 "=\"}", "\"k\"");
    none("{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "\"n\"");
    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "\"}", "\"e\"");
    none("{\"kty\":\"RSA\",\"n\":\"" N2048 "==\",\"e\":\"AQAB\"}", "\"n\"");
    none("{\"kty\":\"EC\",\"x\":\"" X "\",\"y\":\"" Y "\"}", "\"crv\"");
    none("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}", "\"y\"");
    none("{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" X "\"}", "\"x\"");
    none("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" X "\",\"y\":\"" Y
         "\"}", "unknown \"crv\"");
    none("{\"kty\":\"EC\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"y\":\"" Y
         "\"}", "unknown \"crv\"");
    none("{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"" OKP "\"}",
         "unknown \"crv\"");
    none("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" OKP "\"}",
         "unknown \"crv\"");

    /* another point, the one at infinity, and a coordinate cut short */

    none("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" Y "\",\"y\":\"" X "\"}",
         "not a point of its curve");
    none("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" K32 "\",\"y\":\"" K32
         "\"}", "not a point of its curve");
    none("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"AAAA\"}",
         "wrong length");
    none("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
         "wrong length");
    none("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
         "wrong length");
}


/* with such a key anybody makes signatures */

static void
test_small_order(void **state)
{
    char        key[128];
    ngx_uint_t  i;

    static const char  *points[] = {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
        "7P_______________________________________38",
        "7P________________________________________8",
        "7f_______________________________________38",
        "7f________________________________________8",
        "7v_______________________________________38",
        "7v________________________________________8",
        NULL
    };

    for (i = 0; points[i]; i++) {
        (void) snprintf(key, sizeof(key), "{\"kty\":\"OKP\","
                        "\"crv\":\"Ed25519\",\"x\":\"%s\"}", points[i]);

        none(key, "a point of small order");
    }

    none(PEM("PUBLIC KEY", SMALL_DER), "a point of small order");
}


static void
test_files(void **state)
{
    char        *text;
    ngx_str_t    bytes;

    none("", "it is empty");
    none("\n\n", "no key in it");
    none("keys", "no key in it");
    none("[]", "no key in it");
    none("{\"keys\":[]}", "no key in it");
    none("{}", "no array \"keys\"");
    none("{\"keys\":{}}", "no array \"keys\"");
    none("{\"keys\":[" EC("") "]", "not valid JSON");
    none("{\"keys\":[" EC("") "]}x", "not valid JSON");
    none("{\"keys\":[" EC("") "],\"keys\":[]}", "not valid JSON");
    none(SET(EC(",\"kty\":\"EC\"")), "not valid JSON");

    text = malloc(NGX_TOKEN_KEYS_FILE + 1);
    assert_non_null(text);

    memset(text, ' ', NGX_TOKEN_KEYS_FILE + 1);
    memcpy(text, EC(""), sizeof(EC("")) - 1);

    bytes.data = (u_char *) text;
    bytes.len = NGX_TOKEN_KEYS_FILE;
    assert_non_null(ngx_token_keys_parse(pool, &bytes, 0, &error));

    bytes.len++;
    assert_null(ngx_token_keys_parse(pool, &bytes, 0, &error));
    assert_int_not_equal(error.len, 0);

    free(text);
}


static void
test_number(void **state)
{
    char              *text, *p;
    ngx_uint_t         i, n;
    ngx_token_keys_t  *keys;

    text = malloc(65 * (sizeof(EC("")) + 1) + 32);
    assert_non_null(text);

    for (n = 64; n <= 65; n++) {
        p = text;
        p += sprintf(p, "{\"keys\":[");

        for (i = 0; i < n; i++) {
            p += sprintf(p, "%s%s", i ? "," : "", i % 2 ? EC("") : "{}");
        }

        p += sprintf(p, "]}");

        if (n == 64) {
            keys = parse(text, 0);
            assert_non_null(keys);
            assert_int_equal(keys->nelts, 32);
            assert_int_equal(keys->skipped, 32);

        } else {
            none(text, "more than 64 keys");
        }
    }

    free(text);
}


static void
test_skipped(void **state)
{
    int                n;
    char               text[512];
    ngx_token_keys_t  *keys;

    keys = parse(SET(EC("") ",{\"kty\":\"new\"}," OCT(",\"use\":\"enc\"") ","
                     ED(",\"kid\":\"e\"") "," RSA(",\"d\":\"AQAB\"")), 0);

    assert_non_null(keys);
    assert_int_equal(keys->nelts, 3);
    assert_int_equal(keys->skipped, 2);
    assert_int_equal(keys->position, 2);
    assert_string_equal(keys->reason, "an unknown \"kty\"");
    assert_int_equal(keys->private, 1);

    assert_null(keys->elts[0].kid.data);
    assert_int_equal(keys->elts[1].algorithms, ED25519);
    assert_int_equal(keys->elts[1].kid.len, 1);
    assert_memory_equal(keys->elts[1].kid.data, "e", 1);
    assert_int_equal(keys->elts[2].algorithms, RSA_ALL);

    none(EC(",\"kid\":1"), "\"kid\"");

    for (n = 256; n <= 257; n++) {
        sprintf(text, EC(",\"kid\":\"%0*d\""), n, 0);

        if (n == 256) {
            one(text, 0, ES256);

        } else {
            none(text, "\"kid\"");
        }
    }
}


static void
test_pem(void **state)
{
    ngx_token_keys_t  *keys;

    one(PEM("PUBLIC KEY", P256_DER), 0, ES256);
    one(PEM("PUBLIC KEY", ED25519_DER), 0, ED25519);
    one(PEM("RSA PUBLIC KEY", RSA_PKCS1_DER), 0, RSA_ALL);

    /* expired in 2020: it is a way to write a key down */
    one("text before\n" PEM("CERTIFICATE", P256_CERTIFICATE_DER), 0, ES256);

    none(PEM("PUBLIC KEY", K256_DER), "unknown curve");
    none(PEM("PUBLIC KEY", EXPLICIT_DER), "unknown curve");
    none(PEM("PUBLIC KEY", ED448_DER), "unknown type of key");
    none(PEM("PUBLIC KEY", "MAAB"), "not a key");
    none(PEM("CERTIFICATE", "MAAB"), "not a key");
    none(PEM("PRIVATE KEY", "MAAB"), "neither a public key");
    none(PEM("EC PARAMETERS", "BggqhkjOPQMBBw=="), "neither a public key");

    /* a byte after the key */
    none(PEM("PUBLIC KEY",
             "MCowBQYDK2VwAyEAx3pUJx1mrKQDq/E4s7WvR8Da6BYLqlsXwen8XNirbxYA"),
         "not a key");

    none("-----BEGIN PUBLIC KEY-----\n" P256_DER "\n", "PEM is broken");
    none(PEM("PUBLIC KEY", P256_DER) "-----BEGIN PUBLIC KEY-----\n",
         "PEM is broken");

    keys = parse(PEM("PUBLIC KEY", P256_DER) PEM("PUBLIC KEY", RSA_1024_DER)
                 PEM("CERTIFICATE", P256_CERTIFICATE_DER)
                 PEM("RSA PUBLIC KEY", RSA_PKCS1_DER), 0);

    assert_non_null(keys);
    assert_int_equal(keys->nelts, 3);
    assert_int_equal(keys->skipped, 1);
    assert_int_equal(keys->position, 2);
}


/* Which key is asked, by the verdict of a signature that no key made. */

static ngx_token_verdict_e
look(ngx_token_keys_t *keys, const char *kid, ngx_token_alg_e alg)
{
    ngx_str_t  name, text;

    ngx_str_null(&name);

    if (kid) {
        name = test_str(kid);
    }

    ngx_str_set(&text, "x");

    return ngx_token_keys_verify(keys, &name, alg, &text, &text);
}


static void
test_lookup(void **state)
{
    ngx_token_keys_t  *keys;

    keys = parse(SET(EC(",\"kid\":\"a\"") "," ED(",\"kid\":\"b\"") ","
                     OCT(",\"kid\":\"b\"")), 0);
    assert_non_null(keys);

    assert_int_equal(look(keys, "a", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_SIGNATURE);
    assert_int_equal(look(keys, "a", NGX_TOKEN_ALG_ED25519),
                     NGX_TOKEN_VERDICT_ALGORITHM);

    /* RFC 7517, 4.5: two keys of one kid */

    assert_int_equal(look(keys, "b", NGX_TOKEN_ALG_ED25519),
                     NGX_TOKEN_VERDICT_SIGNATURE);
    assert_int_equal(look(keys, "b", NGX_TOKEN_ALG_HS256),
                     NGX_TOKEN_VERDICT_SIGNATURE);
    assert_int_equal(look(keys, "b", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_ALGORITHM);

    assert_int_equal(look(keys, "A", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_KEY);
    assert_int_equal(look(keys, "a ", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_KEY);
    assert_int_equal(look(keys, "", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_KEY);

    assert_int_equal(look(keys, NULL, NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_SIGNATURE);
    assert_int_equal(look(keys, NULL, NGX_TOKEN_ALG_RS256),
                     NGX_TOKEN_VERDICT_ALGORITHM);

    /* a key without a kid is for tokens whose kid no key has */

    keys = parse(SET(EC("") "," ED(",\"kid\":\"b\"")), 0);
    assert_non_null(keys);

    assert_int_equal(look(keys, "z", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_SIGNATURE);
    assert_int_equal(look(keys, "z", NGX_TOKEN_ALG_ED25519),
                     NGX_TOKEN_VERDICT_ALGORITHM);
    assert_int_equal(look(keys, "b", NGX_TOKEN_ALG_ES256),
                     NGX_TOKEN_VERDICT_ALGORITHM);
}


static void
test_identity(void **state)
{
    ngx_token_keys_t  *keys[4];

    keys[0] = parse(SET(RSA("")), 0);
    keys[1] = parse(SET(RSA("")), NGX_TOKEN_ALG_ALL);
    keys[2] = parse(SET(RSA("")), RS256);
    keys[3] = parse(SET(EC("")), 0);

    assert_true(keys[0] && keys[1] && keys[2] && keys[3]);

    assert_memory_equal(keys[0]->id, keys[1]->id, NGX_TOKEN_DIGEST);
    assert_memory_not_equal(keys[0]->id, keys[2]->id, NGX_TOKEN_DIGEST);
    assert_memory_not_equal(keys[0]->id, keys[3]->id, NGX_TOKEN_DIGEST);
}


#define test(name)                                                            \
    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)


/* The n-th allocation fails, and "more" after it; 0 if it did not come to it. */

static int
parse_without(const char *text, int n, long more)
{
    int                failed;
    ngx_str_t          bytes;
    ngx_token_keys_t  *keys;

    bytes = test_str(text);

    no_memory(n, more);
    keys = ngx_token_keys_parse(pool, &bytes, 0, &error);
    failed = no_memory_end();

    if (keys ? keys->skipped
             : (!failed || (error.len && memcmp(error.data, "no key", 6) == 0)))
    {
        fail_msg("allocation %d: %.*s: %s", n, (int) error.len, error.data,
                 text);
    }

    assert_int_equal(ERR_peek_error(), 0);

    return failed;
}


/* A key is not left out because memory was short: then there are none. */

static void
test_no_memory(void **state)
{
    int         n;
    ngx_uint_t  i;

    static const char  *texts[] = {
        SET(RSA("")), SET(EC("")), SET(ED("")), SET(OCT("")),
        PEM("PUBLIC KEY", P256_DER), PEM("PUBLIC KEY", ED25519_DER),
        PEM("RSA PUBLIC KEY", RSA_PKCS1_DER),
        PEM("CERTIFICATE", P256_CERTIFICATE_DER)
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {

        n = 1;

        while (parse_without(texts[i], n, 0)) {
            n++;
        }

        assert_true(n > 10);

        for (n--; n > 0; n -= 7) {
            (void) parse_without(texts[i], n, 10000);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(types), test(algorithm), test(purpose), test(weak),
        test(broken), test(files), test(small_order),
        test(number), test(skipped), test(pem),
        test(lookup), test(identity), test(no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
