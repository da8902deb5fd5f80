
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Tells all hosts of an invalidation: it is in force here first, then it is
 * added to a stream of Redis that every host reads (ngx_optcache_reader.h).
 *
 *     XADD <prefix>invalidate MAXLEN ~ 100000 * mark <number> [len <n>]
 *          [soft 1]
 *
 * "mark" is 16 hex digits of ngx_optcache_event_t, so that no user, URI or tag
 * is written down.  An application writes what ngx_optcache_event.h says.
 */


#ifndef _NGX_OPTCACHE_TELLER_H_INCLUDED_
#define _NGX_OPTCACHE_TELLER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger.h"
#include "ngx_redis_client.h"


/* events that are kept in the stream, about */
#define NGX_OPTCACHE_TELLER_MAXLEN  100000


typedef struct {
    ngx_optcache_ledger_t    *ledger;
    ngx_redis_client_t       *client;    /* NULL: this host is all there is */
    ngx_str_t                 stream;    /* its key */
    ngx_log_t                *log;
} ngx_optcache_teller_t;


typedef struct ngx_optcache_telling_s  ngx_optcache_telling_t;


/* NGX_OK: Redis has it; NGX_ERROR: not yet, it is told as soon as it can be. */

typedef void (*ngx_optcache_told_pt)(void *data, ngx_int_t rc);


/* Prepares it in this worker (init_process), in the pool. */

ngx_optcache_teller_t *ngx_optcache_teller_create(ngx_pool_t *pool,
    ngx_optcache_ledger_t *ledger, ngx_redis_client_t *client,
    ngx_str_t *prefix, ngx_log_t *log);

/*
 * Applies an event here and tells the others.  "once", if not NULL, names it
 * among all that are told by several hosts, of which the first one is taken.
 *
 * NGX_OK: "handler", unless it is NULL, is going to be called, never before
 * this returns; *telling, unless NULL, is set to what can be abandoned.
 * NGX_DECLINED: there is nobody to be told.  NGX_ERROR: Redis cannot be told
 * now, but will be; the handler is not called.  In all cases it is in force on
 * this host.
 */

ngx_int_t ngx_optcache_tell(ngx_optcache_teller_t *teller,
    ngx_optcache_event_t *event, ngx_str_t *once,
    ngx_optcache_told_pt handler, void *data,
    ngx_optcache_telling_t **telling);

/* The handler is not to be called any more. */

void ngx_optcache_telling_abandon(ngx_optcache_telling_t *telling);

/* Tells what is overdue, after a failure; by whoever reads the stream. */

void ngx_optcache_teller_catch_up(ngx_optcache_teller_t *teller);


#endif /* _NGX_OPTCACHE_TELLER_H_INCLUDED_ */
