
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_settle.h"


#define ngx_limiter_settle_sub(a, b)  (((a) > (b)) ? (a) - (b) : 0)


ngx_uint_t
ngx_limiter_settle_told(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy)
{
    ngx_uint_t  i;

    for (i = 0; i < policy->nrates; i++) {
        if (state->records[i].told || state->records[i].prev_told) {
            return 1;
        }
    }

    return 0;
}


uint64_t
ngx_limiter_settle_counted(const ngx_limiter_record_t *record,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts)
{
    uint64_t  told;

    told = record->told;

    return (policy->algorithm == NGX_LIMITER_GCRA) ? (told + hosts - 1) / hosts
                                                   : told;
}


uint64_t
ngx_limiter_settle_untold(const ngx_limiter_record_t *record,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts)
{
    uint64_t  own;

    own = record->own - record->told;

    return (policy->algorithm == NGX_LIMITER_GCRA) ? (own + hosts - 1) / hosts
                                                   : own;
}


void
ngx_limiter_settle_end(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts)
{
    uint64_t               used;
    ngx_uint_t             i;
    ngx_limiter_record_t  *record;

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];

        used = record->used + ngx_limiter_settle_counted(record, policy,
                                                         hosts);

        record->used = ngx_min(used, NGX_LIMITER_MAX_COUNT);
        record->own -= record->told;
        record->told = 0;

        if (record->prev_told) {
            record->prev = ngx_min(record->prev + record->own_prev,
                                   NGX_LIMITER_MAX_COUNT);
            record->own_prev = 0;
            record->prev_told = 0;
        }
    }
}


void
ngx_limiter_settle_known(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts,
    ngx_limiter_state_t *known)
{
    ngx_uint_t  i;

    ngx_limiter_state_copy(known, state);
    ngx_limiter_settle_end(known, policy, hosts);

    for (i = 0; i < policy->nrates; i++) {
        known->records[i].own = 0;
        known->records[i].own_prev = 0;
    }
}


void
ngx_limiter_settle_count(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, ngx_uint_t hosts)
{
    uint64_t              before[NGX_LIMITER_MAX_RATES];
    ngx_uint_t            i;
    ngx_limiter_share_t   share;

    share.hosts = hosts;
    share.rank = 0;

    for (i = 0; i < policy->nrates; i++) {
        before[i] = state->records[i].own;
    }

    ngx_limiter_state_count(state, policy, units, &share);

    for (i = 0; i < policy->nrates; i++) {
        state->records[i].told += state->records[i].own - before[i];
    }
}


void
ngx_limiter_settle_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, uint64_t kept,
    uint64_t since, ngx_uint_t hosts)
{
    uint64_t               own;
    ngx_uint_t             i;
    ngx_limiter_state_t    told;
    ngx_limiter_share_t    share;
    ngx_limiter_record_t  *record;

    share.hosts = hosts;
    share.rank = 0;

    /* a host that has let in nothing but this */

    ngx_limiter_state_copy(&told, state);

    for (i = 0; i < policy->nrates; i++) {
        record = &told.records[i];

        record->own = record->told;
        record->own_prev = record->prev_told ? record->own_prev : 0;
        record->told = 0;
        record->prev_told = 0;
    }

    ngx_limiter_state_back(&told, policy, units, kept, since, &share);

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];
        own = record->told - told.records[i].own;

        record->own -= own;
        record->told -= own;

        if (record->prev_told) {
            record->own_prev = told.records[i].own_prev;
        }
    }
}


void
ngx_limiter_settle_learn(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t units, ngx_uint_t hosts, ngx_uint_t keep, uint64_t need,
    uint64_t now)
{
    uint64_t                     own, room;
    ngx_uint_t                   i;
    ngx_limiter_state_t          known;
    ngx_limiter_record_t        *record;
    const ngx_limiter_record_t  *told;

    if (keep) {
        ngx_limiter_settle_known(state, policy, hosts, &known);
    }

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];
        told = &from->records[i];

        if (keep) {
            room = ngx_limiter_state_rate_room(from, policy, i, now, NULL);

            if (room >= need
                && (record->own
                    || room + units > ngx_limiter_state_rate_room(&known,
                                                        policy, i, now, NULL)))
            {
                continue;
            }
        }

        own = ngx_limiter_settle_counted(record, policy, hosts)
              + ngx_limiter_state_units(policy, i, units, 1);

        record->time = told->time;
        record->used = ngx_limiter_settle_sub(told->used, own);

        own = record->prev_told ? record->own_prev : 0;

        record->prev = ngx_limiter_settle_sub(told->prev, own);
    }
}
