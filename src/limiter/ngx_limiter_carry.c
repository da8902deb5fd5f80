
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_carry.h"
#include "ngx_limiter_settle.h"


static ngx_uint_t ngx_limiter_carry_over(const ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_uint_t i);
static void ngx_limiter_carry_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_carry_t *carry,
    ngx_uint_t hosts);
static void ngx_limiter_carry_flip(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy);


ngx_uint_t
ngx_limiter_carry_take(ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_limiter_carry_t *carry,
    ngx_uint_t lost, ngx_uint_t hosts, ngx_uint_t settling, uint64_t now)
{
    uint64_t               back, own, own_prev;
    ngx_uint_t             i, any;
    ngx_limiter_record_t  *record;

    any = 0;
    back = 0;

    if (!settling) {
        ngx_limiter_settle_end(&entry->state, policy, hosts);
    }

    if (entry->lease && !ngx_limiter_local_leased(entry, now)) {
        back = entry->lease;
        entry->lease = 0;
    }

    for (i = 0; i < policy->nrates; i++) {
        record = &entry->state.records[i];

        ngx_memzero(&carry[i], sizeof(ngx_limiter_carry_t));

        own = ngx_limiter_settle_untold(record, policy, hosts);
        own_prev = record->prev_told ? 0 : record->own_prev;

        if (policy->algorithm == NGX_LIMITER_GCRA) {
            carry[i].left = 1;

        } else {
            carry[i].left = (record->time > now) ? record->time - now : 0;
        }

        if (lost) {
            carry[i].used = record->used
                            + ngx_limiter_settle_counted(record, policy, hosts);
            carry[i].prev = record->prev + record->own_prev - own_prev;
            any |= (carry[i].used || carry[i].prev);
        }

        if (back && !ngx_limiter_carry_over(entry, policy, i)) {
            carry[i].back = ngx_limiter_state_units(policy, i, back, 1);
            any = 1;
        }

        if (own || own_prev) {
            carry[i].own = own;
            carry[i].own_prev = own_prev;
            any = 1;
        }

        /* from now on it is taken for told */

        record->told = record->own;
        record->prev_told = (record->own_prev != 0);
    }

    if (!settling) {
        ngx_limiter_settle_end(&entry->state, policy, hosts);
    }

    for (i = 0; i < policy->nrates; i++) {
        record = &entry->state.records[i];
        record->used -= ngx_min(record->used, carry[i].back);
    }

    return any;
}


/*
 * Whether the window in which a lease was counted is over.  It was open when
 * the lease ended, as the first of the windows to end; one that is open now and
 * began later is another.
 */

static ngx_uint_t
ngx_limiter_carry_over(const ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_uint_t i)
{
    uint64_t  begin;

    if (policy->algorithm == NGX_LIMITER_GCRA) {
        return 0;
    }

    begin = entry->state.records[i].time - policy->rates[i].period;

    return (int32_t) ((uint32_t) begin - entry->lease_end) >= 0;
}


/*
 * Who has nothing left, as Redis last said, is known with all that others had
 * told of him: that is not added to what they tell.
 */

void
ngx_limiter_carry_renew(ngx_limiter_zone_t *zone, ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts, uint64_t now)
{
    ngx_uint_t             i;
    ngx_limiter_state_t    redis;
    ngx_limiter_record_t  *record;

    if (entry->life == ngx_limiter_local_life(zone)) {
        return;
    }

    entry->life = ngx_limiter_local_life(zone);

    ngx_limiter_settle_known(&entry->state, policy, hosts, &redis);

    for (i = 0; i < policy->nrates; i++) {
        record = &entry->state.records[i];

        if (ngx_limiter_state_rate_room(&redis, policy, i, now, NULL)) {
            record->told = 0;
            record->prev_told = 0;
        }
    }
}


void
ngx_limiter_carry_unreserve(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry)
{
    ngx_uint_t            hosts, renewed;
    ngx_limiter_state_t  *state;

    if (!item->reserved) {
        return;
    }

    item->reserved = 0;

    state = &entry->state;
    hosts = ngx_max(item->share.hosts, 1);
    renewed = (entry->life != item->life);

    if (renewed) {
        ngx_limiter_carry_flip(state, item->policy);
    }

    ngx_limiter_settle_back(state, item->policy, item->take, 0, item->now,
                            hosts);

    if (renewed) {
        ngx_limiter_carry_flip(state, item->policy);
    }
}


/* what is told is not, and what is not is */

static void
ngx_limiter_carry_flip(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy)
{
    ngx_uint_t             i;
    ngx_limiter_record_t  *record;

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];

        record->told = record->own - record->told;
        record->prev_told = (record->own_prev && !record->prev_told);
    }
}


/*
 * After a renewal nothing is put back: what was carried is untold again, or has
 * been told again since; or it is known as used, and is told as that.
 */

void
ngx_limiter_carry_restore(ngx_limiter_item_t *item)
{
    ngx_int_t             rc;
    ngx_uint_t            hosts;
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    if (item->carry == NULL && !item->reserved) {
        return;
    }

    zone = item->zone;
    hosts = ngx_max(item->share.hosts, 1);

    ngx_limiter_local_lock(zone);

    rc = ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                &entry, ngx_limiter_local_now());

    ngx_limiter_carry_unreserve(item, &entry);

    if (item->carry) {

        if (rc != NGX_OK || entry.life == item->life) {
            ngx_limiter_carry_back(&entry.state, item->policy, item->carry,
                                   hosts);
            entry.era--;

        } else if (entry.era == item->era) {

            /* nobody has told since what is known as used */

            entry.era--;
        }

        item->carry = NULL;
    }

    ngx_limiter_carry_renew(zone, &entry, item->policy, hosts, item->now);

    ngx_limiter_local_save(zone, &item->subject.key, &entry);

    ngx_limiter_local_unlock(zone);
}


static void
ngx_limiter_carry_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_carry_t *carry,
    ngx_uint_t hosts)
{
    uint64_t               own;
    ngx_uint_t             i;
    ngx_limiter_record_t  *record;

    for (i = 0; i < policy->nrates; i++) {
        record = &state->records[i];
        own = carry[i].own;

        if (policy->algorithm == NGX_LIMITER_GCRA) {
            own *= hosts;
        }

        if (record->told) {
            record->told -= ngx_min(record->told, own);

        } else {
            record->used -= ngx_min(record->used, carry[i].own);
            record->own = ngx_min(record->own + own, NGX_LIMITER_MAX_COUNT);
        }


        if (carry[i].own_prev == 0) {
            continue;
        }

        if (record->prev_told) {
            record->prev_told = 0;

        } else {
            record->prev -= ngx_min(record->prev, carry[i].own_prev);
            record->own_prev += carry[i].own_prev;
        }
    }
}


void
ngx_limiter_carry_book(ngx_limiter_item_t *item,
    const ngx_limiter_share_t *share)
{
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    zone = item->zone;

    ngx_limiter_local_lock(zone);

    (void) ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                  &entry, ngx_limiter_local_now());

    ngx_limiter_state_count(&entry.state, item->policy, item->add, share);
    ngx_limiter_state_back(&entry.state, item->policy, item->sub, item->kept,
                           item->since, share);

    ngx_limiter_local_save(zone, &item->subject.key, &entry);

    ngx_limiter_local_unlock(zone);
}
