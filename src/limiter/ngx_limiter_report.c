
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_report.h"


static void ngx_limiter_report_item(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item, ngx_uint_t busy);


void
ngx_limiter_report_passed(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item)
{
    ngx_limiter_report_t  found;

    ngx_limiter_report_item(&found, item, 0);

    if (report->zone == NULL
        || found.remaining < report->remaining
        || (found.remaining == report->remaining && found.end > report->end))
    {
        *report = found;
    }
}


void
ngx_limiter_report_rejected(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item)
{
    ngx_limiter_report_t  found;

    ngx_limiter_report_item(&found, item, 1);

    if (report->zone == NULL || found.end > report->end) {
        *report = found;
    }
}


static void
ngx_limiter_report_item(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item, ngx_uint_t busy)
{
    ngx_uint_t           i;
    ngx_limiter_zone_t  *zone;

    zone = item->zone;

    i = ngx_limiter_window_tightest(item->windows, zone->rates, zone->nrates,
                                    item->cost, busy);

    report->zone = zone;
    report->limit = zone->rates[i].limit;
    report->period = zone->rates[i].period;
    report->remaining = ngx_limiter_window_remaining(&item->windows[i],
                                                     &zone->rates[i]);
    report->end = item->windows[i].end;
}


uint64_t
ngx_limiter_report_reset(const ngx_limiter_report_t *report, uint64_t now)
{
    if (report->end <= now) {
        return 0;
    }

    return (report->end - now + 999) / 1000;
}
