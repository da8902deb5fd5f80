
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_mirror.h"


/* an answer that is older by less than this has been overtaken by another */
#define NGX_LIMITER_MIRROR_LATE    10000    /* ms */

/* for so long nobody else asks for a lease: in 1/16 of a second or so */
#define NGX_LIMITER_MIRROR_REFILL  4

/* a lease of gcra units is good for this long at least */
#define NGX_LIMITER_MIRROR_LEASE   1000     /* ms */

#define ngx_limiter_mirror_tick(now)  ((uint16_t) ((now) >> 6))


static ngx_uint_t ngx_limiter_mirror_untold(const ngx_limiter_entry_t *entry,
    const ngx_limiter_item_t *item, uint16_t era);
static ngx_int_t ngx_limiter_mirror_spend(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, ngx_limiter_look_t *look, uint64_t room);
static ngx_uint_t ngx_limiter_mirror_refill(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, uint64_t room);
static ngx_uint_t ngx_limiter_mirror_leased(const ngx_limiter_entry_t *entry,
    uint64_t now);
static ngx_uint_t ngx_limiter_mirror_over(const ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_uint_t i);
static uint64_t ngx_limiter_mirror_units(const ngx_limiter_policy_t *policy,
    ngx_uint_t i, uint64_t units);
static uint64_t ngx_limiter_mirror_lease_end(ngx_limiter_item_t *item,
    uint64_t sent);


ngx_int_t
ngx_limiter_mirror_look(ngx_limiter_item_t *item, ngx_limiter_look_t *look,
    ngx_limiter_carry_t *carry)
{
    uint64_t              room;
    ngx_int_t             rc;
    ngx_uint_t            hosts, known;
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    zone = item->zone;
    hosts = ngx_max(item->share.hosts, 1);
    look->refill = 0;
    look->carry = 0;

    ngx_limiter_local_lock(zone);

    known = (ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                    &entry, item->now)
             == NGX_OK);

    room = ngx_limiter_state_room(&entry.state, item->policy, item->now, NULL);

    rc = NGX_AGAIN;

    if (known && zone->lease > 1 && !item->peek) {
        rc = ngx_limiter_mirror_spend(item, &entry, look, room);
    }

    if (rc == NGX_AGAIN && item->need > room && !item->peek && !zone->returns)
    {
        rc = NGX_BUSY;
    }

    /* who only looks tells nothing: Redis writes nothing then */

    if (rc == NGX_AGAIN
        && carry
        && known
        && !item->peek
        && ngx_limiter_mirror_untold(&entry, item, look->era))
    {
        look->carry = ngx_limiter_mirror_take(&entry, item->policy, carry,
                                              entry.era != look->era, hosts,
                                              item->now);
        entry.era = look->era;
        ngx_limiter_local_save(zone, &item->subject.key, &entry);
    }

    ngx_limiter_local_unlock(zone);

    ngx_limiter_state_copy(&item->state, &entry.state);

    if (rc == NGX_OK) {

        /* what is left of the lease is used in Redis, but not by anybody */

        ngx_limiter_state_uncount(&item->state, item->policy, entry.lease);
    }

    return rc;
}


/* whether there is anything that Redis may not know, cheaply */

static ngx_uint_t
ngx_limiter_mirror_untold(const ngx_limiter_entry_t *entry,
    const ngx_limiter_item_t *item, uint16_t era)
{
    ngx_uint_t  i;

    if (entry->era != era) {
        return 1;
    }

    if (entry->lease && !ngx_limiter_mirror_leased(entry, item->now)) {
        return 1;
    }

    for (i = 0; i < item->policy->nrates; i++) {
        if (entry->state.records[i].own || entry->state.records[i].own_prev) {
            return 1;
        }
    }

    return 0;
}


/* NGX_OK if the lease of the entry pays for the item, else NGX_AGAIN. */

static ngx_int_t
ngx_limiter_mirror_spend(ngx_limiter_item_t *item, ngx_limiter_entry_t *entry,
    ngx_limiter_look_t *look, uint64_t room)
{
    ngx_int_t  rc;

    rc = NGX_AGAIN;

    if (item->take
        && entry->lease >= item->take
        && ngx_limiter_mirror_leased(entry, item->now))
    {
        entry->lease -= item->take;
        item->leased = 1;

        rc = NGX_OK;
    }

    look->refill = ngx_limiter_mirror_refill(item, entry, room);

    if (rc == NGX_OK || look->refill) {
        ngx_limiter_local_spend(entry);
    }

    return rc;
}


/*
 * One question for a lease at a time, and early: whoever comes until there is
 * an answer, which may be all connections of the worker, finds a whole lease.
 */

static ngx_uint_t
ngx_limiter_mirror_refill(ngx_limiter_item_t *item, ngx_limiter_entry_t *entry,
    uint64_t room)
{
    uint16_t  tick;

    if (room == 0) {
        return 0;
    }

    if (entry->lease > item->zone->lease
        && ngx_limiter_mirror_leased(entry, item->now))
    {
        return 0;
    }

    tick = ngx_limiter_mirror_tick(item->now);

    if (entry->refill
        && (uint16_t) (entry->refill - tick) <= NGX_LIMITER_MIRROR_REFILL)
    {
        return 0;
    }

    tick += NGX_LIMITER_MIRROR_REFILL;
    entry->refill = tick ? tick : 1;

    return 1;
}


static ngx_uint_t
ngx_limiter_mirror_leased(const ngx_limiter_entry_t *entry, uint64_t now)
{
    return (int32_t) (entry->lease_end - (uint32_t) now) > 0;
}


void
ngx_limiter_mirror_unspend(ngx_limiter_item_t *item)
{
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    if (!item->leased) {
        return;
    }

    item->leased = 0;
    zone = item->zone;

    ngx_limiter_local_lock(zone);

    if (ngx_limiter_local_load(zone, &item->subject.key, item->policy, &entry,
                               item->now)
        == NGX_OK)
    {
        entry.lease += item->take;
        ngx_limiter_local_spend(&entry);
    }

    ngx_limiter_local_unlock(zone);
}


void
ngx_limiter_mirror_learn(ngx_limiter_item_t *item, uint16_t era, uint64_t sent)
{
    int32_t                late;
    uint64_t               leased, end;
    ngx_int_t              rc;
    ngx_uint_t             i;
    ngx_limiter_zone_t    *zone;
    ngx_limiter_entry_t    entry;
    ngx_limiter_record_t  *to, *from;

    zone = item->zone;
    leased = (item->granted > item->take) ? item->granted - item->take : 0;

    ngx_limiter_local_lock(zone);

    rc = ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                &entry, item->now);

    if (rc != NGX_OK) {
        entry.era = era;
    }

    late = (int32_t) ((uint32_t) item->told - entry.told);

    if (rc != NGX_OK || late >= 0 || late <= -NGX_LIMITER_MIRROR_LATE) {

        entry.told = (uint32_t) item->told;

        for (i = 0; i < item->policy->nrates; i++) {
            to = &entry.state.records[i];
            from = &item->state.records[i];

            to->time = from->time;
            to->used = from->used;
            to->prev = from->prev;
        }
    }

    if (leased) {
        end = ngx_limiter_mirror_lease_end(item, sent);

        if (entry.lease && !ngx_limiter_mirror_leased(&entry, item->now)) {
            entry.lease = 0;
        }

        if (entry.lease == 0
            || (int32_t) ((uint32_t) end - entry.lease_end) < 0)
        {
            entry.lease_end = (uint32_t) end;
        }

        entry.lease += leased;
        entry.refill = 0;
    }

    ngx_limiter_local_save(zone, &item->subject.key, &entry);

    ngx_limiter_local_unlock(zone);
}


/*
 * The first end of the windows, as seen from when the question was sent, which
 * was before Redis looked at its clock: no later than it is there.
 */

static uint64_t
ngx_limiter_mirror_lease_end(ngx_limiter_item_t *item, uint64_t sent)
{
    uint64_t               end, left, drain;
    ngx_uint_t             i;
    ngx_limiter_rate_t    *rate;
    ngx_limiter_record_t  *record;

    end = sent + NGX_LIMITER_MAX_PERIOD / 2;

    for (i = 0; i < item->policy->nrates; i++) {
        rate = &item->policy->rates[i];
        record = &item->state.records[i];

        if (item->policy->algorithm == NGX_LIMITER_GCRA) {
            drain = rate->limit ? item->granted * rate->period / rate->limit
                                : 0;
            left = ngx_max(drain, NGX_LIMITER_MIRROR_LEASE);

        } else {
            left = (record->time > item->now) ? record->time - item->now : 0;
        }

        end = ngx_min(end, sent + left);
    }

    return end;
}


ngx_uint_t
ngx_limiter_mirror_take(ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_limiter_carry_t *carry,
    ngx_uint_t lost, ngx_uint_t hosts, uint64_t now)
{
    uint64_t               back, own;
    ngx_uint_t             i, any;
    ngx_limiter_record_t  *record;

    any = 0;
    back = 0;

    if (entry->lease && !ngx_limiter_mirror_leased(entry, now)) {
        back = entry->lease;
        entry->lease = 0;
    }

    for (i = 0; i < policy->nrates; i++) {
        record = &entry->state.records[i];

        ngx_memzero(&carry[i], sizeof(ngx_limiter_carry_t));

        own = record->own;

        if (policy->algorithm == NGX_LIMITER_GCRA) {
            own = (own + hosts - 1) / hosts;
            carry[i].left = 1;

        } else {
            carry[i].left = (record->time > now) ? record->time - now : 0;
        }

        if (lost) {
            carry[i].used = record->used;
            carry[i].prev = record->prev;
            any |= (record->used || record->prev);
        }

        if (back && !ngx_limiter_mirror_over(entry, policy, i)) {
            carry[i].back = ngx_limiter_mirror_units(policy, i, back);
            any = 1;
        }

        if (own || record->own_prev) {
            carry[i].own = own;
            carry[i].own_prev = record->own_prev;
            any = 1;
        }

        /* from now on it is taken for told */

        record->used = ngx_min(record->used + own, NGX_LIMITER_MAX_COUNT);
        record->used -= ngx_min(record->used, carry[i].back);
        record->prev = ngx_min(record->prev + record->own_prev,
                               NGX_LIMITER_MAX_COUNT);
        record->own = 0;
        record->own_prev = 0;
    }

    return any;
}


/*
 * Whether the window in which a lease was counted is over.  It was open when
 * the lease ended, as the first of the windows to end; one that is open now and
 * began later is another.
 */

static ngx_uint_t
ngx_limiter_mirror_over(const ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_uint_t i)
{
    uint64_t  begin;

    if (policy->algorithm == NGX_LIMITER_GCRA) {
        return 0;
    }

    begin = entry->state.records[i].time - policy->rates[i].period;

    return (int32_t) ((uint32_t) begin - entry->lease_end) >= 0;
}


static uint64_t
ngx_limiter_mirror_units(const ngx_limiter_policy_t *policy, ngx_uint_t i,
    uint64_t units)
{
    uint64_t  period;

    if (policy->algorithm != NGX_LIMITER_GCRA) {
        return ngx_min(units, NGX_LIMITER_MAX_COUNT);
    }

    period = policy->rates[i].period;

    return (units > NGX_LIMITER_MAX_COUNT / period) ? NGX_LIMITER_MAX_COUNT
                                                    : units * period;
}


void
ngx_limiter_mirror_restore(ngx_limiter_item_t *item)
{
    ngx_uint_t             i, hosts;
    ngx_limiter_zone_t    *zone;
    ngx_limiter_carry_t   *carry;
    ngx_limiter_entry_t    entry;
    ngx_limiter_record_t  *record;

    if (item->carry == NULL) {
        return;
    }

    zone = item->zone;
    carry = item->carry;
    item->carry = NULL;

    hosts = 1;

    if (item->policy->algorithm == NGX_LIMITER_GCRA) {
        hosts = ngx_max(item->share.hosts, 1);
    }

    ngx_limiter_local_lock(zone);

    (void) ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                  &entry, ngx_limiter_local_now());

    for (i = 0; i < item->policy->nrates; i++) {
        record = &entry.state.records[i];

        record->used -= ngx_min(record->used, carry[i].own);
        record->own = ngx_min(record->own + carry[i].own * hosts,
                              NGX_LIMITER_MAX_COUNT);
        record->prev -= ngx_min(record->prev, carry[i].own_prev);
        record->own_prev += carry[i].own_prev;
    }

    entry.era--;

    ngx_limiter_local_save(zone, &item->subject.key, &entry);

    ngx_limiter_local_unlock(zone);
}


void
ngx_limiter_mirror_book(ngx_limiter_item_t *item,
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
