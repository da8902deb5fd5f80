
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whose the ledger is, when a reload has workers of several configurations.
 *
 * The master gives each configuration a number, as it takes the memory over;
 * its workers make it the current one when they begin, since what fails after
 * that has none.  From then on workers of before are past.
 *
 * If it names another stream, that is a turn: "turn" is written first, so that
 * who has compared anything with what comes after it finds that out.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger_shm.h"


static void ngx_optcache_ledger_turn(ngx_optcache_ledger_shctx_t *sh,
    uint64_t source, ngx_uint_t first);
static void ngx_optcache_ledger_move(ngx_optcache_ledger_shctx_t *sh);
static void ngx_optcache_ledger_forget(ngx_optcache_ledger_time_t *time);


void
ngx_optcache_ledger_enter(ngx_optcache_ledger_t *ledger, uint64_t source)
{
    ngx_uint_t                    first;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ledger->cycle < sh->cycle) {
        /* it was slow to begin */
        ledger->turn = sh->turn - 1;

        ngx_shmtx_unlock(&ledger->shpool->mutex);
        return;
    }

    first = (sh->cycle == 0);

    ngx_optcache_ledger_set(&sh->cycle, ledger->cycle);

    if (source != sh->source) {
        ngx_optcache_ledger_turn(sh, source, first);
    }

    ledger->turn = sh->turn;

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


/*
 * Nobody has read the stream until now, and what this host has invalidated
 * meanwhile may be in none: what is read must not seem to be later than that.
 */

static void
ngx_optcache_ledger_turn(ngx_optcache_ledger_shctx_t *sh, uint64_t source,
    ngx_uint_t first)
{
    ngx_optcache_ledger_set(&sh->turn, sh->turn + 1);
    ngx_optcache_ledger_set(&sh->floor, NGX_OPTCACHE_POSITION_UNKNOWN);
    ngx_memory_barrier();

    if (!first) {
        sh->least = NGX_OPTCACHE_POSITION_UNKNOWN;
    }

    if (source && source != sh->read) {
        sh->moved = !first;
        ngx_optcache_ledger_move(sh);
        ngx_memory_barrier();
        sh->read = source;
    }

    /* who reads goes on in one of those that begin now */

    sh->stream.up = 0;
    sh->stream.since = ngx_time();
    sh->keeper.pid = 0;

    /* the last, or whoever comes after one that dies here would go on */

    ngx_memory_barrier();
    sh->source = source;
}


/* Of all marks it is known that they were invalidated, and no more. */

static void
ngx_optcache_ledger_move(ngx_optcache_ledger_shctx_t *sh)
{
    ngx_uint_t                  i, j;
    ngx_optcache_ledger_set_t  *set;

    for (i = 0; i < NGX_OPTCACHE_LEDGER_SETS; i++) {
        set = &sh->sets[i];

        ngx_optcache_ledger_forget(&set->gone);

        for (j = 0; j < NGX_OPTCACHE_LEDGER_WAYS; j++) {
            ngx_optcache_ledger_forget(&set->ways[j].time);
        }
    }

    for (i = 0; i < 2; i++) {
        for (j = 0; j < NGX_OPTCACHE_MARK_KINDS; j++) {

            /*
             * The clock of all is also that of a ledger that is new; its
             * position is also that of a gap.
             */

            if (sh->events[i][j] || sh->last[i][j].position) {
                ngx_optcache_ledger_forget(&sh->last[i][j]);
            }
        }
    }

    ngx_memzero(&sh->id, sizeof(ngx_optcache_ledger_id_t));

    sh->begin = NGX_OPTCACHE_POSITION_UNKNOWN;
    sh->latest = 0;
    ngx_optcache_ledger_set(&sh->position, 0);
}


static void
ngx_optcache_ledger_forget(ngx_optcache_ledger_time_t *time)
{
    if (time->clock) {
        ngx_optcache_ledger_set(&time->position,
                                NGX_OPTCACHE_POSITION_UNKNOWN);
    }
}


ngx_uint_t
ngx_optcache_ledger_past(ngx_optcache_ledger_t *ledger)
{
    return ngx_exiting
           || ledger->cycle < ngx_optcache_ledger_get(&ledger->sh->cycle);
}


ngx_uint_t
ngx_optcache_ledger_follows(ngx_optcache_ledger_t *ledger)
{
    return ledger->turn == ngx_optcache_ledger_get(&ledger->sh->turn);
}


ngx_keeper_t *
ngx_optcache_ledger_keeper(ngx_optcache_ledger_t *ledger)
{
    return &ledger->sh->keeper;
}


ngx_optcache_ledger_stream_t *
ngx_optcache_ledger_stream(ngx_optcache_ledger_t *ledger)
{
    return &ledger->sh->stream;
}
