
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_limiter_carry.h"
#include "ngx_limiter_reconcile.h"
#include "ngx_limiter_settle.h"


/* in one turn: slots that are looked at, subjects that are told of */
#define NGX_LIMITER_RECONCILE_SLOTS  512
#define NGX_LIMITER_RECONCILE_TELL   32

#define NGX_LIMITER_RECONCILE_PAUSE  5    /* ms between two turns */


typedef struct {
    ngx_limiter_redis_t      *redis;
    ngx_limiter_zone_t      **zones;
    ngx_uint_t                nzones;

    ngx_uint_t                lost;
    ngx_uint_t                zone;      /* the next slot: of which zone, */
    uint32_t                  slot;      /* and which */
    ngx_event_t               timer;
} ngx_limiter_reconcile_t;


/* a subject to be told of, taken while its zone was locked */

typedef struct {
    u_char                    key[NGX_LIMITER_TABLE_KEY];
    size_t                    len;
    uint16_t                  life;
    uint16_t                  era;
    ngx_limiter_carry_t       carry[NGX_LIMITER_MAX_RATES];
} ngx_limiter_untold_t;


static void ngx_limiter_reconcile_forgotten(void *data);
static void ngx_limiter_reconcile_back(void *data, ngx_uint_t lost);
static void ngx_limiter_reconcile_timer_handler(ngx_event_t *ev);
static ngx_uint_t ngx_limiter_reconcile_collect(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold);
static ngx_uint_t ngx_limiter_reconcile_slot(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold, uint64_t now);
static void ngx_limiter_reconcile_tell(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold);


static ngx_limiter_fleet_handlers_t  ngx_limiter_reconcile_handlers = {
    ngx_limiter_reconcile_forgotten,
    ngx_limiter_reconcile_back
};


/* of this worker */

static ngx_limiter_reconcile_t  *ngx_limiter_reconcile;


ngx_int_t
ngx_limiter_reconcile_init(ngx_cycle_t *cycle, ngx_limiter_redis_t *redis,
    ngx_limiter_zone_t **zones, ngx_uint_t nzones)
{
    ngx_uint_t                i;
    ngx_limiter_reconcile_t  *rec;

    rec = ngx_pcalloc(cycle->pool, sizeof(ngx_limiter_reconcile_t));
    if (rec == NULL) {
        return NGX_ERROR;
    }

    rec->redis = redis;
    rec->zones = zones;
    rec->nzones = nzones;
    rec->zone = nzones;

    for (i = 0; i < nzones; i++) {
        zones[i]->life = ngx_limiter_fleet_life(redis->fleet);
    }

    rec->timer.handler = ngx_limiter_reconcile_timer_handler;
    rec->timer.data = rec;
    rec->timer.log = cycle->log;
    rec->timer.cancelable = 1;

    ngx_limiter_fleet_listen(redis->fleet, &ngx_limiter_reconcile_handlers,
                             rec);

    ngx_limiter_reconcile = rec;

    return NGX_OK;
}


void
ngx_limiter_reconcile_close(void)
{
    ngx_limiter_reconcile_t  *rec;

    rec = ngx_limiter_reconcile;
    ngx_limiter_reconcile = NULL;

    if (rec && rec->timer.timer_set) {
        ngx_del_timer(&rec->timer);
    }
}


static void
ngx_limiter_reconcile_forgotten(void *data)
{
    ngx_limiter_reconcile_t *rec = data;

    ngx_uint_t           i;
    ngx_limiter_zone_t  *zone;

    for (i = 0; i < rec->nzones; i++) {
        zone = rec->zones[i];

        ngx_limiter_local_lock(zone);
        ngx_limiter_local_forget_all(zone);
        ngx_limiter_local_unlock(zone);
    }
}


static void
ngx_limiter_reconcile_back(void *data, ngx_uint_t lost)
{
    ngx_limiter_reconcile_t *rec = data;

    /* one that is under way begins anew, with all that it was to tell */

    rec->lost = lost || (rec->lost && rec->zone < rec->nzones);
    rec->zone = 0;
    rec->slot = 0;

    if (!rec->timer.timer_set) {
        ngx_add_timer(&rec->timer, 1);
    }
}


static void
ngx_limiter_reconcile_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                i, n;
    ngx_limiter_zone_t       *zone;
    ngx_limiter_untold_t      untold[NGX_LIMITER_RECONCILE_TELL];
    ngx_limiter_reconcile_t  *rec;

    rec = ev->data;

    if (ngx_exiting || rec->zone >= rec->nzones) {
        return;
    }

    if (ngx_redis_client_state(rec->redis->client) != NGX_REDIS_UP) {

        /* there will be another time */

        rec->zone = rec->nzones;
        ngx_limiter_fleet_reconciled(rec->redis->fleet, 0);
        return;
    }

    zone = rec->zones[rec->zone];

    n = ngx_limiter_reconcile_collect(rec, zone, untold);

    for (i = 0; i < n; i++) {
        ngx_limiter_reconcile_tell(rec, zone, &untold[i]);
    }

    if (rec->zone < rec->nzones) {
        ngx_add_timer(ev, NGX_LIMITER_RECONCILE_PAUSE);

    } else {
        ngx_limiter_fleet_reconciled(rec->redis->fleet, 1);
    }
}


/* Goes through some slots; returns how many subjects are to be told of. */

static ngx_uint_t
ngx_limiter_reconcile_collect(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold)
{
    uint64_t    now;
    ngx_uint_t  i, n;

    n = 0;

    ngx_limiter_local_lock(zone);

    now = ngx_limiter_local_now();

    for (i = 0; i < NGX_LIMITER_RECONCILE_SLOTS; i++) {

        if (zone->variable || rec->slot >= zone->table->taken) {
            rec->zone++;
            rec->slot = 0;
            break;
        }

        if (n == NGX_LIMITER_RECONCILE_TELL) {
            break;
        }

        n += ngx_limiter_reconcile_slot(rec, zone, &untold[n], now);
        rec->slot++;
    }

    ngx_limiter_local_unlock(zone);

    return n;
}


static ngx_uint_t
ngx_limiter_reconcile_slot(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold, uint64_t now)
{
    void                 *payload;
    ngx_str_t             key;
    ngx_uint_t            any, lost, told;
    ngx_limiter_fleet_t  *fleet;
    ngx_limiter_entry_t   entry;

    payload = ngx_limiter_table_walk(zone->table, rec->slot, &key);

    if (payload == NULL) {
        return 0;
    }

    untold->len = key.len;
    ngx_memcpy(untold->key, key.data, key.len);

    key.data = untold->key;

    if (ngx_limiter_local_load(zone, &key, &zone->policy, &entry, now)
        != NGX_OK)
    {
        return 0;
    }

    fleet = rec->redis->fleet;
    lost = rec->lost;

    if (entry.era == (uint16_t) ngx_limiter_fleet_era(fleet)) {
        lost = 0;
    }

    told = ngx_limiter_settle_told(&entry.state, &zone->policy);

    ngx_limiter_carry_renew(zone, &entry, &zone->policy,
                            ngx_limiter_fleet_hosts(fleet), now);

    any = ngx_limiter_carry_take(&entry, &zone->policy, untold->carry, lost,
                                 ngx_limiter_fleet_hosts(fleet),
                                 ngx_limiter_fleet_settling(fleet, now), now);

    if (any && lost) {
        entry.era = (uint16_t) ngx_limiter_fleet_era(fleet);
    }

    untold->life = entry.life;
    untold->era = entry.era;

    if (any || told) {
        ngx_limiter_local_save(zone, &key, &entry);
    }

    return any;
}


static void
ngx_limiter_reconcile_tell(ngx_limiter_reconcile_t *rec,
    ngx_limiter_zone_t *zone, ngx_limiter_untold_t *untold)
{
    ngx_str_t           key;
    ngx_limiter_item_t  item;

    ngx_memzero(&item, sizeof(ngx_limiter_item_t));

    key.data = untold->key;
    key.len = untold->len;

    item.zone = zone;
    item.policy = &zone->policy;
    item.carry = untold->carry;
    item.life = untold->life;
    item.era = untold->era;
    item.share.hosts = ngx_limiter_fleet_hosts(rec->redis->fleet);
    item.subject.key = key;

    ngx_limiter_task(rec->redis, &item, NGX_LIMITER_TASK_CARRY);
}
