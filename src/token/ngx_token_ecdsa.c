
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_ecdsa.h"


typedef struct {
    ngx_str_t                alg;
    ngx_str_t                order;
} ngx_token_ecdsa_curve_t;


static ngx_uint_t ngx_token_ecdsa_valid(const ngx_str_t *signature,
    const ngx_str_t *order);
static ngx_uint_t ngx_token_ecdsa_within(const u_char *number,
    const ngx_str_t *order);
static u_char *ngx_token_ecdsa_integer(u_char *p, const u_char *number,
    size_t len);


/* FIPS 186-4, D.1.2: n of P-256, P-384 and P-521 */

static u_char  ngx_token_ecdsa_order_256[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
    0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51
};

static u_char  ngx_token_ecdsa_order_384[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58,
    0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a,
    0xcc, 0xc5, 0x29, 0x73
};

static u_char  ngx_token_ecdsa_order_521[] = {
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc,
    0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89,
    0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09
};

/* SEC 2, 2.4.1: n of secp256k1 */

static u_char  ngx_token_ecdsa_order_256k[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
    0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41
};

/* the first as in ngx_token_alg_e */

static ngx_token_ecdsa_curve_t  ngx_token_ecdsa_curves[] = {
    { ngx_string("ES256"), { 32, ngx_token_ecdsa_order_256 } },
    { ngx_string("ES384"), { 48, ngx_token_ecdsa_order_384 } },
    { ngx_string("ES512"), { 66, ngx_token_ecdsa_order_521 } },
    { ngx_string("ES256K"), { 32, ngx_token_ecdsa_order_256k } },
    { ngx_null_string, ngx_null_string }
};


ngx_int_t
ngx_token_ecdsa_der(ngx_token_alg_e alg, const ngx_str_t *signature,
    ngx_str_t *der)
{
    u_char     *p, body[NGX_TOKEN_ECDSA_DER_MAX];
    size_t      len;
    ngx_str_t  *order;

    order = &ngx_token_ecdsa_curves[alg - NGX_TOKEN_ALG_ES256].order;

    if (!ngx_token_ecdsa_valid(signature, order)) {
        return NGX_DECLINED;
    }

    p = ngx_token_ecdsa_integer(body, signature->data, order->len);
    p = ngx_token_ecdsa_integer(p, signature->data + order->len, order->len);
    len = p - body;

    p = der->data;
    *p++ = 0x30;

    if (len > 127) {
        *p++ = 0x81;
    }

    *p++ = (u_char) len;
    p = ngx_cpymem(p, body, len);

    der->len = p - der->data;

    return NGX_OK;
}


ngx_int_t
ngx_token_ecdsa_twin(const ngx_str_t *alg, const ngx_str_t *signature,
    u_char *twin)
{
    u_char                   *s;
    size_t                    i;
    ngx_int_t                 digit;
    ngx_str_t                *order;
    ngx_uint_t                borrow;
    ngx_token_ecdsa_curve_t  *curve;

    for (curve = ngx_token_ecdsa_curves; curve->alg.len; curve++) {
        if (curve->alg.len == alg->len
            && ngx_memcmp(curve->alg.data, alg->data, alg->len) == 0)
        {
            break;
        }
    }

    order = &curve->order;

    if (curve->alg.len == 0 || !ngx_token_ecdsa_valid(signature, order)) {
        return NGX_DECLINED;
    }

    ngx_memcpy(twin, signature->data, order->len);

    s = signature->data + order->len;
    twin += order->len;
    borrow = 0;

    for (i = order->len; i-- > 0; /* void */ ) {
        digit = (ngx_int_t) order->data[i] - s[i] - (ngx_int_t) borrow;
        borrow = (digit < 0);
        twin[i] = (u_char) (digit + (borrow ? 256 : 0));
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_token_ecdsa_valid(const ngx_str_t *signature, const ngx_str_t *order)
{
    return signature->len == 2 * order->len
           && ngx_token_ecdsa_within(signature->data, order)
           && ngx_token_ecdsa_within(signature->data + order->len, order);
}


/* 0 < number < order, both big-endian and equally long. */

static ngx_uint_t
ngx_token_ecdsa_within(const u_char *number, const ngx_str_t *order)
{
    size_t  i;

    if (ngx_memcmp(number, order->data, order->len) >= 0) {
        return 0;
    }

    for (i = 0; i < order->len; i++) {
        if (number[i]) {
            return 1;
        }
    }

    return 0;
}


/* DER: no more bytes than needed, and none that makes it negative. */

static u_char *
ngx_token_ecdsa_integer(u_char *p, const u_char *number, size_t len)
{
    while (len > 1 && *number == 0) {
        number++;
        len--;
    }

    *p++ = 0x02;

    if (*number & 0x80) {
        *p++ = (u_char) (len + 1);
        *p++ = 0;

    } else {
        *p++ = (u_char) len;
    }

    return ngx_cpymem(p, number, len);
}
