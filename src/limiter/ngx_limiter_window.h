
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The arithmetic of fixed_window.  A window opens at the subject's first
 * request, lasts for the period of its rate and admits the rate's limit;
 * whoever comes after its end opens the next one.  The Lua text in
 * ngx_limiter_script.c does the same in Redis.
 *
 * Pure: time is an argument, in milliseconds of any clock, as long as it is
 * the same one for the same windows.
 */


#ifndef _NGX_LIMITER_WINDOW_H_INCLUDED_
#define _NGX_LIMITER_WINDOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_rate.h"


typedef struct {
    uint64_t                  period;    /* ms, tells whose window it is */
    uint64_t                  end;       /* ms, the first one outside */
    uint64_t                  used;
} ngx_limiter_window_t;


/*
 * Fills "w", one window for each of the "n" rates, with what "from" holds at
 * the time "now": windows are found by their period, so that what was used
 * stays used when the rates of a zone change; one that has ended, or was not
 * there, is opened anew.  A clock that stepped back never makes a window end
 * later than one period from now.
 */

void ngx_limiter_window_open(ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n,
    const ngx_limiter_window_t *from, ngx_uint_t nfrom, uint64_t now);

/* NGX_OK if every rate has room for "cost" units more, else NGX_BUSY. */

ngx_int_t ngx_limiter_window_check(const ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n, uint64_t cost);

void ngx_limiter_window_count(ngx_limiter_window_t *w, ngx_uint_t n,
    uint64_t cost);

/*
 * The index of the rate to tell the client about.  The one closest to
 * exhaustion, the one that ends later if two are equally close; if "cost"
 * does not fit ("busy"), the one among those that refuse it that ends last.
 */

ngx_uint_t ngx_limiter_window_tightest(const ngx_limiter_window_t *w,
    const ngx_limiter_rate_t *rates, ngx_uint_t n, uint64_t cost,
    ngx_uint_t busy);


#define ngx_limiter_window_remaining(w, rate)                                 \
    (((rate)->limit > (w)->used) ? (rate)->limit - (w)->used : 0)


#endif /* _NGX_LIMITER_WINDOW_H_INCLUDED_ */
