
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_state.h"


/* products stay below this, so that sums of two of them are exact doubles */
#define NGX_LIMITER_STATE_EXACT  ((uint64_t) 1 << 52)

#define ngx_limiter_state_sub(a, b)  (((a) > (b)) ? (a) - (b) : 0)


static const ngx_limiter_record_t *ngx_limiter_state_find(
    const ngx_limiter_state_t *from, uint64_t period);
static ngx_uint_t ngx_limiter_state_fixed(ngx_limiter_record_t *record,
    uint64_t now);
static ngx_uint_t ngx_limiter_state_sliding(ngx_limiter_record_t *record,
    uint64_t now);
static ngx_uint_t ngx_limiter_state_gcra(ngx_limiter_record_t *record,
    uint64_t limit, uint64_t now);
static void ngx_limiter_state_keep(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t now);
static uint64_t ngx_limiter_state_part(uint64_t units,
    const ngx_limiter_share_t *share);
static uint64_t ngx_limiter_state_sliding_room(
    const ngx_limiter_record_t *record, uint64_t limit, uint64_t left,
    const ngx_limiter_share_t *share);
static uint64_t ngx_limiter_state_gcra_room(const ngx_limiter_record_t *record,
    uint64_t burst, const ngx_limiter_share_t *share);
static uint64_t *ngx_limiter_state_counted(ngx_limiter_record_t *record,
    ngx_uint_t algorithm, uint64_t since, const ngx_limiter_share_t *share);
static uint64_t ngx_limiter_state_unleaked(const ngx_limiter_record_t *record,
    uint64_t limit, uint64_t level, uint64_t since);


ngx_int_t
ngx_limiter_policy_check(ngx_uint_t algorithm, uint64_t burst,
    const ngx_limiter_rate_t *rate, const char **err)
{
    if (algorithm == NGX_LIMITER_SLIDING_WINDOW
        && rate->limit >= NGX_LIMITER_STATE_EXACT / rate->period)
    {
        *err = "the rate is too large for a sliding window of this length";
        return NGX_ERROR;
    }

    if (algorithm == NGX_LIMITER_GCRA
        && burst >= NGX_LIMITER_MAX_COUNT / rate->period / 2)
    {
        *err = "the burst is too large for a rate of this period";
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_limiter_state_open(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t now)
{
    uint64_t                     period;
    ngx_uint_t                   i, kept, stepped;
    ngx_limiter_record_t        *record;
    const ngx_limiter_record_t  *found;

    stepped = 0;
    kept = from->n;
    state->n = policy->nrates;

    for (i = 0; i < policy->nrates; i++) {

        period = policy->rates[i].period;
        record = &state->records[i];
        found = &from->records[i];

        if (i >= from->n || found->period != period) {
            found = ngx_limiter_state_find(from, period);
        }

        if (found) {
            *record = *found;
            kept--;

        } else {
            ngx_memzero(record, sizeof(ngx_limiter_record_t));
            record->period = period;
        }

        switch (policy->algorithm) {

        case NGX_LIMITER_FIXED_WINDOW:
            stepped |= ngx_limiter_state_fixed(record, now);
            break;

        case NGX_LIMITER_SLIDING_WINDOW:
            stepped |= ngx_limiter_state_sliding(record, now);
            break;

        default: /* NGX_LIMITER_GCRA */
            stepped |= ngx_limiter_state_gcra(record, policy->rates[i].limit,
                                              now);
        }
    }

    if (kept) {
        ngx_limiter_state_keep(state, policy, from, now);
    }

    return stepped;
}


static const ngx_limiter_record_t *
ngx_limiter_state_find(const ngx_limiter_state_t *from, uint64_t period)
{
    ngx_uint_t  i;

    for (i = 0; i < from->n; i++) {
        if (from->records[i].period == period) {
            return &from->records[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_limiter_state_fixed(ngx_limiter_record_t *record, uint64_t now)
{
    if (record->time <= now) {
        record->time = now + record->period;
        record->used = 0;
        record->own = 0;
        record->told = 0;

        return 0;
    }

    if (record->time > now + record->period) {
        record->time = now + record->period;
        return 1;
    }

    return 0;
}


static ngx_uint_t
ngx_limiter_state_sliding(ngx_limiter_record_t *record, uint64_t now)
{
    if (record->time > now + record->period) {
        record->time = now + record->period;
        return 1;
    }

    if (record->time > now) {
        return 0;
    }

    /* a new record has no time; a clock may have begun less than that ago */

    if (record->time && now - record->time < record->period) {
        record->time += record->period;
        record->prev = record->used;
        record->own_prev = record->own;
        record->prev_told = (record->told != 0);

        if (record->told < record->own) {

            /* Redis is to be told of the rest, and of no more */

            record->prev += record->told;
            record->own_prev -= record->told;
            record->prev_told = 0;
        }

    } else {
        record->time = now + record->period;
        record->prev = 0;
        record->own_prev = 0;
        record->prev_told = 0;
    }

    record->used = 0;
    record->own = 0;
    record->told = 0;

    return 0;
}


static ngx_uint_t
ngx_limiter_state_gcra(ngx_limiter_record_t *record, uint64_t limit,
    uint64_t now)
{
    uint64_t  elapsed, leak;

    if (record->time > now) {
        record->time = now;
        return (record->used || record->own) ? 1 : 0;
    }

    elapsed = now - record->time;
    record->time = now;

    if (record->used == 0 && record->own == 0) {
        return 0;
    }

    /* neither of the levels is above 2^48: no leak need be, either */

    if (limit && elapsed > 2 * NGX_LIMITER_MAX_COUNT / limit) {
        leak = 2 * NGX_LIMITER_MAX_COUNT;

    } else {
        leak = elapsed * limit;
    }

    if (leak < record->used) {
        record->used -= leak;
        return 0;
    }

    leak -= record->used;

    record->used = 0;
    record->own = ngx_limiter_state_sub(record->own, leak);

    /* what leaks in Redis is what it was told of */

    record->told = ngx_limiter_state_sub(record->told, leak);

    return 0;
}


/* those of other periods; nobody knows how a level among them leaks */

static void
ngx_limiter_state_keep(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t now)
{
    uint64_t                     end;
    ngx_uint_t                   i, k;
    const ngx_limiter_record_t  *record;

    for (i = 0; i < from->n; i++) {
        record = &from->records[i];

        for (k = 0; k < policy->nrates; k++) {
            if (policy->rates[k].period == record->period) {
                break;
            }
        }

        if (k < policy->nrates || state->n == NGX_LIMITER_MAX_RATES) {
            continue;
        }

        end = record->time;

        if (policy->algorithm != NGX_LIMITER_FIXED_WINDOW) {
            end += record->period;
        }

        if (end > now) {
            state->records[state->n++] = *record;
        }
    }
}


uint64_t
ngx_limiter_state_room(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t now,
    const ngx_limiter_share_t *share)
{
    uint64_t    room, least;
    ngx_uint_t  i;

    least = NGX_LIMITER_MAX_COUNT;

    for (i = 0; i < policy->nrates; i++) {
        room = ngx_limiter_state_rate_room(state, policy, i, now, share);
        least = ngx_min(least, room);
    }

    return least;
}


uint64_t
ngx_limiter_state_rate_room(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t now,
    const ngx_limiter_share_t *share)
{
    uint64_t                     limit, left;
    const ngx_limiter_record_t  *record;

    record = &state->records[i];
    limit = policy->rates[i].limit;

    switch (policy->algorithm) {

    case NGX_LIMITER_FIXED_WINDOW:

        if (share == NULL) {
            return ngx_limiter_state_sub(limit, record->used + record->own);
        }

        left = ngx_limiter_state_sub(limit, record->used);

        return ngx_limiter_state_sub(ngx_limiter_state_part(left, share),
                                     record->own);

    case NGX_LIMITER_SLIDING_WINDOW:
        left = ngx_limiter_state_sub(record->time, now);

        return ngx_limiter_state_sliding_room(record, limit, left, share);

    default: /* NGX_LIMITER_GCRA */

        if (limit == 0) {
            return 0;
        }

        return ngx_limiter_state_gcra_room(record, policy->burst, share);
    }
}


/* this host's part of some units: those left over go by rank */

static uint64_t
ngx_limiter_state_part(uint64_t units, const ngx_limiter_share_t *share)
{
    return units / share->hosts
           + (share->rank < units % share->hosts ? 1 : 0);
}


static uint64_t
ngx_limiter_state_sliding_room(const ngx_limiter_record_t *record,
    uint64_t limit, uint64_t left, const ngx_limiter_share_t *share)
{
    uint64_t  period, total, own;

    period = record->period;

    total = ngx_limiter_state_sub(limit * period,
                                  record->used * period + record->prev * left);
    own = record->own * period + record->own_prev * left;

    if (share && share->hosts > 1) {
        total = ngx_limiter_state_part(total / period, share) * period;
    }

    return ngx_limiter_state_sub(total, own) / period;
}


static uint64_t
ngx_limiter_state_gcra_room(const ngx_limiter_record_t *record, uint64_t burst,
    const ngx_limiter_share_t *share)
{
    uint64_t  unit, total;

    unit = record->period;
    total = ngx_limiter_state_sub((burst + 1) * unit, record->used);

    if (share) {
        unit *= share->hosts;
        total = (record->used == 0) ? ngx_max(total, unit) : total;
    }

    return ngx_limiter_state_sub(total, record->own) / unit;
}


void
ngx_limiter_state_count(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units,
    const ngx_limiter_share_t *share)
{
    uint64_t    n, max, *count;
    ngx_uint_t  i;

    for (i = 0; i < policy->nrates; i++) {

        count = share ? &state->records[i].own : &state->records[i].used;

        n = ngx_limiter_state_units(policy, i, units,
                                    share ? share->hosts : 1);
        max = ngx_limiter_state_max(policy->algorithm,
                                    policy->rates[i].period);

        *count = ngx_min(*count + n, max);
    }
}


void
ngx_limiter_state_uncount(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units)
{
    uint64_t    n;
    ngx_uint_t  i;

    for (i = 0; i < policy->nrates; i++) {
        n = ngx_limiter_state_units(policy, i, units, 1);

        state->records[i].used = ngx_limiter_state_sub(state->records[i].used,
                                                       n);
    }
}


void
ngx_limiter_state_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, uint64_t kept,
    uint64_t since, const ngx_limiter_share_t *share)
{
    uint64_t               n, left, *count;
    ngx_uint_t             i, hosts;
    ngx_limiter_record_t  *record;

    hosts = share ? share->hosts : 1;

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];

        count = ngx_limiter_state_counted(record, policy->algorithm, since,
                                          share);
        if (count == NULL) {
            continue;
        }

        n = ngx_limiter_state_units(policy, i, units, hosts);

        if (policy->algorithm == NGX_LIMITER_GCRA) {
            left = ngx_limiter_state_unleaked(record, policy->rates[i].limit,
                          ngx_limiter_state_units(policy, i, units + kept,
                                                  hosts),
                          since);
            n = ngx_min(n, left);
        }

        /* what Redis counts is for it to give back */

        left = *count;

        if (count == &record->own) {
            left -= record->told;

        } else if (count == &record->own_prev && record->prev_told) {
            left = 0;
        }

        *count -= ngx_min(n, left);
    }
}


/* where units are that were counted then; NULL if they count no more */

static uint64_t *
ngx_limiter_state_counted(ngx_limiter_record_t *record, ngx_uint_t algorithm,
    uint64_t since, const ngx_limiter_share_t *share)
{
    if (algorithm == NGX_LIMITER_GCRA
        || since + record->period >= record->time)
    {
        return share ? &record->own : &record->used;
    }

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW
        && since + 2 * record->period >= record->time)
    {
        return share ? &record->own_prev : &record->prev;
    }

    return NULL;
}


/* what is left of a level if it alone has leaked */

static uint64_t
ngx_limiter_state_unleaked(const ngx_limiter_record_t *record, uint64_t limit,
    uint64_t level, uint64_t since)
{
    uint64_t  elapsed;

    elapsed = ngx_limiter_state_sub(record->time, since);

    if (limit && elapsed > level / limit) {
        return 0;
    }

    return level - elapsed * limit;
}


uint64_t
ngx_limiter_state_units(const ngx_limiter_policy_t *policy, ngx_uint_t i,
    uint64_t units, ngx_uint_t hosts)
{
    uint64_t  unit;

    if (policy->algorithm != NGX_LIMITER_GCRA) {
        return ngx_min(units, NGX_LIMITER_MAX_COUNT);
    }

    unit = policy->rates[i].period * hosts;

    return (units > NGX_LIMITER_MAX_COUNT / unit) ? NGX_LIMITER_MAX_COUNT
                                                  : units * unit;
}


uint64_t
ngx_limiter_state_max(ngx_uint_t algorithm, uint64_t period)
{
    return (algorithm == NGX_LIMITER_SLIDING_WINDOW)
           ? NGX_LIMITER_STATE_EXACT / period : NGX_LIMITER_MAX_COUNT;
}
