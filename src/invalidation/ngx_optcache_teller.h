
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Tells all hosts of an invalidation: it is in force here first, then it is
 * added to a stream of Redis that every host reads (ngx_optcache_reader.h).
 *
 *     XADD <prefix>invalidate MAXLEN ~ 100000 * mark <number> [len <n>]
 *          [soft 1] [from <host>]
 *
 * "mark" is 16 hex digits of ngx_optcache_event_t, so that no user, URI or tag
 * is written down.  An application writes what ngx_optcache_event.h says.
 *
 * What is told by several hosts has a name, and a key of that name says that
 * it was: {<prefix>invalidate}:once:<name>, in the slot of the stream.
 *
 * An event is written down before it is applied, and applied before it is
 * sent.  So if its worker dies, it is either not in force anywhere, or told by
 * another one; then it does not say who it is from, and is applied once more.
 */


#ifndef _NGX_OPTCACHE_TELLER_H_INCLUDED_
#define _NGX_OPTCACHE_TELLER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger.h"
#include "ngx_redis_client.h"


/* events that are kept in the stream, about */
#define NGX_OPTCACHE_TELLER_MAXLEN  100000

/* seconds that a name is remembered, and bytes of one */
#define NGX_OPTCACHE_TELLER_ONCE      3600
#define NGX_OPTCACHE_TELLER_NAME_MAX  128

/* events that are told again at once */
#define NGX_OPTCACHE_TELLER_AGAIN  256

/* ms without an answer, then one is */
#define NGX_OPTCACHE_TELLER_OVERDUE  2000


typedef struct {
    ngx_optcache_ledger_t    *ledger;
    ngx_redis_client_t       *client;    /* NULL: this host is all there is */
    ngx_str_t                 stream;    /* its key */
    ngx_str_t                 once;      /* what keys of names begin with */
    uint64_t                  host;      /* this one */
    uint64_t                  clock;     /* when a hello was sent */
    ngx_log_t                *log;
    ngx_msec_t                since;     /* ... it was refused, if it is */
    ngx_uint_t                again;     /* told again, without an answer */
    unsigned                  settled:1; /* it is known where all are */
    unsigned                  greeting:1;
    unsigned                  refused:1; /* and it was logged */
    unsigned                  missed:1;  /* one that was told again was not */
} ngx_optcache_teller_t;


typedef struct ngx_optcache_telling_s  ngx_optcache_telling_t;


/* NGX_OK: Redis has it; NGX_ERROR: not yet, it is told as soon as it can be. */

typedef void (*ngx_optcache_told_pt)(void *data, ngx_int_t rc);


/*
 * Prepares it in this worker (init_process), in the pool.  NULL when out of
 * memory.
 */

ngx_optcache_teller_t *ngx_optcache_teller_create(ngx_pool_t *pool,
    ngx_optcache_ledger_t *ledger, ngx_redis_client_t *client,
    ngx_str_t *prefix, ngx_log_t *log);

/*
 * Applies an event here and tells the others.  "once", if not NULL, names it
 * among all that are told by several hosts, of which the first one is taken;
 * it is copied.  A longer name than NGX_OPTCACHE_TELLER_NAME_MAX is none.
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

/*
 * Tells what is overdue, after a failure; some of it, if it is much, and the
 * next ones when Redis has these.  When all is told, says hello, so that it is
 * known where in the stream all that is.  By whoever reads the stream, each
 * second; there is a client.
 */

void ngx_optcache_teller_catch_up(ngx_optcache_teller_t *teller);


#endif /* _NGX_OPTCACHE_TELLER_H_INCLUDED_ */
