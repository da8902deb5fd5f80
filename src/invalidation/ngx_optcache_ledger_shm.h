
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The inside of the ledger: what lies in shared memory.  Only
 * ngx_optcache_ledger*.c include it.
 *
 * A mark is in the set that it hashes to, if it is the only one that was
 * invalidated there, or one of the last few; "gone" of the set is the latest
 * of what had to leave, and holds for all marks that are not in it.  So a mark
 * may seem to be invalidated later than it was, and never earlier.  "last" is
 * that of all marks of one kind.
 *
 * A reader takes no lock: it reads the clock, then marks, then "gone"; a
 * writer writes "gone", then marks, then the clock.
 */


#ifndef _NGX_OPTCACHE_LEDGER_SHM_H_INCLUDED_
#define _NGX_OPTCACHE_LEDGER_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger.h"


#define NGX_OPTCACHE_LEDGER_MAGIC    0x474c434f     /* "OCLG" */
#define NGX_OPTCACHE_LEDGER_VERSION  6

#define NGX_OPTCACHE_LEDGER_WAYS     4
#define NGX_OPTCACHE_LEDGER_SETS     8192

/* of a position: the number of an event within its millisecond */

#define NGX_OPTCACHE_LEDGER_BITS  20
#define NGX_OPTCACHE_LEDGER_MANY  ((1 << NGX_OPTCACHE_LEDGER_BITS) - 1)

/* of milliseconds */

#define NGX_OPTCACHE_LEDGER_END                                               \
    ((NGX_OPTCACHE_POSITION_UNKNOWN >> NGX_OPTCACHE_LEDGER_BITS) - 1)


typedef struct {
    uint64_t                     clock;
    ngx_optcache_position_t      position;
} ngx_optcache_ledger_time_t;


typedef struct {
    uint64_t                     mark;      /* 0: none */
    ngx_optcache_ledger_time_t   time;
} ngx_optcache_ledger_way_t;


/* two cache lines */

typedef struct {
    ngx_optcache_ledger_time_t   gone;
    ngx_optcache_ledger_way_t    ways[NGX_OPTCACHE_LEDGER_WAYS];
    uint64_t                     unused[2];
} ngx_optcache_ledger_set_t;


typedef enum {
    NGX_OPTCACHE_LEDGER_FREE = 0,
    NGX_OPTCACHE_LEDGER_SENT,
    NGX_OPTCACHE_LEDGER_UNTOLD
} ngx_optcache_ledger_state_e;


typedef struct {
    uint64_t                     mark;
    uint64_t                     sent;      /* ms */
    uint32_t                     prefix;
    uint32_t                     number;
    uint32_t                     state;
    uint32_t                     unused;
} ngx_optcache_ledger_pending_t;


struct ngx_optcache_ledger_shctx_s {
    uint32_t                       magic;
    uint32_t                       version;

    uint64_t                       clock;
    ngx_optcache_position_t        position;  /* of the last that was read */
    ngx_optcache_position_t        floor;     /* L2 of before is no good */
    ngx_optcache_position_t        begin;     /* what it is, or going to be
                                                 when all has been read */

    uint64_t                       cycle;     /* whose workers began last */
    uint64_t                       turn;      /* times the stream was another
                                                 one, or there was none */

    /* hard and soft */
    ngx_optcache_ledger_time_t     last[2][NGX_OPTCACHE_MARK_KINDS];

    /* events of each kind, hard and soft, under the mutex */
    uint64_t                       events[2][NGX_OPTCACHE_MARK_KINDS];

    /* lengths that prefixes have had, a bit for each */
    uint64_t                       lengths[(NGX_OPTCACHE_MARK_PREFIX_MAX + 1)
                                           / 64];

    ngx_keeper_t                   keeper;
    ngx_optcache_ledger_stream_t   stream;

    /* below: under the mutex of the zone */

    uint64_t                       made;      /* ms, when it was */
    uint64_t                       cycles;    /* numbers given to them */
    uint64_t                       source;    /* the stream; 0: none */
    uint64_t                       read;      /* the one that "id" is of */

    ngx_optcache_ledger_id_t       id;        /* of "position", in full */
    ngx_optcache_position_t        least;     /* of what is known of a mark
                                                 since the turn, all of before
                                                 included; UNKNOWN: nothing */
    ngx_optcache_position_t        latest;    /* of an event of the stream,
                                                 read or put there */
    ngx_uint_t                     moved;     /* L1 is of another stream */

    ngx_uint_t                     npending;
    ngx_uint_t                     counting;  /* it is being changed */
    ngx_uint_t                     hint;      /* a slot that may be free */
    ngx_optcache_ledger_pending_t  overflow;  /* all, in place of many */
    ngx_optcache_ledger_pending_t *pending;

    ngx_optcache_ledger_set_t     *sets;
};


/*
 * The position of an entry of the stream, which is an event, or is not.  Events
 * beyond what a word can count within a millisecond seem to be later than any
 * host knows, until that is over.
 */

ngx_optcache_position_t ngx_optcache_ledger_position(
    ngx_optcache_ledger_id_t *id, ngx_uint_t event);

/* Moves a position to "at", if that is later. */

void ngx_optcache_ledger_later(ngx_optcache_position_t *position,
    ngx_optcache_position_t at);

/*
 * Whether there is an event of this mark that Redis does not have yet; and that
 * it has that of the ticket.  Called with the zone locked.
 */

ngx_uint_t ngx_optcache_ledger_awaits(ngx_optcache_ledger_shctx_t *sh,
    uint64_t mark);
void ngx_optcache_ledger_over(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_ticket_t *ticket);


#define ngx_optcache_ledger_get(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ngx_optcache_ledger_set(p, v)  __atomic_store_n(p, v, __ATOMIC_RELEASE)


#endif /* _NGX_OPTCACHE_LEDGER_SHM_H_INCLUDED_ */
