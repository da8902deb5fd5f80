
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What is known of one subject in one zone, and what it means: a record for
 * each rate, and the arithmetic of the three algorithms over them.
 *
 * fixed_window.  The window opens at the subject's first request, lasts for
 * the period of the rate and admits "limit" units.
 *
 * sliding_window.  Windows follow one another from the subject's first request
 * on; the one before counts for the part of it that a window ending now would
 * still cover: used + prev * left / period <= limit, computed as
 *
 *     used * period + prev * left <= limit * period        (left = time - now)
 *
 * gcra.  limit_req's leaky bucket (ITU-T I.371, the generic cell rate
 * algorithm).  The level is counted in 1/period of a unit: a unit adds
 * "period", a millisecond takes "limit" away, and what is admitted never
 * lifts it above (burst + 1) * period.  A level keeps its meaning when the
 * limit changes: what was used stays used.
 *
 * All numbers are integers below 2^48, all products below 2^52
 * (ngx_limiter_policy_check()): who counts in doubles, as the Lua of Redis
 * does, counts exactly.  The Lua text of ngx_limiter_script.c does the same
 * arithmetic on the same records.
 *
 * On a host that has lost Redis, "used" and "prev" are what Redis last said,
 * "own" and "own_prev" what was admitted here since.  The host may use its
 * share of what the former leave.  When Redis is back it is told of them, and
 * yet they stay for as long as other hosts may not have told it of theirs:
 * "told" and "prev_told" are what it knows of them.
 *
 * Pure: time is an argument, in milliseconds of any clock, as long as it is
 * the same one for the same records.
 */


#ifndef _NGX_LIMITER_STATE_H_INCLUDED_
#define _NGX_LIMITER_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_rate.h"


#define NGX_LIMITER_FIXED_WINDOW    1
#define NGX_LIMITER_SLIDING_WINDOW  2
#define NGX_LIMITER_GCRA            3

/* what a counter holds, in Redis and in shared memory */
#define NGX_LIMITER_MAX_COUNT       (((uint64_t) 1 << 48) - 1)

/* units one request may cost: "cost", "charge" */
#define NGX_LIMITER_MAX_COST        ((uint64_t) 1000000000000)

/* milliseconds that never pass */
#define NGX_LIMITER_NEVER           ((uint64_t) -1)


/* What a zone asks of a subject this time: rates may come from variables. */

typedef struct {
    ngx_uint_t                algorithm; /* NGX_LIMITER_FIXED_WINDOW, .. */
    uint64_t                  burst;     /* units, gcra only */
    ngx_uint_t                nrates;
    ngx_limiter_rate_t        rates[NGX_LIMITER_MAX_RATES];
    u_char                    from[NGX_LIMITER_MAX_RATES];   /* which one, of
                                            those that are configured */
} ngx_limiter_policy_t;


typedef struct {
    uint64_t                  period;    /* ms, tells whose record it is */
    uint64_t                  time;      /* ms: the window's end, the first
                                            one outside; gcra: when the level
                                            was computed */
    uint64_t                  used;      /* units; gcra: the level */
    uint64_t                  prev;      /* units, sliding_window only */
    uint64_t                  own;       /* units; gcra: the level of what was
                                            admitted here, times the hosts */
    uint64_t                  own_prev;  /* units, sliding_window only */
    uint64_t                  told;      /* of "own" */
    ngx_uint_t                prev_told; /* 1: all of "own_prev"; 0: none */
} ngx_limiter_record_t;


/*
 * The first policy->nrates records of an opened state are those of the rates,
 * in their order; behind them are records of other periods that still count,
 * kept for when the rates change back.
 */

typedef struct {
    ngx_uint_t                n;
    ngx_limiter_record_t      records[NGX_LIMITER_MAX_RATES];
} ngx_limiter_state_t;


/* This host among those that share a limit: rank is 0 .. hosts - 1. */

typedef struct {
    ngx_uint_t                hosts;
    ngx_uint_t                rank;
} ngx_limiter_share_t;


/*
 * Whether the arithmetic is exact for the rate under the algorithm and burst:
 * NGX_OK, or NGX_ERROR with *err set to a static C string.  Called for every
 * rate, at configuration and for those of variables at run time.  limit may
 * be 0: nothing is admitted then.
 */

ngx_int_t ngx_limiter_policy_check(ngx_uint_t algorithm, uint64_t burst,
    const ngx_limiter_rate_t *rate, const char **err);


/*
 * Fills "state" with what "from" (of any number of records, in any order, as
 * stored) means at the time "now": records are found by their period, so that
 * what was used stays used when the rates change; windows that have ended are
 * opened anew or moved on, levels have leaked.  A clock that stepped back
 * never makes a window end later than one period from now.  Others that still
 * count are appended as they were, as long as there is room.
 *
 * Returns 1 if the clock was found to have stepped back, so that the result
 * must be stored for time to pass at all; else 0.
 */

ngx_uint_t ngx_limiter_state_open(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t now);

/*
 * The units that have room now under every rate: the number of requests of
 * cost 1 that would be admitted together.  "share" NULL: all of what is left,
 * "own" counted as used; else what this host may use of it.  A share of a gcra
 * rate is at least one unit at a time, at the host's part of the rate.
 */

uint64_t ngx_limiter_state_room(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t now,
    const ngx_limiter_share_t *share);

/* The same under one rate. */

uint64_t ngx_limiter_state_rate_room(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t now,
    const ngx_limiter_share_t *share);

/*
 * Counts units under every rate, as "used", or as "own" if "share" is given;
 * never above NGX_LIMITER_MAX_COUNT.  _uncount() takes units back that were
 * counted as used, never below 0.
 */

void ngx_limiter_state_count(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units,
    const ngx_limiter_share_t *share);
void ngx_limiter_state_uncount(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units);

/* Units as they are counted under rate i: gcra: a level, times the hosts. */

uint64_t ngx_limiter_state_units(const ngx_limiter_policy_t *policy,
    ngx_uint_t i, uint64_t units, ngx_uint_t hosts);

/*
 * Takes "units" back of those that were counted at "since", of which "kept"
 * remain; from "own" if "share" is given.  What was counted in a window that
 * counts no more, or has leaked, is not taken back: nobody else has used it.
 */

void ngx_limiter_state_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, uint64_t kept,
    uint64_t since, const ngx_limiter_share_t *share);

/*
 * The largest counter whose product with the period is exact: no record of a
 * rate holds more.
 */

uint64_t ngx_limiter_state_max(ngx_uint_t algorithm, uint64_t period);

/*
 * Milliseconds from "now" until "need" units have room under rate i if nobody
 * else comes, 0 if they have it, neither too few nor too many;
 * NGX_LIMITER_NEVER if they will never have.
 */

uint64_t ngx_limiter_state_retry(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t need,
    uint64_t now, const ngx_limiter_share_t *share);

/* Milliseconds until nothing that was used under rate i counts any more. */

uint64_t ngx_limiter_state_reset(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t i, uint64_t now);

/*
 * For gcra, after a unit was counted: the milliseconds the request has to wait
 * so that what leaves the bucket keeps to the rates, if an excess of "delay"
 * units need not wait (limit_req's delay=).  0 for the other algorithms.
 */

uint64_t ngx_limiter_state_delay(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t delay,
    const ngx_limiter_share_t *share);

/*
 * The index of the rate to tell the client about: the one with the least room,
 * the one that resets later if two have equally little.  If "need" units do
 * not have room, the one among those that refuse them that does so longest.
 */

ngx_uint_t ngx_limiter_state_tightest(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t need, uint64_t now,
    const ngx_limiter_share_t *share);


/* the records there are, and no more */

#define ngx_limiter_state_copy(to, from)                                      \
    (to)->n = (from)->n;                                                      \
    ngx_memcpy((to)->records, (from)->records,                                \
               (from)->n * sizeof(ngx_limiter_record_t))


/* what a rate admits at once, to a subject that has used nothing */

#define ngx_limiter_policy_capacity(policy, i)                                \
    (((policy)->algorithm == NGX_LIMITER_GCRA) ? (policy)->burst + 1          \
                                               : (policy)->rates[i].limit)


#endif /* _NGX_LIMITER_STATE_H_INCLUDED_ */
