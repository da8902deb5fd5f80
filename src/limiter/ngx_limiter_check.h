
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The question of one request: has every zone room for it?  Asked of Redis
 * where there is one, of shared memory where there is none, or when it does
 * not answer.  Either every zone counts the request or none does.
 */


#ifndef _NGX_LIMITER_CHECK_H_INCLUDED_
#define _NGX_LIMITER_CHECK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_item.h"
#include "ngx_limiter_script.h"
#include "ngx_redis_client.h"


typedef enum {
    NGX_LIMITER_CHECK_PASSED = 0,
    NGX_LIMITER_CHECK_REJECTED,
    NGX_LIMITER_CHECK_UNAVAILABLE        /* no answer, and "deny" asked for */
} ngx_limiter_check_e;


/* what the checks of one worker share; "client" is NULL without Redis */

typedef struct {
    ngx_redis_client_t       *client;
    ngx_limiter_script_t     *script;
    ngx_str_t                 prefix;
    unsigned                  degraded:1;    /* and that has been logged */
} ngx_limiter_redis_t;


typedef struct ngx_limiter_check_s  ngx_limiter_check_t;

typedef void (*ngx_limiter_check_pt)(void *data);


struct ngx_limiter_check_s {

    /* set by the caller */

    ngx_limiter_item_t       *items;     /* in the order of names */
    ngx_uint_t                nitems;
    ngx_limiter_redis_t      *redis;
    ngx_pool_t               *pool;
    ngx_log_t                *log;
    ngx_limiter_check_pt      handler;
    void                     *data;

    /* the answer; each item has its own besides */

    ngx_limiter_check_e       result;

    /* private */

    ngx_redis_command_t      *command;
    ngx_uint_t                eval;      /* the script was sent whole */
    ngx_uint_t                nasked;
    ngx_limiter_item_t       *asked[NGX_LIMITER_MAX_ZONES];
};


/*
 * Returns NGX_OK when the answer is there, NGX_AGAIN when the handler will be
 * called once, NGX_ERROR when out of memory.
 */

ngx_int_t ngx_limiter_check_start(ngx_limiter_check_t *check);

/* Nobody waits for the answer any more: the handler is not called. */

void ngx_limiter_check_abandon(ngx_limiter_check_t *check);


#endif /* _NGX_LIMITER_CHECK_H_INCLUDED_ */
