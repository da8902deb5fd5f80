
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Of all rates of all zones that a request met, the one to tell about.  Pure.
 */


#ifndef _NGX_LIMITER_REPORT_H_INCLUDED_
#define _NGX_LIMITER_REPORT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_item.h"


typedef struct {
    ngx_limiter_zone_t       *zone;      /* NULL: nothing to tell */
    ngx_uint_t                rate;      /* index of it in the policy */
    uint64_t                  limit;
    uint64_t                  remaining;
    uint64_t                  period;    /* ms */
    uint64_t                  end;       /* ms, ngx_limiter_local_now() */
} ngx_limiter_report_t;


/*
 * Takes in the rate of a passed item that is closest to exhaustion, if it is
 * closer than the one reported; the later end wins if both are equally close.
 */

void ngx_limiter_report_passed(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item);

/* Takes in the rate that refuses the item for longest, if it is longer. */

void ngx_limiter_report_rejected(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item);

/* Seconds until the window ends, rounded up; 0 when it has ended. */

uint64_t ngx_limiter_report_reset(const ngx_limiter_report_t *report,
    uint64_t now);


#endif /* _NGX_LIMITER_REPORT_H_INCLUDED_ */
