
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_ecdsa.h"


static ngx_str_t *ngx_token_ecdsa_order(ngx_token_alg_e alg);
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

static ngx_str_t  ngx_token_ecdsa_orders[] = {
    { sizeof(ngx_token_ecdsa_order_256), ngx_token_ecdsa_order_256 },
    { sizeof(ngx_token_ecdsa_order_384), ngx_token_ecdsa_order_384 },
    { sizeof(ngx_token_ecdsa_order_521), ngx_token_ecdsa_order_521 }
};


ngx_int_t
ngx_token_ecdsa_der(ngx_token_alg_e alg, const ngx_str_t *signature,
    ngx_str_t *der)
{
    u_char     *p, *s, body[NGX_TOKEN_ECDSA_DER_MAX];
    size_t      len;
    ngx_str_t  *order;

    order = ngx_token_ecdsa_order(alg);

    if (signature->len != 2 * order->len) {
        return NGX_DECLINED;
    }

    s = signature->data + order->len;

    if (!ngx_token_ecdsa_within(signature->data, order)
        || !ngx_token_ecdsa_within(s, order))
    {
        return NGX_DECLINED;
    }

    p = ngx_token_ecdsa_integer(body, signature->data, order->len);
    p = ngx_token_ecdsa_integer(p, s, order->len);
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


void
ngx_token_ecdsa_twin(ngx_token_alg_e alg, const ngx_str_t *signature,
    u_char *twin)
{
    u_char      *s;
    size_t       i;
    ngx_int_t    digit;
    ngx_str_t   *order;
    ngx_uint_t   borrow;

    order = ngx_token_ecdsa_order(alg);

    ngx_memcpy(twin, signature->data, order->len);

    s = signature->data + order->len;
    twin += order->len;
    borrow = 0;

    for (i = order->len; i-- > 0; /* void */ ) {
        digit = (ngx_int_t) order->data[i] - s[i] - (ngx_int_t) borrow;
        borrow = (digit < 0);
        twin[i] = (u_char) (digit + (borrow ? 256 : 0));
    }
}


static ngx_str_t *
ngx_token_ecdsa_order(ngx_token_alg_e alg)
{
    return &ngx_token_ecdsa_orders[alg - NGX_TOKEN_ALG_ES256];
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
