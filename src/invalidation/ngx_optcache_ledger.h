
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The invalidations that this host knows of: a table of a fixed size in shared
 * memory, that holds for a mark when it was invalidated last.  Nothing is
 * looked for and nothing is removed when something is invalidated; an entry
 * is compared when it is wanted, with what came after it.
 *
 * Time is counted twice.  The clock is of this host: it grows by one with each
 * event, whoever it is from.  The position is of all hosts: the id of an event
 * in the stream, and of the last one that this host knows.  An entry in L1 is
 * compared by the clock, one in L2 by the position, as they were when upstream
 * began to be asked for it (so an answer that was under way when it was
 * invalidated is never used).
 *
 * The table holds some 30,000 marks that were invalidated last.  For those that
 * had to leave it, only the latest of a few is known: a mark may seem to be
 * invalidated later than it was, and never earlier.
 *
 * Locks: the mutex of the zone's slab pool, for who writes.  Readers take
 * none: places are written before the clock, read after it.
 *
 * An event of this host is written down until Redis has it, so that it reaches
 * the others also if its worker is killed, or Redis is not there.
 *
 * It is kept over a reload, and workers of several configurations know it then,
 * which may name different streams.  It is of that of the last one whose
 * workers have begun; the others neither read theirs, nor compare anything with
 * it.
 */


#ifndef _NGX_OPTCACHE_LEDGER_H_INCLUDED_
#define _NGX_OPTCACHE_LEDGER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_keeper.h"
#include "ngx_optcache_mark.h"


#define NGX_OPTCACHE_LEDGER_SIZE     (2 * 1024 * 1024)

/* events of this host that Redis does not have yet; more make it one: all */
#define NGX_OPTCACHE_LEDGER_PENDING  4096


/* milliseconds << 20 | number within one: the id of a stream as one word */
typedef uint64_t  ngx_optcache_position_t;

/* later than any: it is not known yet when, and no L2 entry will do */
#define NGX_OPTCACHE_POSITION_UNKNOWN  ((uint64_t) -1)


/* when an answer began to be asked for */

typedef struct {
    uint64_t                  clock;
    ngx_optcache_position_t   position;
} ngx_optcache_moment_t;


typedef enum {
    NGX_OPTCACHE_LEDGER_VALID = 0,
    NGX_OPTCACHE_LEDGER_SOFT,        /* to be taken as stale */
    NGX_OPTCACHE_LEDGER_GONE         /* never to be used again */
} ngx_optcache_ledger_verdict_e;


/* what the stream is doing, for the status; in shared memory */

typedef struct {
    ngx_atomic_t              up;        /* pid of who reads it; 0: cut off */
    ngx_shared_number_t       heard;     /* ms, ngx_redis_tracking_now() */
    ngx_atomic_t              since;     /* epoch s, of being so */
    ngx_atomic_t              events;    /* applied, all sources */
    ngx_atomic_t              gaps;      /* times events may have been lost */
    ngx_atomic_t              failed;    /* not understood */
    ngx_atomic_t              host;      /* a random number: who has told */
} ngx_optcache_ledger_stream_t;


/* the id of an event read from the stream: "ms-number" */

typedef struct {
    uint64_t                  ms;
    uint64_t                  number;
} ngx_optcache_ledger_id_t;


typedef struct ngx_optcache_ledger_shctx_s  ngx_optcache_ledger_shctx_t;

typedef struct {
    ngx_optcache_ledger_shctx_t  *sh;
    ngx_slab_pool_t              *shpool;
    uint64_t                      cycle;     /* the number of this one */
    uint64_t                      turn;      /* as this worker has begun with */
} ngx_optcache_ledger_t;


/* one event that Redis is to be told */

typedef struct {
    uint32_t                  slot;
    uint32_t                  number;    /* of those that had this slot */
} ngx_optcache_ledger_ticket_t;

#define NGX_OPTCACHE_LEDGER_FIRST  ((uint32_t) -1)


/*
 * Adds the shared memory zone at configuration; it is kept over a reload.
 * From cf->pool; NULL when out of memory or after an error was logged.
 */

ngx_optcache_ledger_t *ngx_optcache_ledger_create(ngx_conf_t *cf, void *tag);

/* Makes a ledger in its slab pool, when that is new; NGX_ERROR: no room. */

ngx_int_t ngx_optcache_ledger_init(ngx_optcache_ledger_t *ledger,
    ngx_log_t *log);

/*
 * A worker begins (init_process) that follows the stream "source", which is
 * told from others by this number; 0: none.  Whatever is known of another one
 * is unknown then, until the stream has been read.
 */

void ngx_optcache_ledger_enter(ngx_optcache_ledger_t *ledger,
    uint64_t source);

/*
 * Whether this worker is to exit, or those of another configuration have begun
 * since: what it asks for from then on is none of the cache's, as rules may
 * have changed.  After ngx_optcache_ledger_now(), a moment is as it was before.
 */

ngx_uint_t ngx_optcache_ledger_past(ngx_optcache_ledger_t *ledger);

/* Whether the ledger is of the stream that this worker has begun with. */

ngx_uint_t ngx_optcache_ledger_follows(ngx_optcache_ledger_t *ledger);

/* How far this host is: to be taken before an answer is asked for. */

void ngx_optcache_ledger_now(ngx_optcache_ledger_t *ledger,
    ngx_optcache_moment_t *moment);

/*
 * Compares what an entry has with all that came after "clock".  On VALID,
 * *clock is moved on as far as was looked, so that the next comparison is of
 * one word; not when marks->path is not known.
 */

ngx_optcache_ledger_verdict_e ngx_optcache_ledger_check(
    ngx_optcache_ledger_t *ledger, ngx_optcache_marks_t *marks,
    uint64_t *clock);

/*
 * The same for an entry of L2, by its position.  One that is later than what
 * this host has read is gone: it is of a host that is ahead, or of another
 * stream, of which no later event is known.  So are all if the ledger is not of
 * the stream of this worker.
 */

ngx_optcache_ledger_verdict_e ngx_optcache_ledger_check_l2(
    ngx_optcache_ledger_t *ledger, ngx_optcache_marks_t *marks,
    ngx_optcache_position_t position);

/* Whether any URI was invalidated at a later position. */

ngx_uint_t ngx_optcache_ledger_uris(ngx_optcache_ledger_t *ledger,
    ngx_optcache_position_t position);

/*
 * Applies an event.  "id": where in the stream it was read; NULL: it is of
 * this host, and Redis does not have it yet.  In force when it returns.
 */

void ngx_optcache_ledger_apply(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, ngx_optcache_ledger_id_t *id);

/*
 * Redis has put an event of this host, that was applied, at "id": when it is
 * read from there it is nothing new.  "ticket" is its own, which is over then;
 * NULL: it was read, and who has sent it may not know yet.  Where it is stays
 * unknown as long as Redis does not have another of the same mark.
 */

void ngx_optcache_ledger_placed(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, ngx_optcache_ledger_id_t *id,
    ngx_optcache_ledger_ticket_t *ticket);

/*
 * The stream: the last id that was read (0-0: none), to be set behind the
 * events up to it.  Like all that tells where in the stream something is, it
 * is not heard from a worker that does not follow it.
 */

void ngx_optcache_ledger_id(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id);
void ngx_optcache_ledger_read(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id);

/*
 * The stream begins at "id", as far as this host knows, which is the last that
 * was read from now on: L2 entries of before are no good, nor, with "lost",
 * are those of L1, nor if another stream was read before.  The event at "id" is
 * still to be applied, if it is one.  From then on no L2 entry is any good
 * until all of the stream has been read.  Returns whether those of L1 are not.
 */

ngx_uint_t ngx_optcache_ledger_reset(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, ngx_uint_t lost);

/*
 * Whether a host that has read nothing yet may have lost something: it was made
 * longer ago than it takes to begin to read.
 */

ngx_uint_t ngx_optcache_ledger_late(ngx_optcache_ledger_t *ledger);

/* All that was in the stream has been read: as it is without a reset. */

void ngx_optcache_ledger_whole(ngx_optcache_ledger_t *ledger);

/*
 * An event was written at "id" when there were none pending: all that were
 * applied up to "clock" are before it, and are taken to be there.  NGX_DECLINED
 * if there were others since, which are not known to be.
 */

ngx_int_t ngx_optcache_ledger_settle(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, uint64_t clock);

/*
 * Writes down an event that Redis is to be told, before it is sent.
 * NGX_DECLINED when there is no room: all is going to be invalidated
 * everywhere instead.
 */

ngx_int_t ngx_optcache_ledger_post(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, uint64_t now,
    ngx_optcache_ledger_ticket_t *ticket);

/*
 * Redis has put one that was told again at "id", where it is read as if it were
 * of another host; or it was not told, and whoever reads the stream will.
 */

void ngx_optcache_ledger_told(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_id_t *id, ngx_optcache_ledger_ticket_t *ticket);
void ngx_optcache_ledger_untold(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_ticket_t *ticket);

/*
 * Lets all be told again that Redis had since then (ms, as of
 * ngx_optcache_ledger_post()): it may have lost them before others read them.
 */

void ngx_optcache_ledger_again(ngx_optcache_ledger_t *ledger, uint64_t since);

/*
 * The next event after *ticket (with NGX_OPTCACHE_LEDGER_FIRST as its slot to
 * begin with) that was not told, or was sent before "before" and has no answer
 * yet; it counts as sent at "now" (both in ms of ngx_redis_tracking_now()).
 * NGX_DECLINED: no more.
 */

ngx_int_t ngx_optcache_ledger_overdue(ngx_optcache_ledger_t *ledger,
    uint64_t now, uint64_t before, ngx_optcache_event_t *event,
    ngx_optcache_ledger_ticket_t *ticket);

/* How many events of a kind were applied, soft ones or others. */

uint64_t ngx_optcache_ledger_events(ngx_optcache_ledger_t *ledger,
    ngx_optcache_mark_e kind, ngx_uint_t soft);

/* Events that Redis does not have yet. */

ngx_uint_t ngx_optcache_ledger_pending(ngx_optcache_ledger_t *ledger);

/* Those of them that Redis has refused, or did not answer for. */

ngx_uint_t ngx_optcache_ledger_refused(ngx_optcache_ledger_t *ledger);

/* Who reads the stream, and how it is. */

ngx_keeper_t *ngx_optcache_ledger_keeper(ngx_optcache_ledger_t *ledger);
ngx_optcache_ledger_stream_t *ngx_optcache_ledger_stream(
    ngx_optcache_ledger_t *ledger);


#endif /* _NGX_OPTCACHE_LEDGER_H_INCLUDED_ */
