
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_carry.h"
#include "ngx_limiter_mirror.h"
#include "ngx_limiter_settle.h"


/* an answer that is older by less than this has been overtaken by another */
#define NGX_LIMITER_MIRROR_LATE    10000    /* ms */

/* for so long nobody else asks for a lease: in 1/16 of a second or so */
#define NGX_LIMITER_MIRROR_REFILL  4

/* a lease of gcra units is good for this long at least */
#define NGX_LIMITER_MIRROR_LEASE   1000     /* ms */

#define NGX_LIMITER_MIRROR_TICKS   0xfff

/* a lease that is over, and was not given back */
#define ngx_limiter_mirror_ended(entry, now)                                  \
    ((entry)->lease && !ngx_limiter_local_leased(entry, now))

#define ngx_limiter_mirror_tick(now)                                          \
    ((uint16_t) (((now) >> 6) & NGX_LIMITER_MIRROR_TICKS))


static ngx_uint_t ngx_limiter_mirror_refused(const ngx_limiter_item_t *item,
    uint64_t room);
static uint64_t ngx_limiter_mirror_share(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, uint64_t room);
static void ngx_limiter_mirror_tell(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, ngx_limiter_look_t *look,
    ngx_limiter_carry_t *carry);
static ngx_uint_t ngx_limiter_mirror_untold(const ngx_limiter_entry_t *entry,
    const ngx_limiter_item_t *item, uint16_t era);
static ngx_int_t ngx_limiter_mirror_spend(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, ngx_limiter_look_t *look, uint64_t room);
static ngx_uint_t ngx_limiter_mirror_refill(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry, uint64_t room);
static void ngx_limiter_mirror_hear(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry);
static uint64_t ngx_limiter_mirror_lease_end(ngx_limiter_item_t *item,
    uint64_t sent);


ngx_int_t
ngx_limiter_mirror_look(ngx_limiter_item_t *item, ngx_limiter_look_t *look,
    ngx_limiter_carry_t *carry)
{
    uint64_t              room, part;
    ngx_int_t             rc;
    ngx_uint_t            known;
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    zone = item->zone;
    look->refill = 0;
    look->carry = 0;

    ngx_limiter_local_lock(zone);

    item->forgets = ngx_limiter_local_forgets(zone);

    known = (ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                    &entry, item->now)
             == NGX_OK);

    ngx_limiter_carry_renew(zone, &entry, item->policy,
                            ngx_max(item->share.hosts, 1), item->now);

    room = ngx_limiter_state_room(&entry.state, item->policy, item->now, NULL);
    part = room;

    if (item->settling || item->need > room) {
        part = ngx_limiter_mirror_share(item, &entry, room);
        room = ngx_max(room, part);
    }

    rc = NGX_AGAIN;

    if (known && zone->lease > 1 && !item->peek) {
        rc = ngx_limiter_mirror_spend(item, &entry, look, part);
    }

    /* what is to be given back may be what there is room for */

    if (rc == NGX_AGAIN
        && item->need > part
        && !item->peek
        && !ngx_limiter_mirror_ended(&entry, item->now)
        && (item->need <= room || ngx_limiter_mirror_refused(item, room)))
    {
        item->local = (item->need <= room);
        rc = NGX_BUSY;
    }

    /* who only looks tells nothing: Redis writes nothing then */

    if (rc == NGX_AGAIN && carry && known && !item->peek) {
        ngx_limiter_mirror_tell(item, &entry, look, carry);
    }

    ngx_limiter_local_unlock(zone);

    ngx_limiter_state_copy(&item->state, &entry.state);

    if (rc == NGX_OK) {

        /* what is left of the lease is used in Redis, but not by anybody */

        ngx_limiter_state_uncount(&item->state, item->policy, entry.lease);
    }

    return rc;
}


/*
 * Whether Redis would refuse the item, and say the same of it.  While one rate
 * has no room nobody takes anything of the others, and what this host knows is
 * what there is; but of what was left others may have taken since, so that the
 * time it would tell is too early.
 */

static ngx_uint_t
ngx_limiter_mirror_refused(const ngx_limiter_item_t *item, uint64_t room)
{
    ngx_uint_t             i;
    ngx_limiter_policy_t  *policy;

    if (item->zone->returns) {
        return 0;
    }

    if (room == 0 || item->settling) {
        return 1;
    }

    policy = item->policy;

    for (i = 0; i < policy->nrates; i++) {
        if (item->need > ngx_limiter_policy_capacity(policy, i)) {
            return 1;
        }
    }

    return 0;
}


/* what the item may use of the room there is, for as long as hosts settle */

static uint64_t
ngx_limiter_mirror_share(ngx_limiter_item_t *item, ngx_limiter_entry_t *entry,
    uint64_t room)
{
    uint64_t  part;

    if (item->settling) {

        if (item->on_error != NGX_LIMITER_ON_ERROR_LOCAL) {
            return room;
        }

        part = ngx_limiter_state_room(&entry->state, item->policy, item->now,
                                      &item->share);

        return ngx_min(room, part);
    }

    if (!ngx_limiter_settle_told(&entry->state, item->policy)) {
        return room;
    }

    /* a level that was kept for the share is higher than Redis has it */

    ngx_limiter_settle_end(&entry->state, item->policy,
                           ngx_max(item->share.hosts, 1));

    return ngx_limiter_state_room(&entry->state, item->policy, item->now,
                                  NULL);
}


static void
ngx_limiter_mirror_tell(ngx_limiter_item_t *item, ngx_limiter_entry_t *entry,
    ngx_limiter_look_t *look, ngx_limiter_carry_t *carry)
{
    ngx_uint_t  hosts, untold;

    hosts = ngx_max(item->share.hosts, 1);
    untold = ngx_limiter_mirror_untold(entry, item, look->era);

    if (untold) {
        look->carry = ngx_limiter_carry_take(entry, item->policy, carry,
                                              entry->era != look->era, hosts,
                                              item->settling, item->now);
        entry->era = look->era;
    }

    if (item->settling
        && ngx_limiter_settle_told(&entry->state, item->policy))
    {
        ngx_limiter_settle_count(&entry->state, item->policy, item->take,
                                 hosts);
        item->reserved = 1;
    }

    item->life = entry->life;
    item->era = entry->era;

    if (untold || item->reserved) {
        ngx_limiter_local_save(item->zone, &item->subject.key, entry);
    }
}


/*
 * Whether there is anything that Redis may not know, or that hosts that have
 * settled need not know any more, cheaply.
 */

static ngx_uint_t
ngx_limiter_mirror_untold(const ngx_limiter_entry_t *entry,
    const ngx_limiter_item_t *item, uint16_t era)
{
    ngx_uint_t                   i;
    const ngx_limiter_record_t  *record;

    if (entry->era != era) {
        return 1;
    }

    if (ngx_limiter_mirror_ended(entry, item->now)) {
        return 1;
    }

    for (i = 0; i < item->policy->nrates; i++) {
        record = &entry->state.records[i];

        if (record->own == 0 && record->own_prev == 0) {
            continue;
        }

        if (!item->settling
            || record->own > record->told
            || (record->own_prev && !record->prev_told))
        {
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
        && ngx_limiter_local_leased(entry, item->now))
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

    if (room == 0 || (item->settling && room < item->zone->lease)) {
        return 0;
    }

    if (entry->lease > item->zone->lease
        && ngx_limiter_local_leased(entry, item->now))
    {
        return 0;
    }

    tick = ngx_limiter_mirror_tick(item->now);

    if (entry->refill
        && ((entry->refill - tick) & NGX_LIMITER_MIRROR_TICKS)
           <= NGX_LIMITER_MIRROR_REFILL)
    {
        return 0;
    }

    tick = (tick + NGX_LIMITER_MIRROR_REFILL) & NGX_LIMITER_MIRROR_TICKS;
    entry->refill = tick ? tick : 1;

    return 1;
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
    int32_t               late;
    uint64_t              leased, end;
    ngx_int_t             rc;
    ngx_uint_t            hosts;
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    zone = item->zone;
    leased = (item->granted > item->take) ? item->granted - item->take : 0;

    ngx_limiter_local_lock(zone);

    rc = ngx_limiter_local_load(zone, &item->subject.key, item->policy,
                                &entry, item->now);

    if (rc != NGX_OK) {
        entry.era = era;
    }

    hosts = ngx_max(item->share.hosts, 1);

    ngx_limiter_carry_unreserve(item, &entry);

    ngx_limiter_carry_renew(zone, &entry, item->policy,
                            ngx_max(item->share.hosts, 1), item->now);

    late = (int32_t) ((uint32_t) item->told - entry.told);

    if (item->forgets == ngx_limiter_local_forgets(zone)
        && (rc != NGX_OK || late >= 0 || late <= -NGX_LIMITER_MIRROR_LATE))
    {
        entry.told = (uint32_t) item->told;
        ngx_limiter_mirror_hear(item, &entry);
    }

    if (item->settling) {
        ngx_limiter_settle_count(&entry.state, item->policy,
                                 item->granted + item->add, hosts);
    }

    if (item->settling && item->sub) {
        ngx_limiter_settle_back(&entry.state, item->policy, item->sub,
                                item->kept, item->since, hosts);
    }

    if (leased) {
        end = ngx_limiter_mirror_lease_end(item, sent);

        if (ngx_limiter_mirror_ended(&entry, item->now)) {
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


/* the item's state becomes that of the entry */

static void
ngx_limiter_mirror_hear(ngx_limiter_item_t *item, ngx_limiter_entry_t *entry)
{
    uint64_t               units;
    ngx_uint_t             i;
    ngx_limiter_record_t  *to, *from;

    if (item->settling
        || ngx_limiter_settle_told(&entry->state, item->policy))
    {
        units = item->settling ? item->granted + item->add : 0;

        ngx_limiter_settle_learn(&entry->state, item->policy, &item->state,
                                 units, ngx_max(item->share.hosts, 1),
                                 item->settling,
                                 (item->verdict == NGX_LIMITER_PASSED)
                                 ? 0 : item->need,
                                 item->now);
        return;
    }

    for (i = 0; i < item->policy->nrates; i++) {
        to = &entry->state.records[i];
        from = &item->state.records[i];

        to->time = from->time;
        to->used = from->used;
        to->prev = from->prev;
    }
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
