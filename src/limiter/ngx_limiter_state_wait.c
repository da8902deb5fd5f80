
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the arithmetic of ngx_limiter_state.h tells those who have to wait.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_state.h"


#define ngx_limiter_state_sub(a, b)  (((a) > (b)) ? (a) - (b) : 0)


static uint64_t ngx_limiter_state_sliding_retry(
    const ngx_limiter_record_t *record, uint64_t limit, uint64_t need,
    uint64_t left);
static uint64_t ngx_limiter_state_most(const ngx_limiter_policy_t *policy,
    ngx_uint_t i, const ngx_limiter_share_t *share);
static uint64_t ngx_limiter_state_search(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t need,
    uint64_t now, const ngx_limiter_share_t *share);
static uint64_t ngx_limiter_state_ceil(uint64_t a, uint64_t b);


uint64_t
ngx_limiter_state_retry(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t need,
    uint64_t now, const ngx_limiter_share_t *share)
{
    const ngx_limiter_rate_t    *rate;
    const ngx_limiter_record_t  *record;

    rate = &policy->rates[i];
    record = &state->records[i];

    if (rate->limit == 0 || need > ngx_limiter_policy_capacity(policy, i)) {
        return NGX_LIMITER_NEVER;
    }

    if (ngx_limiter_state_rate_room(state, policy, i, now, share) >= need) {
        return 0;
    }

    if (share && ngx_limiter_state_most(policy, i, share) < need) {
        return NGX_LIMITER_NEVER;
    }

    if (policy->algorithm == NGX_LIMITER_FIXED_WINDOW) {
        return record->time - now;
    }

    if (share && share->hosts > 1) {
        return ngx_limiter_state_search(state, policy, i, need, now, share);
    }

    if (policy->algorithm == NGX_LIMITER_GCRA) {
        return ngx_limiter_state_ceil(record->used + record->own
                                      + need * rate->period
                                      - (policy->burst + 1) * rate->period,
                                      rate->limit);
    }

    return ngx_limiter_state_sliding_retry(record, rate->limit, need,
                                           record->time - now);
}


/*
 * In this window the one before fades; if that is not enough, this one fades
 * in the next.
 */

static uint64_t
ngx_limiter_state_sliding_retry(const ngx_limiter_record_t *record,
    uint64_t limit, uint64_t need, uint64_t left)
{
    uint64_t  used, prev, room;

    used = record->used + record->own;
    prev = record->prev + record->own_prev;

    if (used + need <= limit) {
        room = (limit - used - need) * record->period;

        return ngx_limiter_state_ceil(prev * left - room, prev);
    }

    room = (limit - need) * record->period;

    return left + ngx_limiter_state_ceil(used * record->period - room, used);
}


/* what a share of an unused rate admits at once */

static uint64_t
ngx_limiter_state_most(const ngx_limiter_policy_t *policy, ngx_uint_t i,
    const ngx_limiter_share_t *share)
{
    ngx_limiter_state_t  unused;

    ngx_memzero(&unused.records[i], sizeof(ngx_limiter_record_t));
    unused.records[i].period = policy->rates[i].period;

    return ngx_limiter_state_rate_room(&unused, policy, i, 0, share);
}


/* A share has no formula: room never shrinks while nobody comes. */

static uint64_t
ngx_limiter_state_search(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t need,
    uint64_t now, const ngx_limiter_share_t *share)
{
    uint64_t              low, high, mid;
    ngx_limiter_state_t   later;

    low = 0;
    high = ngx_limiter_state_reset(state, policy, i, now);

    while (high - low > 1) {
        mid = low + (high - low) / 2;

        (void) ngx_limiter_state_open(&later, policy, state, now + mid);

        if (ngx_limiter_state_rate_room(&later, policy, i, now + mid, share)
            >= need)
        {
            high = mid;

        } else {
            low = mid;
        }
    }

    return high;
}


static uint64_t
ngx_limiter_state_ceil(uint64_t a, uint64_t b)
{
    return a / b + (a % b ? 1 : 0);
}


uint64_t
ngx_limiter_state_reset(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t now)
{
    uint64_t                     left, limit;
    const ngx_limiter_record_t  *record;

    record = &state->records[i];

    if (policy->algorithm == NGX_LIMITER_GCRA) {
        limit = policy->rates[i].limit;

        return limit ? ngx_limiter_state_ceil(record->used + record->own,
                                              limit)
                     : record->period;
    }

    left = ngx_limiter_state_sub(record->time, now);

    if (policy->algorithm == NGX_LIMITER_FIXED_WINDOW) {
        return (record->used || record->own) ? left : 0;
    }

    if (record->used || record->own) {
        return left + record->period;
    }

    return (record->prev || record->own_prev) ? left : 0;
}


uint64_t
ngx_limiter_state_delay(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t delay,
    const ngx_limiter_share_t *share)
{
    uint64_t                     excess, wait, longest;
    ngx_uint_t                   i;
    const ngx_limiter_rate_t    *rate;
    const ngx_limiter_record_t  *record;

    if (policy->algorithm != NGX_LIMITER_GCRA) {
        return 0;
    }

    longest = 0;
    delay = ngx_min(delay, policy->burst);

    for (i = 0; i < policy->nrates; i++) {
        rate = &policy->rates[i];
        record = &state->records[i];

        /* what was counted last leaves when that before it has */

        excess = ngx_limiter_state_sub(record->used + record->own,
                                       (delay + (share ? share->hosts : 1))
                                       * rate->period);

        if (excess && rate->limit) {
            wait = ngx_limiter_state_ceil(excess, rate->limit);
            longest = ngx_max(longest, wait);
        }
    }

    return longest;
}


ngx_uint_t
ngx_limiter_state_tightest(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t need, uint64_t now,
    const ngx_limiter_share_t *share)
{
    uint64_t    room, least, wait, longest;
    ngx_uint_t  i, best, refused;

    best = policy->nrates;
    least = 0;
    longest = 0;
    refused = 0;

    for (i = 0; i < policy->nrates; i++) {

        room = ngx_limiter_state_rate_room(state, policy, i, now, share);

        if (room < need) {
            wait = ngx_limiter_state_retry(state, policy, i, need, now, share);

            if (!refused || wait > longest) {
                refused = 1;
                best = i;
                longest = wait;
            }

            continue;
        }

        if (refused || (best < policy->nrates && room > least)) {
            continue;
        }

        wait = ngx_limiter_state_reset(state, policy, i, now);

        if (best == policy->nrates || room < least || wait > longest) {
            best = i;
            least = room;
            longest = wait;
        }
    }

    return (best == policy->nrates) ? 0 : best;
}
