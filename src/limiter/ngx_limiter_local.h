
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The limits of this host, in the shared memory of a zone.  Without Redis
 * they are the limits; with it they mirror what it last said, which refuses
 * a subject that has nothing left without asking again, and takes over with
 * what is known when Redis does not answer.
 *
 * Windows in a slot of ngx_limiter_table.h, 16 bytes each:
 *
 *     0  period     4   ms
 *     4  used       4   the low 32 bits
 *     8  end        6   ms of the clock below
 *    14  used       2   the high 16 bits
 *
 * Locks: one mutex per zone, the one of its slab pool.  Several are taken in
 * the order of the zones' names, which a reload does not change.
 */


#ifndef _NGX_LIMITER_LOCAL_H_INCLUDED_
#define _NGX_LIMITER_LOCAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_rate.h"
#include "ngx_limiter_table.h"
#include "ngx_limiter_window.h"


typedef struct {
    ngx_str_t                 name;

    ngx_limiter_rate_t        rates[NGX_LIMITER_MAX_RATES];
    ngx_uint_t                nrates;

    /* the numbers of "rates" as text, for the script */
    ngx_str_t                 args[NGX_LIMITER_MAX_RATES * 2];

    ngx_slab_pool_t          *shpool;
    ngx_limiter_table_t      *table;
} ngx_limiter_zone_t;


/*
 * Milliseconds of a clock that all processes of this host share and that is
 * never set.  Not ngx_current_msec, which lags: what it says a window's end
 * is would be too early by as much.
 */

uint64_t ngx_limiter_local_now(void);

/*
 * Makes the table of a zone, or checks the one that is there and makes room
 * in it for the rates the zone has now; then everything known is forgotten.
 * Called by the zone's init handler.  Errors are logged.
 */

ngx_int_t ngx_limiter_local_init(ngx_limiter_zone_t *zone, ngx_log_t *log);

/*
 * Opens "w" (zone->nrates windows) as they stand at "now".  The key is
 * the one in shared memory, of ngx_limiter_subject.h.  Changes nothing but the
 * order of use.
 */

void ngx_limiter_local_look(ngx_limiter_zone_t *zone, ngx_str_t *key,
    ngx_limiter_window_t *w, uint64_t now);

/* Remembers what Redis said. */

void ngx_limiter_local_learn(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_window_t *w);

/* The same two for a caller that holds the locks of several zones. */

void ngx_limiter_local_load(ngx_limiter_zone_t *zone, ngx_str_t *key,
    ngx_limiter_window_t *w, uint64_t now);
void ngx_limiter_local_save(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_window_t *w);

#define ngx_limiter_local_lock(zone)                                          \
    ngx_shmtx_lock(&(zone)->shpool->mutex)
#define ngx_limiter_local_unlock(zone)                                        \
    ngx_shmtx_unlock(&(zone)->shpool->mutex)


#endif /* _NGX_LIMITER_LOCAL_H_INCLUDED_ */
