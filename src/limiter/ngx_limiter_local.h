
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The limits of this host, in the shared memory of a zone.  Without Redis
 * they are the limits; with it they mirror what it last said, which refuses
 * a subject that has nothing left without asking again, holds the units that
 * were leased, and takes over when Redis does not answer: with this host's
 * share of what was left then.
 *
 * The payload of a slot of ngx_limiter_table.h:
 *
 *     0  lease       4   units taken from Redis and not spent yet
 *     4  lease_end   4   ms, the low bits of the clock below
 *     8  told        4   ms, the low bits of the clock of Redis when it spoke
 *    12  era         2   of ngx_limiter_fleet.h, when it did
 *    14  refill     12   bits; 1/16 s: until then a lease is on its way
 *        life        4   bits, of ngx_limiter_fleet.h: that "told" is of
 *    16  records         28 bytes for each rate, 31 in a sliding_window zone:
 *
 *     0  period     32   bits; ms; 0: no record
 *        used       48   see ngx_limiter_state.h
 *        own        48
 *        time       48   ms of the clock below
 *        told       48
 *
 *     0  period     32   sliding_window, whose limits are below 2^32, and
 *        prev       32   whose counters below 2^52 / period, that is 2^43
 *        own_prev   32
 *        used       43
 *        own        43
 *        time       41
 *        told       24
 *        prev_told   1
 *
 * Locks: one mutex per zone, the one of its slab pool.  Several are taken in
 * the order of the zones' names, which a reload does not change.
 */


#ifndef _NGX_LIMITER_LOCAL_H_INCLUDED_
#define _NGX_LIMITER_LOCAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_rate.h"
#include "ngx_limiter_state.h"
#include "ngx_limiter_table.h"


typedef struct {
    ngx_str_t                 name;

    /* algorithm and burst; the rates too, unless one is from a variable */
    ngx_limiter_policy_t      policy;

    ngx_uint_t                nrates;    /* a policy has at most so many */

    uint64_t                  lease;     /* units at a time; 0 or 1: none */

    ngx_slab_pool_t          *shpool;
    ngx_limiter_table_t      *table;
    uint64_t                  cycle;     /* the number of its configuration */
    ngx_atomic_t             *life;      /* of the fleet; NULL: no Redis */

    unsigned                  variable:1;  /* items have their own policy */
    unsigned                  several:1;   /* rates: their names tell which */
    unsigned                  returns:1;   /* units come back: who has none now
                                              may have some in a moment */
} ngx_limiter_zone_t;


/* a slot's payload, unpacked */

typedef struct {
    uint32_t                  lease;
    uint32_t                  lease_end;
    uint32_t                  told;
    uint16_t                  era;
    uint16_t                  refill;
    uint16_t                  life;
    void                     *slot;      /* it is in; NULL: in none yet */
    ngx_limiter_state_t       state;
} ngx_limiter_entry_t;


/*
 * Milliseconds of a clock that all processes of this host share and that is
 * never set.  Not ngx_current_msec, which lags: what it says a window's end
 * is would be too early by as much.
 */

uint64_t ngx_limiter_local_now(void);

/*
 * Makes the table of a zone, or checks whether the one that is there has room
 * for the rates the zone has now.  Called by the zone's init handler, when the
 * configuration may still come to nothing.  Errors are logged.
 */

ngx_int_t ngx_limiter_local_init(ngx_limiter_zone_t *zone, ngx_log_t *log);

/*
 * Lays the table out as the zone is now, if it is laid out otherwise;
 * everything known is forgotten then.  Called by each worker when it begins.
 */

void ngx_limiter_local_enter(ngx_limiter_zone_t *zone);

/*
 * All below are called with the zone locked.  The key is the one in shared
 * memory, of ngx_limiter_subject.h.
 *
 * _load() reads what is known into "entry", its state as it is at "now" under
 * the policy; returns NGX_DECLINED when nothing is known, and the entry is that
 * of a new subject.  _save() stores an entry, at the cost of the least recently
 * used one if there is no room.
 */

ngx_int_t ngx_limiter_local_load(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_policy_t *policy, ngx_limiter_entry_t *entry,
    uint64_t now);
void ngx_limiter_local_save(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_entry_t *entry);

/*
 * Stores no more than entry->lease and entry->refill of an entry that was
 * loaded under this same lock, and has a slot.
 */

void ngx_limiter_local_spend(ngx_limiter_entry_t *entry);

/* The payload of a slot, as it is stored: for whoever walks the table. */

void ngx_limiter_local_unpack(ngx_limiter_zone_t *zone, void *payload,
    ngx_limiter_entry_t *entry);

/* Whether the lease of an entry is good, at "now". */

#define ngx_limiter_local_leased(entry, now)                                  \
    ((int32_t) ((entry)->lease_end - (uint32_t) (now)) > 0)

/* That of now, as slots have it: of whose "told" is still told. */

#define ngx_limiter_local_life(zone)                                          \
    ((zone)->life ? (uint16_t) (*(zone)->life & 0xf) : 0)

/*
 * Forgets one subject; forgets all.  The number is another one afterwards: what
 * was asked before must not be learned any more.
 */

void ngx_limiter_local_forget(ngx_limiter_zone_t *zone, ngx_str_t *key);
void ngx_limiter_local_forget_all(ngx_limiter_zone_t *zone);

#define ngx_limiter_local_forgets(zone)  ((zone)->table->forgets)

#define ngx_limiter_local_lock(zone)                                          \
    ngx_shmtx_lock(&(zone)->shpool->mutex)
#define ngx_limiter_local_unlock(zone)                                        \
    ngx_shmtx_unlock(&(zone)->shpool->mutex)


/*
 * What was decided in a zone on this host, since its memory was made: counted
 * without the lock, in a slot of the worker's, and summed when it is read.
 */

typedef enum {
    NGX_LIMITER_TALLY_PASSED = 0,        /* all that were let in */
    NGX_LIMITER_TALLY_DELAYED,           /* those of them that had to wait */
    NGX_LIMITER_TALLY_REJECTED,          /* all that were refused */
    NGX_LIMITER_TALLY_KNOWN,             /* those of them nobody had to ask */
    NGX_LIMITER_TALLY_DRY_RUN,           /* would have been refused */
    NGX_LIMITER_TALLY_SKIPPED,           /* not decided, for want of Redis */
    NGX_LIMITER_TALLY_LOCAL,             /* decided here, for want of Redis */
    NGX_LIMITER_TALLY_LEASED,            /* paid from a lease */
    NGX_LIMITER_TALLY_BOOKED,            /* units charged afterwards */
    NGX_LIMITER_TALLIES
} ngx_limiter_tally_e;

#define ngx_limiter_local_tally(zone, what, n)                                \
    ngx_shared_number_add(ngx_limiter_table_counter((zone)->table,            \
                                                    ngx_worker, what), n)

uint64_t ngx_limiter_local_tallied(ngx_limiter_zone_t *zone,
    ngx_limiter_tally_e what);


#endif /* _NGX_LIMITER_LOCAL_H_INCLUDED_ */
