
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A walk over the addresses of a client, to find one that serves: each URL
 * once, each of its addresses once, beginning with those that served last.
 * Names are resolved on the way.
 *
 * With sentinels it is a walk over what they say: while the master that one
 * names does not serve, another one is asked.
 */


#ifndef _NGX_REDIS_ROUND_H_INCLUDED_
#define _NGX_REDIS_ROUND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_target.h"


typedef struct {
    ngx_redis_targets_t      *targets;
    ngx_redis_conf_t         *conf;

    ngx_uint_t                target;        /* where it is */
    ngx_uint_t                addr;
    ngx_uint_t                targets_left;
    ngx_uint_t                addrs_left;

    ngx_resolver_ctx_t       *resolving;
    void                    (*handler)(void *data);
    void                     *data;

    ngx_queue_t               queue;         /* of who waits for a sentinel */
    ngx_uint_t                master;        /* the one that was told of */

    unsigned                  within:1;      /* the resolver's call */
    unsigned                  asked:1;       /* a sentinel, in this round */
    unsigned                  waiting:1;     /* ... which has not answered */
} ngx_redis_round_t;


/*
 * "handler" is called when a name was resolved, or a sentinel has answered:
 * then ask for the next.
 */

void ngx_redis_round_init(ngx_redis_round_t *round,
    ngx_redis_targets_t *targets, ngx_redis_conf_t *conf,
    void (*handler)(void *data), void *data);

/* Begins anew. */

void ngx_redis_round_start(ngx_redis_round_t *round);

/*
 * Goes on: NGX_OK and *addr, valid until the target is resolved again;
 * NGX_AGAIN when the handler is going to be called; NGX_DONE when there is no
 * other address.
 */

ngx_int_t ngx_redis_round_next(ngx_redis_round_t *round, ngx_addr_t **addr);

/* The server of the address. */

ngx_redis_server_t *ngx_redis_round_server(ngx_redis_round_t *round);

/* The next round begins with this address. */

void ngx_redis_round_stay(ngx_redis_round_t *round);

/*
 * The next round begins with the address after this one.  NGX_DECLINED if it
 * would not have begun with this one: another connection has left it before.
 */

ngx_int_t ngx_redis_round_leave(ngx_redis_round_t *round);

/* The handler is not called any more. */

void ngx_redis_round_cancel(ngx_redis_round_t *round);

/*
 * To be called by the sentinels when the target is the master, or with
 * another code than NGX_OK when none of them tells where it is.
 */

void ngx_redis_round_told(ngx_redis_round_t *round, ngx_int_t rc);


#endif /* _NGX_REDIS_ROUND_H_INCLUDED_ */
