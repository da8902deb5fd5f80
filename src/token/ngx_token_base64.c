
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_base64.h"


/* RFC 4648, 5; 64 is no character of it */

static u_char  ngx_token_base64_values[] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
    64,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64
};


ngx_int_t
ngx_token_base64_decode(const ngx_str_t *text, ngx_str_t *dst)
{
    u_char      *p, *last, *d, value;
    uint32_t    word;
    ngx_uint_t  bits;

    d = dst->data;
    p = text->data;
    last = p + text->len;
    word = 0;
    bits = 0;

    for ( /* void */ ; p < last; p++) {

        value = (*p < 128) ? ngx_token_base64_values[*p] : 64;

        if (value == 64) {
            return NGX_ERROR;
        }

        word = (word << 6 | value) & 0xffff;
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            *d++ = (u_char) (word >> bits);
        }
    }

    /* one character alone is less than a byte; 2 or 4 bits may be over */

    if (bits == 6 || (word & ((1 << bits) - 1))) {
        return NGX_ERROR;
    }

    dst->len = d - dst->data;

    return NGX_OK;
}


void
ngx_token_base64_encode(const ngx_str_t *src, u_char *text)
{
    ngx_str_t  from, to;

    from = *src;
    to.data = text;

    ngx_encode_base64url(&to, &from);
}
