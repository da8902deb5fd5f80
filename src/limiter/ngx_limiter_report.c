
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_report.h"


static void ngx_limiter_report_rate(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item, ngx_uint_t i,
    const ngx_limiter_share_t *share);
static const ngx_limiter_share_t *ngx_limiter_report_share(
    const ngx_limiter_item_t *item);
static u_char *ngx_limiter_report_write(u_char *p,
    const ngx_limiter_zone_t *zone, uint64_t period);


void
ngx_limiter_report_passed(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item)
{
    ngx_uint_t                  i;
    const ngx_limiter_share_t  *share;

    share = ngx_limiter_report_share(item);

    i = ngx_limiter_state_tightest(&item->state, item->policy, 0, item->now,
                                   share);

    ngx_limiter_report_rate(report, item, i, share);

    report->end = item->now + ngx_limiter_state_reset(&item->state,
                                                      item->policy, i,
                                                      item->now);
}


void
ngx_limiter_report_rejected(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item)
{
    uint64_t                    ms;
    ngx_uint_t                  i;
    const ngx_limiter_share_t  *share;

    share = ngx_limiter_report_share(item);

    i = ngx_limiter_state_tightest(&item->state, item->policy, item->need,
                                   item->now, share);

    ngx_limiter_report_rate(report, item, i, share);

    ms = ngx_limiter_state_retry(&item->state, item->policy, i, item->need,
                                 item->now, share);

    report->end = (ms == NGX_LIMITER_NEVER) ? NGX_LIMITER_NEVER
                                            : item->now + ms;
}


static void
ngx_limiter_report_rate(ngx_limiter_report_t *report,
    const ngx_limiter_item_t *item, ngx_uint_t i,
    const ngx_limiter_share_t *share)
{
    report->zone = item->zone;
    report->rate = i;
    report->limit = item->policy->rates[i].limit;
    report->period = item->policy->rates[i].period;
    report->remaining = ngx_limiter_state_rate_room(&item->state, item->policy,
                                                    i, item->now, share);
}


void
ngx_limiter_report_closer(ngx_limiter_report_t *report,
    const ngx_limiter_report_t *found)
{
    if (report->zone == NULL
        || found->remaining < report->remaining
        || (found->remaining == report->remaining && found->end > report->end))
    {
        *report = *found;
    }
}


void
ngx_limiter_report_longer(ngx_limiter_report_t *report,
    const ngx_limiter_report_t *found)
{
    if (report->zone == NULL || found->end > report->end) {
        *report = *found;
    }
}


ngx_uint_t
ngx_limiter_report_refused(const ngx_limiter_item_t *item)
{
    ngx_uint_t                  i, set;
    const ngx_limiter_share_t  *share;

    share = ngx_limiter_report_share(item);
    set = 0;

    for (i = 0; i < item->policy->nrates; i++) {
        if (ngx_limiter_state_rate_room(&item->state, item->policy, i,
                                        item->now, share)
            < item->need)
        {
            set |= (ngx_uint_t) 1 << i;
        }
    }

    return set;
}


static const ngx_limiter_share_t *
ngx_limiter_report_share(const ngx_limiter_item_t *item)
{
    return (item->local && item->share.hosts) ? &item->share : NULL;
}


ngx_int_t
ngx_limiter_report_name(const ngx_limiter_zone_t *zone, uint64_t period,
    ngx_pool_t *pool, ngx_str_t *name)
{
    name->data = ngx_pnalloc(pool, zone->name.len + NGX_LIMITER_REPORT_PERIOD);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    name->len = ngx_limiter_report_write(name->data, zone, period)
                - name->data;

    return NGX_OK;
}


static u_char *
ngx_limiter_report_write(u_char *p, const ngx_limiter_zone_t *zone,
    uint64_t period)
{
    u_char      ch;
    ngx_uint_t  i;

    for (i = 0; i < zone->name.len; i++) {
        ch = zone->name.data[i];
        *p++ = (ch < ' ' || ch > '~') ? '_' : ch;
    }

    return ngx_limiter_report_suffix(p, zone, period);
}


u_char *
ngx_limiter_report_suffix(u_char *p, const ngx_limiter_zone_t *zone,
    uint64_t period)
{
    ngx_uint_t  i;

    static struct {
        uint64_t  seconds;
        u_char    unit;
    } units[] = {
        { 24 * 60 * 60, 'd' }, { 60 * 60, 'h' }, { 60, 'm' }, { 1, 's' }
    };

    if (!zone->several) {
        return p;
    }

    period /= 1000;

    for (i = 0; period % units[i].seconds; i++) { /* void */ }

    return ngx_sprintf(p, "-%uL%c", period / units[i].seconds, units[i].unit);
}


uint64_t
ngx_limiter_report_reset(const ngx_limiter_report_t *report, uint64_t now)
{
    if (report->end <= now || report->end == NGX_LIMITER_NEVER) {
        return 0;
    }

    return (report->end - now + 999) / 1000;
}
