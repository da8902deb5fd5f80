
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The addresses a client may connect to: those of the configuration, what the
 * resolver said last, or with "sentinel=" that of the master alone.  Shared
 * by the connections of a client.
 */


#ifndef _NGX_REDIS_TARGET_H_INCLUDED_
#define _NGX_REDIS_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_conf.h"


typedef struct ngx_redis_sentinel_s  ngx_redis_sentinel_t;


/* one URL, or the master */

typedef struct {
    ngx_redis_server_t       *server;
    ngx_addr_t               *addrs;
    ngx_uint_t                naddrs;    /* 0: the name is not known yet */
    ngx_uint_t                first;     /* the address to try first */
    ngx_pool_t               *pool;      /* of addrs, NULL: configuration's */
} ngx_redis_target_t;


typedef struct {
    ngx_redis_target_t       *elts;
    ngx_uint_t                nelts;
    ngx_uint_t                current;   /* the target to try first */
    ngx_log_t                *log;       /* of the client */

    ngx_redis_sentinel_t     *sentinel;  /* tells of the only target, or NULL */
    unsigned                  left:1;    /* by a connection, no other came up */
} ngx_redis_targets_t;


/* Prepares zeroed targets; memory is taken from the pool. */

ngx_int_t ngx_redis_targets_init(ngx_redis_targets_t *targets,
    ngx_redis_conf_t *conf, ngx_pool_t *pool, ngx_log_t *log);

/* The same for these URLs as they are, be they of sentinels. */

ngx_int_t ngx_redis_targets_urls(ngx_redis_targets_t *targets,
    ngx_redis_server_t *server, ngx_uint_t n, ngx_pool_t *pool,
    ngx_log_t *log);

void ngx_redis_targets_free(ngx_redis_targets_t *targets);

/*
 * The number of all addresses; with sentinels, how often they may be asked
 * before it is to be taken that they know of no other master.
 */

ngx_uint_t ngx_redis_targets_addrs(ngx_redis_targets_t *targets);

/*
 * Asks for the target's addresses.  NGX_AGAIN and *ctxp, which
 * ngx_resolve_name_done() cancels, if "handler" was called or is going to be
 * (then *ctxp may be NULL already); NGX_DECLINED when there is nothing to
 * ask for, or nobody to ask.
 */

ngx_int_t ngx_redis_target_resolve(ngx_redis_target_t *t,
    ngx_redis_conf_t *conf, ngx_resolver_ctx_t **ctxp,
    ngx_resolver_handler_pt handler, void *data);

/*
 * Takes over what was found, to be called from the handler before
 * ngx_resolve_name_done().  If that is nothing, the addresses known so far
 * stay.  The address that is to be tried first stays so if it is still there.
 */

void ngx_redis_target_resolved(ngx_redis_target_t *t,
    ngx_resolver_ctx_t *ctx, ngx_log_t *log);

/* Forgets what was found. */

void ngx_redis_target_forget(ngx_redis_target_t *t);


#endif /* _NGX_REDIS_TARGET_H_INCLUDED_ */
