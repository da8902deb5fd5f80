
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_rate.h"


static u_char *ngx_limiter_rate_number(u_char *p, u_char *last, uint64_t *n);
static uint64_t ngx_limiter_rate_unit(u_char ch);


ngx_int_t
ngx_limiter_rate_parse(ngx_str_t *text, ngx_limiter_rate_t *rate,
    const char **err)
{
    u_char    *p, *last;
    uint64_t   limit, count, unit;

    p = text->data;
    last = p + text->len;

    *err = "expected a number, \"r/\" and a time: 60r/m, 1000r/30s";

    p = ngx_limiter_rate_number(p, last, &limit);

    if (p == NULL || last - p < 3 || p[0] != 'r' || p[1] != '/') {
        return NGX_ERROR;
    }

    p += 2;
    count = 1;

    if (*p >= '0' && *p <= '9') {
        p = ngx_limiter_rate_number(p, last, &count);

        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    if (last - p != 1) {
        return NGX_ERROR;
    }

    unit = ngx_limiter_rate_unit(*p);

    if (unit == 0) {
        *err = "the unit of time must be s, m, h or d";
        return NGX_ERROR;
    }

    if (count == 0 || count > NGX_LIMITER_MAX_PERIOD / unit) {
        *err = "the window must be from 1s to 31d";
        return NGX_ERROR;
    }

    if (limit > count * unit / 1000 * NGX_LIMITER_MAX_PER_SEC) {
        *err = NGX_LIMITER_RATE_RANGE;
        return NGX_ERROR;
    }

    rate->limit = limit;
    rate->period = count * unit;

    return NGX_OK;
}


/*
 * 15 digits are below 2^53 and more than any bound: no sum of them overflows.
 */

static u_char *
ngx_limiter_rate_number(u_char *p, u_char *last, uint64_t *n)
{
    u_char  *start;

    start = p;
    *n = 0;

    while (p < last && *p >= '0' && *p <= '9') {

        if (p - start == 15) {
            return NULL;
        }

        *n = *n * 10 + (*p++ - '0');
    }

    return (p == start) ? NULL : p;
}


static uint64_t
ngx_limiter_rate_unit(u_char ch)
{
    switch (ch) {

    case 's':
        return 1000;

    case 'm':
        return 60 * 1000;

    case 'h':
        return 60 * 60 * 1000;

    case 'd':
        return 24 * 60 * 60 * 1000;

    default:
        return 0;
    }
}
