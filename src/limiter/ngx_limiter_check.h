
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The question of one request: has every zone room for it?  Asked of Redis
 * where there is one, of shared memory where there is none, or when it does
 * not answer.  Either every zone counts the request or none does.
 *
 * On one Redis all zones are asked by one script.  In a cluster those whose
 * keys are in one slot are; when one group refuses what another has counted,
 * it is given back there.
 */


#ifndef _NGX_LIMITER_CHECK_H_INCLUDED_
#define _NGX_LIMITER_CHECK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_ask.h"
#include "ngx_limiter_item.h"


typedef enum {
    NGX_LIMITER_CHECK_PASSED = 0,
    NGX_LIMITER_CHECK_REJECTED,
    NGX_LIMITER_CHECK_UNAVAILABLE        /* no answer, and "deny" asked for */
} ngx_limiter_check_e;


typedef struct ngx_limiter_check_s  ngx_limiter_check_t;

typedef void (*ngx_limiter_check_pt)(void *data);


/* the zones that are asked by one command */

typedef struct {
    ngx_limiter_ask_t         ask;
    ngx_int_t                 slot;
    ngx_int_t                 rc;        /* its answer, when there is one */
    ngx_limiter_item_t       *items[NGX_LIMITER_MAX_ZONES];
} ngx_limiter_group_t;


struct ngx_limiter_check_s {

    /* set by the caller */

    ngx_limiter_item_t       *items;     /* in the order of zones' names */
    ngx_uint_t                nitems;
    ngx_limiter_redis_t      *redis;
    ngx_pool_t               *pool;
    ngx_log_t                *log;
    ngx_limiter_check_pt      handler;
    void                     *data;

    /* the answer; each item has its own besides */

    ngx_limiter_check_e       result;

    /* private */

    uint64_t                  now;
    uint16_t                  era;
    ngx_uint_t                unsure;    /* see ngx_limiter_fleet.h */
    ngx_uint_t                nasked;
    ngx_limiter_item_t       *asked[NGX_LIMITER_MAX_ZONES];

    ngx_uint_t                ngroups;
    ngx_uint_t                pending;   /* groups without an answer */
    ngx_limiter_group_t      *groups;
};


/*
 * The caller fills of each item: zone, policy, subject, need, take, want, soft,
 * peek and on_error; everything else is to be zero.  "want" is 0: the lease of
 * the zone is minded here.
 *
 * Returns NGX_OK when the answer is there, NGX_AGAIN when the handler will be
 * called once, NGX_ERROR when out of memory.
 */

ngx_int_t ngx_limiter_check_start(ngx_limiter_check_t *check);

/*
 * Nobody waits for the answer any more: the handler is not called.  What has
 * been counted stays counted; what Redis was to be told by the way is put back if
 * it does not answer.
 */

void ngx_limiter_check_abandon(ngx_limiter_check_t *check);


/*
 * Books "add" units and takes "sub" units of "take" back, whether there is room
 * or not: what a request has cost in the end.  Of the item only zone, policy,
 * subject, take, told and now are read, and copied: neither it nor any pool need
 * outlive the call.
 * When Redis does not answer it is booked here, and Redis is told when it is
 * back.
 */

void ngx_limiter_check_book(ngx_limiter_redis_t *redis,
    ngx_limiter_item_t *item, uint64_t add, uint64_t sub);


/*
 * _check_local.c, for _check.c: decides those in "asked" in shared memory; sets
 * the share of an item that this host has while others have to be thought of.
 */

void ngx_limiter_check_local(ngx_limiter_check_t *check);
void ngx_limiter_check_share(ngx_limiter_check_t *check,
    ngx_limiter_item_t *item);


#endif /* _NGX_LIMITER_CHECK_H_INCLUDED_ */
