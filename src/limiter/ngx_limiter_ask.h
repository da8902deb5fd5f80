
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One question to Redis: a script about some items, sent as EVALSHA, again as
 * EVAL if Redis does not know it, again as the general script if the short one
 * met something it was not made for.
 */


#ifndef _NGX_LIMITER_ASK_H_INCLUDED_
#define _NGX_LIMITER_ASK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_fleet.h"
#include "ngx_limiter_item.h"
#include "ngx_limiter_script.h"
#include "ngx_redis_client.h"
#include "ngx_redis_refusal.h"


/* what the limits of one worker share; "client" is NULL without Redis */

typedef struct {
    ngx_redis_client_t       *client;
    ngx_limiter_scripts_t    *scripts;
    ngx_limiter_fleet_t      *fleet;     /* NULL without Redis */
    ngx_str_t                 prefix;
    ngx_log_t                *log;       /* of the cycle */
    ngx_redis_refusal_t       script;    /* is refused */
    ngx_redis_refusal_t       tokens;    /* and their check */
    ngx_redis_refusal_t       revoking;  /* and what revokes them */
} ngx_limiter_redis_t;


typedef struct ngx_limiter_ask_s  ngx_limiter_ask_t;


/*
 * rc is NGX_OK (all counted), NGX_BUSY (refused) - the items are then as
 * ngx_limiter_script_reply() leaves them - or NGX_ERROR: there is no answer,
 * and the items are as they were.
 */

typedef void (*ngx_limiter_ask_pt)(ngx_limiter_ask_t *ask, ngx_int_t rc);


struct ngx_limiter_ask_s {

    /* set by the caller */

    ngx_limiter_redis_t      *redis;
    ngx_limiter_item_t      **items;
    ngx_uint_t                nitems;
    ngx_pool_t               *pool;
    ngx_log_t                *log;
    ngx_limiter_ask_pt        handler;
    void                     *data;

    /* private */

    ngx_redis_command_t      *command;   /* under way, or NULL */
    ngx_limiter_script_t     *script;
    uint64_t                  sent;      /* ngx_limiter_local_now() */
    unsigned                  eval:1;    /* the script was sent whole */
};


/*
 * Returns NGX_OK when the handler will be called once, not from within this
 * call; NGX_DECLINED when Redis cannot be asked, NGX_ERROR when out of memory.
 */

ngx_int_t ngx_limiter_ask(ngx_limiter_ask_t *ask);

/* Nobody waits for the answer any more: the handler is not called. */

void ngx_limiter_ask_abandon(ngx_limiter_ask_t *ask);

/*
 * Another one, of the same items, waits for the answer of one that is under
 * way: what its caller sets is to be set.
 */

void ngx_limiter_ask_move(ngx_limiter_ask_t *ask, ngx_limiter_ask_t *to);


#endif /* _NGX_LIMITER_ASK_H_INCLUDED_ */
