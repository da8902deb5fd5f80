
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "ngx_token_key.h"


#define NGX_TOKEN_KEY_POINT      66                 /* P-521 */
#define NGX_TOKEN_KEY_SPKI       32
#define NGX_TOKEN_KEY_EXPONENT   8


/* A SubjectPublicKeyInfo up to the bytes of the key, by which it is known. */

typedef struct {
    ngx_str_t                curve;
    ngx_str_t                spki;
    size_t                   size;      /* of a coordinate */
    ngx_token_alg_e          alg;
} ngx_token_key_curve_t;


static const ngx_token_key_curve_t *ngx_token_key_find_curve(
    const ngx_str_t *name);
static const char *ngx_token_key_point(ngx_token_key_t *key,
    const ngx_token_key_curve_t *curve, const ngx_str_t *x,
    const ngx_str_t *y);
static const char *ngx_token_key_known_curve(ngx_token_key_t *key);
static ngx_uint_t ngx_token_key_is_small(const u_char *x);
static const char *ngx_token_key_known_rsa(ngx_token_key_t *key);
static ngx_int_t ngx_token_key_integer(const u_char **p, const u_char *last,
    ngx_str_t *number);
static const char *ngx_token_key_sane_rsa(const ngx_str_t *n,
    const ngx_str_t *e);
static ngx_uint_t ngx_token_key_decodes(void);
static u_char *ngx_token_key_put(u_char *p, u_char tag,
    const ngx_str_t *value);
static void ngx_token_key_trim(ngx_str_t *number);


/*
 * SEQUENCE { SEQUENCE { OID ecPublicKey, OID curve },
 *            BIT STRING { 0, 4, x, y } }
 * SEQUENCE { SEQUENCE { OID Ed25519 }, BIT STRING { 0, x } }
 */

static ngx_token_key_curve_t  ngx_token_key_curves[] = {

    { ngx_string("P-256"),
      ngx_string("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                 "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
                 "\x03\x42\x00\x04"),
      32, NGX_TOKEN_ALG_ES256 },

    { ngx_string("P-384"),
      ngx_string("\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                 "\x06\x05\x2b\x81\x04\x00\x22"
                 "\x03\x62\x00\x04"),
      48, NGX_TOKEN_ALG_ES384 },

    { ngx_string("P-521"),
      ngx_string("\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                 "\x06\x05\x2b\x81\x04\x00\x23"
                 "\x03\x81\x86\x00\x04"),
      66, NGX_TOKEN_ALG_ES512 },

    { ngx_string("Ed25519"),
      ngx_string("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70"
                 "\x03\x21\x00"),
      32, NGX_TOKEN_ALG_ED25519 },

    { ngx_null_string, ngx_null_string, 0, 0 }
};


/* SP 800-186, 3.2.1.3: G of P-256 */

static u_char  ngx_token_key_generator[] = {
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
    0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
    0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
    0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
    0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};


/*
 * The points of Ed25519 whose order divides 8 (RFC 8032, 5.1), as they may be
 * written: y little-endian, also as p or p + 1, and without the sign of x.
 */

static u_char  ngx_token_key_small[][32] = {
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 },

    { 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 },

    { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
      0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
      0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },

    { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
      0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
      0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },

    { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },

    { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },

    { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }
};


static const char  ngx_token_key_small_order[] = "a point of small order";

const char  ngx_token_key_no_memory[] = "no memory";


const char *
ngx_token_key_secret(ngx_token_key_t *key, const ngx_str_t *secret)
{
    size_t      len;
    ngx_uint_t  n;

    static ngx_str_t  pem = ngx_string("-----BEGIN ");

    if (secret->len < 32) {
        return "a secret of less than 32 bytes";
    }

    len = pem.len;

    if (ngx_strncmp(secret->data, pem.data, len) == 0) {
        return "a public key in the place of a secret";
    }

    /* OpenSSL wipes what it has of it when the key is freed */

    for (n = 0; n < 2 && key->pkey == NULL; n++) {
        key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL,
                                                 secret->data, secret->len);
    }

    if (key->pkey == NULL) {
        return ngx_token_key_refused("not a key");
    }

    /* RFC 7518, 3.2: not shorter than the hash */

    key->algorithms = ngx_token_alg_bit(NGX_TOKEN_ALG_HS256);

    if (secret->len >= 48) {
        key->algorithms |= ngx_token_alg_bit(NGX_TOKEN_ALG_HS384);
    }

    if (secret->len >= 64) {
        key->algorithms |= ngx_token_alg_bit(NGX_TOKEN_ALG_HS512);
    }

    return NULL;
}


const char *
ngx_token_key_rsa(ngx_token_key_t *key, const ngx_str_t *n, const ngx_str_t *e)
{
    u_char        *last;
    u_char         body[NGX_TOKEN_KEY_RSA_MAX / 8 + 32];
    u_char         der[NGX_TOKEN_KEY_RSA_MAX / 8 + 64];
    ngx_str_t      modulus, exponent, value;
    ngx_uint_t     i;
    const char    *err;
    const u_char  *p;

    modulus = *n;
    exponent = *e;

    /* RFC 7518, 2: without leading zeros, but some issuers have one */

    ngx_token_key_trim(&modulus);
    ngx_token_key_trim(&exponent);

    err = ngx_token_key_sane_rsa(&modulus, &exponent);
    if (err) {
        return err;
    }

    /* RFC 8017, A.1.1 */

    value.data = body;
    last = ngx_token_key_put(body, 0x02, &modulus);
    value.len = ngx_token_key_put(last, 0x02, &exponent) - body;

    last = ngx_token_key_put(der, 0x30, &value);

    for (i = 0; i < 2 && key->pkey == NULL; i++) {
        p = der;
        key->pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, last - der);
    }

    if (key->pkey == NULL) {
        return ngx_token_key_refused("not a key");
    }

    key->signature = modulus.len;
    key->algorithms = NGX_TOKEN_ALG_RS | NGX_TOKEN_ALG_PS;

    return NULL;
}


const char *
ngx_token_key_ec(ngx_token_key_t *key, const ngx_str_t *curve,
    const ngx_str_t *x, const ngx_str_t *y)
{
    const ngx_token_key_curve_t  *known;

    known = ngx_token_key_find_curve(curve);

    if (known == NULL || known->alg == NGX_TOKEN_ALG_ED25519) {
        return "an unknown \"crv\"";
    }

    /* RFC 7518, 6.2.1.2: the full size, leading zeros and all */

    if (x->len != known->size || y->len != known->size) {
        return "a coordinate of the wrong length";
    }

    return ngx_token_key_point(key, known, x, y);
}


const char *
ngx_token_key_okp(ngx_token_key_t *key, const ngx_str_t *curve,
    const ngx_str_t *x)
{
    static ngx_str_t              empty = ngx_null_string;
    const ngx_token_key_curve_t  *known;

    known = ngx_token_key_find_curve(curve);

    if (known == NULL || known->alg != NGX_TOKEN_ALG_ED25519) {
        return "an unknown \"crv\"";
    }

    if (x->len != known->size) {
        return "a key of the wrong length";
    }

    if (ngx_token_key_is_small(x->data)) {
        return ngx_token_key_small_order;
    }

    return ngx_token_key_point(key, known, x, &empty);
}


static const ngx_token_key_curve_t *
ngx_token_key_find_curve(const ngx_str_t *name)
{
    const ngx_token_key_curve_t  *known;

    for (known = ngx_token_key_curves; known->size; known++) {

        if (known->curve.len == name->len
            && ngx_memcmp(known->curve.data, name->data, name->len) == 0)
        {
            return known;
        }
    }

    return NULL;
}


/* OpenSSL refuses a point that is not on the curve. */

static const char *
ngx_token_key_point(ngx_token_key_t *key, const ngx_token_key_curve_t *curve,
    const ngx_str_t *x, const ngx_str_t *y)
{
    u_char        *last;
    u_char         der[NGX_TOKEN_KEY_SPKI + 2 * NGX_TOKEN_KEY_POINT];
    ngx_uint_t     n;
    const u_char  *p;

    last = ngx_cpymem(der, curve->spki.data, curve->spki.len);
    last = ngx_cpymem(last, x->data, x->len);

    if (y->len) {
        last = ngx_cpymem(last, y->data, y->len);
    }

    for (n = 0; n < 2 && key->pkey == NULL; n++) {
        p = der;
        key->pkey = d2i_PUBKEY(NULL, &p, last - der);
    }

    if (key->pkey == NULL) {
        return ngx_token_key_refused("not a point of its curve");
    }

    key->signature = 2 * curve->size;
    key->algorithms = ngx_token_alg_bit(curve->alg);

    return NULL;
}


const char *
ngx_token_key_pkey(ngx_token_key_t *key, EVP_PKEY *pkey)
{
    const char  *err;

    key->pkey = pkey;

    switch (EVP_PKEY_id(pkey)) {

    case EVP_PKEY_RSA:
        key->algorithms = NGX_TOKEN_ALG_RS | NGX_TOKEN_ALG_PS;
        err = ngx_token_key_known_rsa(key);
        break;

    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
        err = ngx_token_key_known_curve(key);
        break;

    default:
        err = "an unknown type of key";
    }

    if (err) {
        return ngx_token_key_refused(err);
    }

    ERR_clear_error();

    return NULL;
}


/*
 * A key of a curve that has parameters of its own instead of a name is not
 * known, and neither is a compressed point.
 */

static const char *
ngx_token_key_known_curve(ngx_token_key_t *key)
{
    int                           len;
    u_char                       *der;
    const char                   *err;
    const ngx_token_key_curve_t  *known;

    der = NULL;
    len = i2d_PUBKEY(key->pkey, &der);

    if (len <= 0) {
        return ngx_token_key_no_memory;
    }

    err = "an unknown curve, or form of a point";

    for (known = ngx_token_key_curves; known->size; known++) {

        if ((size_t) len > known->spki.len
            && ngx_memcmp(der, known->spki.data, known->spki.len) == 0)
        {
            key->signature = 2 * known->size;
            key->algorithms = ngx_token_alg_bit(known->alg);

            err = (known->alg == NGX_TOKEN_ALG_ED25519
                   && ngx_token_key_is_small(der + known->spki.len))
                  ? ngx_token_key_small_order : NULL;
            break;
        }
    }

    OPENSSL_free(der);

    return err;
}


/* OpenSSL takes them, and anybody signs for them, as for an exponent of 1. */

static ngx_uint_t
ngx_token_key_is_small(const u_char *x)
{
    ngx_uint_t  i, n;

    n = sizeof(ngx_token_key_small) / sizeof(ngx_token_key_small[0]);

    for (i = 0; i < n; i++) {
        if (ngx_memcmp(x, ngx_token_key_small[i], 31) == 0
            && (x[31] & 0x7f) == ngx_token_key_small[i][31])
        {
            return 1;
        }
    }

    return 0;
}


static const char *
ngx_token_key_known_rsa(ngx_token_key_t *key)
{
    int            len, tag, class;
    long           size;
    u_char        *der;
    ngx_str_t      n, e;
    const char    *err;
    const u_char  *p, *last;

    der = NULL;
    len = i2d_PublicKey(key->pkey, &der);

    if (len <= 0) {
        return ngx_token_key_no_memory;
    }

    p = der;
    last = der + len;

    if ((ASN1_get_object(&p, &size, &tag, &class, len) & 0x80)
        || ngx_token_key_integer(&p, last, &n) != NGX_OK
        || ngx_token_key_integer(&p, last, &e) != NGX_OK)
    {
        err = "not a key";

    } else {
        key->signature = n.len;
        err = ngx_token_key_sane_rsa(&n, &e);
    }

    OPENSSL_free(der);

    return err;
}


static ngx_int_t
ngx_token_key_integer(const u_char **p, const u_char *last, ngx_str_t *number)
{
    int   tag, class;
    long  size;

    if ((ASN1_get_object(p, &size, &tag, &class, last - *p) & 0x80)
        || tag != V_ASN1_INTEGER)
    {
        return NGX_ERROR;
    }

    number->data = (u_char *) *p;
    number->len = size;
    *p += size;

    ngx_token_key_trim(number);

    return NGX_OK;
}


static const char *
ngx_token_key_sane_rsa(const ngx_str_t *n, const ngx_str_t *e)
{
    if (n->len < NGX_TOKEN_KEY_RSA_MIN / 8
        || (n->len == NGX_TOKEN_KEY_RSA_MIN / 8 && !(n->data[0] & 0x80)))
    {
        return "an RSA key of less than 2048 bits";
    }

    if (n->len > NGX_TOKEN_KEY_RSA_MAX / 8) {
        return "an RSA key of more than 8192 bits";
    }

    if (!(n->data[n->len - 1] & 1)) {
        return "an even RSA modulus";
    }

    /* with 1 everything is a signature of itself */

    if (e->len == 0
        || e->len > NGX_TOKEN_KEY_EXPONENT
        || !(e->data[e->len - 1] & 1)
        || (e->len == 1 && e->data[0] == 1))
    {
        return "an RSA exponent that is not odd, 3 or more, and below 2^64";
    }

    return NULL;
}


/* DER: a value of up to 65535 bytes; an integer stays positive. */

static u_char *
ngx_token_key_put(u_char *p, u_char tag, const ngx_str_t *value)
{
    size_t      len;
    ngx_uint_t  zero;

    zero = (tag == 0x02 && (value->data[0] & 0x80));
    len = value->len + zero;

    *p++ = tag;

    if (len > 255) {
        *p++ = 0x82;
        *p++ = (u_char) (len >> 8);

    } else if (len > 127) {
        *p++ = 0x81;
    }

    *p++ = (u_char) len;

    if (zero) {
        *p++ = 0;
    }

    return ngx_cpymem(p, value->data, value->len);
}


static void
ngx_token_key_trim(ngx_str_t *number)
{
    while (number->len && *number->data == 0) {
        number->data++;
        number->len--;
    }
}


/*
 * OpenSSL does not always say that there was no memory: its decoders drop what
 * they failed for.  So each key is tried twice, and then one that is known to
 * be good: if that is refused, too, it is not for the key.
 */

const char *
ngx_token_key_refused(const char *reason)
{
    ngx_uint_t  starved;

    starved = ngx_token_key_starved() || !ngx_token_key_decodes();

    ERR_clear_error();

    return starved ? ngx_token_key_no_memory : reason;
}


static ngx_uint_t
ngx_token_key_decodes(void)
{
    u_char         der[NGX_TOKEN_KEY_SPKI + 2 * NGX_TOKEN_KEY_POINT];
    u_char        *last;
    EVP_PKEY      *pkey;
    const u_char  *p;

    last = ngx_cpymem(der, ngx_token_key_curves[0].spki.data,
                      ngx_token_key_curves[0].spki.len);
    last = ngx_cpymem(last, ngx_token_key_generator,
                      sizeof(ngx_token_key_generator));

    p = der;
    pkey = d2i_PUBKEY(NULL, &p, last - der);

    EVP_PKEY_free(pkey);

    return pkey != NULL;
}
