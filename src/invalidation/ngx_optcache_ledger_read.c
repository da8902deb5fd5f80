
/*
 * Copyright (C) The Optcache authors
 */


/*
 * How far this host has read the stream, and what becomes of positions when it
 * is another one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger_shm.h"
#include "ngx_redis_tracking.h"


/* ms from a start to the first read, as it is when Redis is there */
#define NGX_OPTCACHE_LEDGER_LATE  5000


static void ngx_optcache_ledger_set_id(ngx_optcache_ledger_shctx_t *sh,
    ngx_optcache_ledger_id_t *id);
static void ngx_optcache_ledger_unplace(ngx_optcache_ledger_shctx_t *sh);
static void ngx_optcache_ledger_anew(ngx_optcache_ledger_time_t *time,
    ngx_optcache_position_t least);
static void ngx_optcache_ledger_before(ngx_optcache_ledger_time_t *time,
    uint64_t clock, ngx_optcache_position_t at);
static void ngx_optcache_ledger_known(ngx_optcache_position_t *position,
    ngx_optcache_position_t at);


ngx_optcache_position_t
ngx_optcache_ledger_position(ngx_optcache_ledger_id_t *id, ngx_uint_t event)
{
    uint64_t  number;

    if (id->ms >= NGX_OPTCACHE_LEDGER_END) {
        /* not a time, but an application may write it */
        return NGX_OPTCACHE_POSITION_UNKNOWN - 1 - !event;
    }

    number = ngx_min(id->number, NGX_OPTCACHE_LEDGER_MANY - !event);

    return id->ms << NGX_OPTCACHE_LEDGER_BITS | number;
}


void
ngx_optcache_ledger_later(ngx_optcache_position_t *position,
    ngx_optcache_position_t at)
{
    if (at > *position) {
        ngx_optcache_ledger_set(position, at);
    }
}


void
ngx_optcache_ledger_id(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id)
{
    ngx_shmtx_lock(&ledger->shpool->mutex);
    *id = ledger->sh->id;
    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


ngx_uint_t
ngx_optcache_ledger_late(ngx_optcache_ledger_t *ledger)
{
    return ngx_redis_tracking_now() - ledger->sh->made
           >= NGX_OPTCACHE_LEDGER_LATE;
}


void
ngx_optcache_ledger_read(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id)
{
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ngx_optcache_ledger_follows(ledger)
        && (id->ms > sh->id.ms
            || (id->ms == sh->id.ms && id->number > sh->id.number)))
    {
        ngx_optcache_ledger_set(&sh->position,
                                ngx_optcache_ledger_position(id, 0));
        ngx_optcache_ledger_set_id(sh, id);
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


/*
 * Whoever comes after one that dies here reads some of it again, and leaves
 * nothing out: a number of before does not get into another millisecond.
 */

static void
ngx_optcache_ledger_set_id(ngx_optcache_ledger_shctx_t *sh,
    ngx_optcache_ledger_id_t *id)
{
    if (sh->id.ms != id->ms) {
        ngx_optcache_ledger_set(&sh->id.number, 0);
        ngx_optcache_ledger_set(&sh->id.ms, id->ms);
    }

    ngx_optcache_ledger_set(&sh->id.number, id->number);
}


/*
 * Positions of before say nothing of a stream that is another one: they may be
 * later than any of this.  What is older than "id" is refused as a whole.  But
 * what this host has invalidated before a turn may be in none, and a hello may
 * have told where it is before any of the stream was read: it stays there.
 *
 * "id" is written last: whoever comes after one that dies here begins anew.
 */

ngx_uint_t
ngx_optcache_ledger_reset(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, ngx_uint_t lost)
{
    uint64_t                      clock;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (!ngx_optcache_ledger_follows(ledger)) {
        ngx_shmtx_unlock(&ledger->shpool->mutex);
        return 0;
    }

    ngx_optcache_ledger_set(&sh->floor, NGX_OPTCACHE_POSITION_UNKNOWN);
    ngx_memory_barrier();

    ngx_optcache_ledger_unplace(sh);

    sh->begin = ngx_optcache_ledger_position(id, 0);

    if (lost) {

        if (sh->id.ms < NGX_OPTCACHE_LEDGER_END) {
            /* it may have lost its end only, and of that some was read */
            sh->begin = ngx_max(sh->begin, sh->position);
        }

        ngx_optcache_ledger_later(
                              &sh->last[0][NGX_OPTCACHE_MARK_ALL].position,
                              sh->begin);
    }

    sh->latest = sh->begin;

    ngx_optcache_ledger_set(&sh->position, sh->begin);

    lost |= sh->moved;

    if (lost) {
        clock = sh->clock + 1;

        ngx_optcache_ledger_set(&sh->last[0][NGX_OPTCACHE_MARK_ALL].clock,
                                clock);
        ngx_optcache_ledger_set(&sh->clock, clock);

        (void) ngx_atomic_fetch_add(&sh->stream.gaps, 1);
    }

    ngx_memory_barrier();
    sh->moved = 0;

    ngx_memory_barrier();
    ngx_optcache_ledger_set_id(sh, id);

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return lost;
}


/*
 * All marks get the least position that there may be, in place of their own;
 * where that of one is not known, it stays so.
 */

static void
ngx_optcache_ledger_unplace(ngx_optcache_ledger_shctx_t *sh)
{
    ngx_uint_t                  i, j;
    ngx_optcache_ledger_set_t  *set;

    for (i = 0; i < NGX_OPTCACHE_LEDGER_SETS; i++) {
        set = &sh->sets[i];

        ngx_optcache_ledger_anew(&set->gone, sh->least);

        for (j = 0; j < NGX_OPTCACHE_LEDGER_WAYS; j++) {
            ngx_optcache_ledger_anew(&set->ways[j].time, sh->least);
        }
    }

    /*
     * "last" of a kind may be that of one whose position is not known; the
     * clock of all is not that of an event, if there was none.
     */

    for (i = 0; i < 2; i++) {
        ngx_optcache_ledger_anew(&sh->last[i][NGX_OPTCACHE_MARK_ALL],
                                 sh->events[i][NGX_OPTCACHE_MARK_ALL]
                                 ? sh->least : 0);
    }
}


static void
ngx_optcache_ledger_anew(ngx_optcache_ledger_time_t *time,
    ngx_optcache_position_t least)
{
    if (time->position != NGX_OPTCACHE_POSITION_UNKNOWN) {
        ngx_optcache_ledger_set(&time->position, time->clock ? least : 0);
    }
}


void
ngx_optcache_ledger_whole(ngx_optcache_ledger_t *ledger)
{
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ngx_optcache_ledger_follows(ledger)) {
        ngx_optcache_ledger_set(&sh->floor, sh->begin);
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


ngx_int_t
ngx_optcache_ledger_settle(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, uint64_t clock)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, j;
    ngx_optcache_position_t       at;
    ngx_optcache_ledger_set_t    *set;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;
    at = ngx_optcache_ledger_position(id, 1);

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (!ngx_optcache_ledger_follows(ledger)) {
        ngx_shmtx_unlock(&ledger->shpool->mutex);
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_OPTCACHE_LEDGER_SETS; i++) {
        set = &sh->sets[i];

        ngx_optcache_ledger_before(&set->gone, clock, at);

        for (j = 0; j < NGX_OPTCACHE_LEDGER_WAYS; j++) {
            ngx_optcache_ledger_before(&set->ways[j].time, clock, at);
        }
    }

    for (i = 0; i < 2; i++) {
        for (j = 0; j < NGX_OPTCACHE_MARK_KINDS; j++) {
            ngx_optcache_ledger_before(&sh->last[i][j], clock, at);
        }
    }

    ngx_optcache_ledger_known(&sh->least, at);

    rc = (sh->clock == clock) ? NGX_OK : NGX_DECLINED;

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return rc;
}


static void
ngx_optcache_ledger_before(ngx_optcache_ledger_time_t *time, uint64_t clock,
    ngx_optcache_position_t at)
{
    if (time->clock <= clock) {
        ngx_optcache_ledger_known(&time->position, at);
    }
}


static void
ngx_optcache_ledger_known(ngx_optcache_position_t *position,
    ngx_optcache_position_t at)
{
    if (*position == NGX_OPTCACHE_POSITION_UNKNOWN) {
        ngx_optcache_ledger_set(position, at);
    }
}
