
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One zone as one request meets it.
 */


#ifndef _NGX_LIMITER_ITEM_H_INCLUDED_
#define _NGX_LIMITER_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"
#include "ngx_limiter_state.h"
#include "ngx_limiter_subject.h"


/* what to do when Redis does not answer */

typedef enum {
    NGX_LIMITER_ON_ERROR_LOCAL = 0,
    NGX_LIMITER_ON_ERROR_ALLOW,
    NGX_LIMITER_ON_ERROR_DENY
} ngx_limiter_on_error_e;


/* what became of it */

typedef enum {
    NGX_LIMITER_PASSED = 0,  /* had room */
    NGX_LIMITER_REJECTED,    /* had none */
    NGX_LIMITER_SKIPPED      /* nobody knows: Redis did not answer */
} ngx_limiter_verdict_e;


/*
 * Knowledge of a subject's records that Redis may have lost, or never had, to
 * be taken into account before anything is decided; of the records of the
 * rates, in their order, as they were on this host at the time of sending.
 */

typedef struct {
    uint64_t                  left;      /* ms the window lasts; 0: nothing is
                                            known; gcra: 1 */
    uint64_t                  used;      /* what Redis is known to have had */
    uint64_t                  prev;
    uint64_t                  own;       /* to be added; gcra: the level, not
                                            times the hosts any more */
    uint64_t                  own_prev;
    uint64_t                  back;      /* to be taken away afterwards */
} ngx_limiter_carry_t;


typedef struct ngx_limiter_item_s {
    ngx_limiter_zone_t       *zone;
    ngx_limiter_policy_t     *policy;    /* the zone's, or this request's */
    struct ngx_limiter_item_s  *next;    /* of those a request has charged */
    ngx_limiter_subject_t     subject;

    /*
     * If "need" units have room, max(take, min(want, room)) are counted.  A
     * request of cost c needs and takes c; one that is charged later needs 1
     * and takes none; who leases wants more than it needs.
     */

    uint64_t                  need;
    uint64_t                  take;
    uint64_t                  want;

    /*
     * Units booked before that, room or not, and units given back: those of
     * "sub" + "kept" that were counted at "since" and are not kept.  They are
     * taken from what was counted then, and still counts.
     */

    uint64_t                  add;
    uint64_t                  sub;
    uint64_t                  kept;
    uint64_t                  at;        /* "since" by the clock of Redis; 0 if
                                            it was not Redis who counted */
    uint64_t                  since;     /* ngx_limiter_local_now() of it */

    ngx_limiter_carry_t      *carry;     /* one for each rate, or NULL */
    uint16_t                  life;      /* of the entry when "carry" was taken
                                            out of it, or "take" reserved */
    uint16_t                  era;       /* the same */
    uint32_t                  forgets;   /* ngx_limiter_local_forgets() when it
                                            was asked */
    ngx_limiter_on_error_e    on_error;

    /* the answer */

    ngx_limiter_verdict_e     verdict;
    uint64_t                  granted;   /* units counted in Redis */
    uint64_t                  told;      /* ms, the clock of Redis */
    uint64_t                  now;       /* ngx_limiter_local_now() of it */
    ngx_limiter_share_t       share;     /* hosts 0: not decided by a share */

    unsigned                  soft:1;    /* dry run: refuses nobody */
    unsigned                  peek:1;    /* looks only: counts nothing */
    unsigned                  local:1;   /* decided here, for want of Redis */
    unsigned                  leased:1;  /* paid from a lease */
    unsigned                  settling:1;    /* see ngx_limiter_settle.h */
    unsigned                  reserved:1;    /* "take" was counted for it */

    ngx_limiter_state_t       state;     /* as it was left; times are of that
                                            clock */
} ngx_limiter_item_t;


/* an item that nothing was asked of yet; the answer's state is not touched */

#define ngx_limiter_item_init(item)                                           \
    ngx_memzero(item, offsetof(ngx_limiter_item_t, state))


#endif /* _NGX_LIMITER_ITEM_H_INCLUDED_ */
