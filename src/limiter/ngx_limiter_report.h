
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


/* bytes that a name has beyond its zone's, at most: "-2678400s" */
#define NGX_LIMITER_REPORT_PERIOD  24


typedef struct {
    ngx_limiter_zone_t       *zone;      /* NULL: nothing to tell */
    ngx_uint_t                rate;      /* index of it in the policy */
    uint64_t                  limit;
    uint64_t                  remaining;
    uint64_t                  period;    /* ms */
    uint64_t                  end;       /* ms, ngx_limiter_local_now(): until
                                            nothing that was used counts, or
                                            it may be tried again; or
                                            NGX_LIMITER_NEVER */
} ngx_limiter_report_t;


/*
 * _passed(): the rate of a passed item that is closest to exhaustion, the one
 * that ends later if two are equally close.  _rejected(): the rate that refuses
 * the item for longest.
 */

void ngx_limiter_report_passed(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item);
void ngx_limiter_report_rejected(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item);

/*
 * Of what was reported of several items: takes the one found if it is closer
 * to exhaustion, or refuses for longer.
 */

void ngx_limiter_report_closer(ngx_limiter_report_t *report,
    const ngx_limiter_report_t *found);
void ngx_limiter_report_longer(ngx_limiter_report_t *report,
    const ngx_limiter_report_t *found);

/* Seconds until the end, rounded up; 0 when it is over or will never be. */

uint64_t ngx_limiter_report_reset(const ngx_limiter_report_t *report,
    uint64_t now);

/* The rates that refuse an item, which is rejected: a bit for each of them. */

ngx_uint_t ngx_limiter_report_refused(const ngx_limiter_item_t *item);

/*
 * The name of a policy: the zone's if it has one rate, else with the rate's
 * time behind it: "api-1m", "api-30s".  What a string of structured fields
 * cannot hold (RFC 9651, 3.3.3) is replaced by "_".  It is from the pool;
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_limiter_report_name(const ngx_limiter_zone_t *zone,
    uint64_t period, ngx_pool_t *pool, ngx_str_t *name);

/* The part behind the zone's name. */

u_char *ngx_limiter_report_suffix(u_char *p, const ngx_limiter_zone_t *zone,
    uint64_t period);


#endif /* _NGX_LIMITER_REPORT_H_INCLUDED_ */
