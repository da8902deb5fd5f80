
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger_shm.h"
#include "ngx_redis_tracking.h"


static ngx_int_t ngx_optcache_ledger_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_optcache_ledger_time_t *ngx_optcache_ledger_find(
    ngx_optcache_ledger_shctx_t *sh, uint64_t mark);
static ngx_optcache_ledger_time_t *ngx_optcache_ledger_place(
    ngx_optcache_ledger_shctx_t *sh, uint64_t mark);
static ngx_optcache_ledger_way_t *ngx_optcache_ledger_room(
    ngx_optcache_ledger_set_t *set);
static void ngx_optcache_ledger_at(ngx_optcache_ledger_shctx_t *sh,
    uint64_t mark, ngx_optcache_ledger_time_t *time,
    ngx_optcache_position_t at);


ngx_optcache_ledger_t *
ngx_optcache_ledger_create(ngx_conf_t *cf, void *tag)
{
    ngx_str_t               name;
    ngx_shm_zone_t         *shm_zone;
    ngx_optcache_ledger_t  *ledger;

    ledger = ngx_pcalloc(cf->pool, sizeof(ngx_optcache_ledger_t));
    if (ledger == NULL) {
        return NULL;
    }

    ngx_str_set(&name, "optcache:invalidation");

    shm_zone = ngx_shared_memory_add(cf, &name, NGX_OPTCACHE_LEDGER_SIZE, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_optcache_ledger_init_zone;
    shm_zone->data = ledger;

    return ledger;
}


static ngx_int_t
ngx_optcache_ledger_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_optcache_ledger_t *old = data;

    ngx_optcache_ledger_t  *ledger;

    ledger = shm_zone->data;
    ledger->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        ledger->sh = old->sh;

        /* of one that fails there is no worker to begin */

        ledger->cycle = ++ledger->sh->cycles;

        return NGX_OK;
    }

    if (!shm_zone->shm.exists) {
        return ngx_optcache_ledger_init(ledger, shm_zone->shm.log);
    }

    ledger->sh = ledger->shpool->data;

    if (ledger->sh
        && ledger->sh->magic == NGX_OPTCACHE_LEDGER_MAGIC
        && ledger->sh->version == NGX_OPTCACHE_LEDGER_VERSION)
    {
        ledger->cycle = ++ledger->sh->cycles;
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                  "the zone \"%V\" was laid out by another version of the "
                  "module, nginx must be restarted", &shm_zone->shm.name);

    return NGX_ERROR;
}


ngx_int_t
ngx_optcache_ledger_init(ngx_optcache_ledger_t *ledger, ngx_log_t *log)
{
    ngx_slab_pool_t              *shpool;
    ngx_optcache_ledger_shctx_t  *sh;

    shpool = ledger->shpool;

    sh = ngx_slab_calloc(shpool, sizeof(ngx_optcache_ledger_shctx_t));
    if (sh == NULL) {
        goto failed;
    }

    sh->pending = ngx_slab_calloc(shpool,
                                  NGX_OPTCACHE_LEDGER_PENDING
                                  * sizeof(ngx_optcache_ledger_pending_t));
    if (sh->pending == NULL) {
        goto failed;
    }

    sh->sets = ngx_slab_calloc(shpool, NGX_OPTCACHE_LEDGER_SETS
                                       * sizeof(ngx_optcache_ledger_set_t));
    if (sh->sets == NULL) {
        goto failed;
    }

    sh->made = ngx_redis_tracking_now();
    sh->cycles = 1;
    ledger->cycle = 1;
    ledger->turn = 0;

    sh->magic = NGX_OPTCACHE_LEDGER_MAGIC;
    sh->version = NGX_OPTCACHE_LEDGER_VERSION;

    /*
     * Later than that of any ledger there was before: an entry that is older
     * than this one may have been invalidated without it knowing.
     */

    sh->clock = (uint64_t) ngx_time() << NGX_OPTCACHE_LEDGER_BITS;
    sh->last[0][NGX_OPTCACHE_MARK_ALL].clock = sh->clock;

    sh->floor = NGX_OPTCACHE_POSITION_UNKNOWN;
    sh->begin = NGX_OPTCACHE_POSITION_UNKNOWN;
    sh->stream.since = ngx_time();

    shpool->data = sh;
    ledger->sh = sh;

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_EMERG, log, 0,
                  "no room for what was invalidated");

    return NGX_ERROR;
}


void
ngx_optcache_ledger_now(ngx_optcache_ledger_t *ledger,
    ngx_optcache_moment_t *moment)
{
    moment->position = ngx_optcache_ledger_get(&ledger->sh->position);
    moment->clock = ngx_optcache_ledger_get(&ledger->sh->clock);
}


void
ngx_optcache_ledger_apply(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, ngx_optcache_ledger_id_t *id)
{
    uint64_t                      clock;
    ngx_uint_t                    kind, soft;
    ngx_optcache_position_t       at;
    ngx_optcache_ledger_time_t   *time, *last;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    kind = ngx_optcache_mark_kind(event->mark);
    soft = ngx_optcache_mark_soft(event->mark);

    at = id ? ngx_optcache_ledger_position(id, 1)
            : NGX_OPTCACHE_POSITION_UNKNOWN;

    last = &sh->last[soft][kind];

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (id && !ngx_optcache_ledger_follows(ledger)) {
        ngx_shmtx_unlock(&ledger->shpool->mutex);
        return;
    }

    time = ngx_optcache_ledger_find(sh, event->mark);

    if (id && time && time->position == at && time->clock <= sh->clock
        && id->number < NGX_OPTCACHE_LEDGER_MANY
        && id->ms < NGX_OPTCACHE_LEDGER_END)
    {
        /* it is of this host, which has known it all the time */
        ngx_shmtx_unlock(&ledger->shpool->mutex);
        return;
    }

    if (time == NULL) {
        time = ngx_optcache_ledger_place(sh, event->mark);
    }

    clock = sh->clock + 1;

    if (event->prefix) {
        sh->lengths[event->prefix / 64] |= (uint64_t) 1 << event->prefix % 64;
    }

    /* whoever dies before the clock is set has not applied it */

    ngx_optcache_ledger_set(&time->clock, clock);

    if (last != time) {
        ngx_optcache_ledger_later(&last->position, at);
        ngx_optcache_ledger_set(&last->clock, clock);
    }

    if (id) {
        ngx_optcache_ledger_at(sh, event->mark, time, at);

    } else {
        ngx_optcache_ledger_later(&time->position, at);
    }

    (void) ngx_atomic_fetch_add(&sh->stream.events, 1);
    sh->events[soft][kind]++;

    ngx_optcache_ledger_set(&sh->clock, clock);

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


void
ngx_optcache_ledger_placed(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, ngx_optcache_ledger_id_t *id,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_optcache_position_t       at;
    ngx_optcache_ledger_time_t   *time;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;
    at = ngx_optcache_ledger_position(id, 1);

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ticket) {
        ngx_optcache_ledger_over(ledger, ticket);
    }

    time = ngx_optcache_ledger_find(sh, event->mark);

    if (ngx_optcache_ledger_follows(ledger)) {
        ngx_optcache_ledger_at(sh, event->mark, time, at);
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


/*
 * An event of the mark is at "at" in the stream.  Until all of this host have
 * an answer it is not known where the last one is; and then it may be one of
 * those that were read meanwhile, or put there by another worker.
 */

static void
ngx_optcache_ledger_at(ngx_optcache_ledger_shctx_t *sh, uint64_t mark,
    ngx_optcache_ledger_time_t *time, ngx_optcache_position_t at)
{
    ngx_optcache_ledger_later(&sh->latest, at);

    if (time == NULL) {
        return;
    }

    if (time->position == NGX_OPTCACHE_POSITION_UNKNOWN
        && !ngx_optcache_ledger_awaits(sh, mark))
    {
        ngx_optcache_ledger_set(&time->position,
                                ngx_max(sh->latest, sh->least));
    }

    ngx_optcache_ledger_later(&time->position, at);
}


void
ngx_optcache_ledger_told(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ngx_optcache_ledger_follows(ledger)) {
        ngx_optcache_ledger_later(&ledger->sh->latest,
                                  ngx_optcache_ledger_position(id, 1));
    }

    ngx_optcache_ledger_over(ledger, ticket);

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


static ngx_optcache_ledger_time_t *
ngx_optcache_ledger_find(ngx_optcache_ledger_shctx_t *sh, uint64_t mark)
{
    ngx_uint_t                  i;
    ngx_optcache_ledger_set_t  *set;

    if (ngx_optcache_mark_kind(mark) == NGX_OPTCACHE_MARK_ALL) {
        return &sh->last[ngx_optcache_mark_soft(mark)][NGX_OPTCACHE_MARK_ALL];
    }

    set = &sh->sets[mark % NGX_OPTCACHE_LEDGER_SETS];

    for (i = 0; i < NGX_OPTCACHE_LEDGER_WAYS; i++) {
        if (set->ways[i].mark == mark) {
            return &set->ways[i].time;
        }
    }

    return NULL;
}


/* Gives a mark a place that has none. */

static ngx_optcache_ledger_time_t *
ngx_optcache_ledger_place(ngx_optcache_ledger_shctx_t *sh, uint64_t mark)
{
    ngx_optcache_ledger_set_t  *set;
    ngx_optcache_ledger_way_t  *way;

    set = &sh->sets[mark % NGX_OPTCACHE_LEDGER_SETS];
    way = ngx_optcache_ledger_room(set);

    if (way->mark) {
        ngx_optcache_ledger_later(&set->gone.position, way->time.position);

        if (way->time.clock > set->gone.clock) {
            ngx_optcache_ledger_set(&set->gone.clock, way->time.clock);
        }
    }

    /* it may be one of those that are gone itself */

    ngx_optcache_ledger_set(&way->time.position, set->gone.position);
    ngx_optcache_ledger_set(&way->time.clock, set->gone.clock);
    ngx_optcache_ledger_set(&way->mark, mark);

    return &way->time;
}


/* Not one whose position is not known yet, if that can be avoided. */

static ngx_optcache_ledger_way_t *
ngx_optcache_ledger_room(ngx_optcache_ledger_set_t *set)
{
    ngx_uint_t                  i;
    ngx_optcache_ledger_way_t  *way, *best;

    best = NULL;

    for (i = 0; i < NGX_OPTCACHE_LEDGER_WAYS; i++) {
        way = &set->ways[i];

        if (way->mark == 0) {
            return way;
        }

        if (way->time.position != NGX_OPTCACHE_POSITION_UNKNOWN
            && (best == NULL || way->time.clock < best->time.clock))
        {
            best = way;
        }
    }

    return best ? best : &set->ways[0];
}


uint64_t
ngx_optcache_ledger_events(ngx_optcache_ledger_t *ledger,
    ngx_optcache_mark_e kind, ngx_uint_t soft)
{
    return ngx_optcache_ledger_get(&ledger->sh->events[soft][kind]);
}
