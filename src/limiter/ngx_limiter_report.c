
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
    uint64_t                    ms;
    ngx_uint_t                  i;
    const ngx_limiter_share_t  *share;

    share = (item->local && item->share.hosts) ? &item->share : NULL;

    i = ngx_limiter_state_tightest(&item->state, item->policy,
                                   busy ? item->need : 0, item->now, share);

    report->zone = item->zone;
    report->rate = i;
    report->limit = item->policy->rates[i].limit;
    report->period = item->policy->rates[i].period;
    report->remaining = ngx_limiter_state_rate_room(&item->state, item->policy,
                                                    i, item->now, share);

    if (busy) {
        ms = ngx_limiter_state_retry(&item->state, item->policy, i, item->need,
                                     item->now, share);

    } else {
        ms = ngx_limiter_state_reset(&item->state, item->policy, i,
                                     item->now);
    }

    report->end = (ms == NGX_LIMITER_NEVER) ? NGX_LIMITER_NEVER
                                            : item->now + ms;
}


uint64_t
ngx_limiter_report_reset(const ngx_limiter_report_t *report, uint64_t now)
{
    if (report->end <= now) {
        return 0;
    }

    return (report->end - now + 999) / 1000;
}
