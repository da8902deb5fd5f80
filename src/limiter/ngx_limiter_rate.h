
/*
 * Copyright (C) The Optcache authors
 */


/*
 * "60r/m" as numbers.  Pure: no request, no clock, no memory of its own.
 */


#ifndef _NGX_LIMITER_RATE_H_INCLUDED_
#define _NGX_LIMITER_RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* rates on one zone, and rules on one location */
#define NGX_LIMITER_MAX_RATES    8
#define NGX_LIMITER_MAX_ZONES    16

/* the longest window, and what one second of any window may admit */
#define NGX_LIMITER_MAX_PERIOD   ((uint64_t) 31 * 24 * 60 * 60 * 1000)
#define NGX_LIMITER_MAX_PER_SEC  1000000


/*
 * A rate admits "limit" units in any window of "period" milliseconds.  The
 * bounds above keep both, and their sums, below 2^53: whoever counts in
 * doubles, as the Lua of Redis does, counts exactly.
 */

typedef struct {
    uint64_t                  limit;
    uint64_t                  period;    /* ms */
} ngx_limiter_rate_t;


/*
 * Parses N "r/" [M] unit, where the unit is s, m, h or d: 100r/s, 60r/m,
 * 1000r/30s.  0r/m admits nothing; who does not want that refuses it.  Returns
 * NGX_OK, or NGX_ERROR with *err set to a static C string that says what is
 * wrong.
 */

#define NGX_LIMITER_RATE_RANGE                                                \
    "the rate must be from 1 request per window to 1000000 requests per "     \
    "second"

ngx_int_t ngx_limiter_rate_parse(ngx_str_t *text, ngx_limiter_rate_t *rate,
    const char **err);


#endif /* _NGX_LIMITER_RATE_H_INCLUDED_ */
