
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_window.h"


void
ngx_limiter_window_open(ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n,
    const ngx_limiter_window_t *from, ngx_uint_t nfrom, uint64_t now)
{
    ngx_uint_t  i, k;

    for (i = 0; i < n; i++) {

        w[i].period = rates[i].period;
        w[i].end = now + rates[i].period;
        w[i].used = 0;

        for (k = 0; k < nfrom; k++) {

            if (from[k].period != rates[i].period || from[k].end <= now) {
                continue;
            }

            w[i].used = from[k].used;

            if (from[k].end < w[i].end) {
                w[i].end = from[k].end;
            }

            break;
        }
    }
}


ngx_int_t
ngx_limiter_window_check(const ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n, uint64_t cost)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (w[i].used + cost > rates[i].limit) {
            return NGX_BUSY;
        }
    }

    return NGX_OK;
}


void
ngx_limiter_window_count(ngx_limiter_window_t *w, ngx_uint_t n, uint64_t cost)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        w[i].used += cost;
    }
}


ngx_uint_t
ngx_limiter_window_tightest(const ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n, uint64_t cost,
    ngx_uint_t busy)
{
    uint64_t    left, least;
    ngx_uint_t  i, best;

    best = n;
    least = 0;

    for (i = 0; i < n; i++) {

        if (busy) {
            if (w[i].used + cost <= rates[i].limit) {
                continue;
            }

            left = 0;

        } else {
            left = ngx_limiter_window_remaining(&w[i], &rates[i]);
        }

        if (best == n
            || left < least
            || (left == least && w[i].end > w[best].end))
        {
            best = i;
            least = left;
        }
    }

    return (best == n) ? 0 : best;
}
