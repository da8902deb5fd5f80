
/*
 * Copyright (C) The Optcache authors
 */


/*
 * "sentinel=NAME": where the master is, by the sentinels.  One for each
 * client, with one connection that is kept to the sentinel that answered
 * last.  It is asked whenever a connection to the master is to be made, and
 * each second, so that an old master which still answers is left.
 *
 *     round -- wait --> sentinel -- told --> round
 *                          |
 *                          +------- move --> connections to another master
 *
 * A walk asks the sentinels in turn until one tells; all who wait meanwhile
 * are told by the same answer.
 */


#ifndef _NGX_REDIS_SENTINEL_H_INCLUDED_
#define _NGX_REDIS_SENTINEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_conf.h"
#include "ngx_redis_conn.h"
#include "ngx_redis_round.h"
#include "ngx_redis_target.h"


#define NGX_REDIS_SENTINEL_PORT      26379
#define NGX_REDIS_SENTINEL_INTERVAL  1000   /* ms, between two questions */


/*
 * Creates what asks the sentinels, with memory from the pool; "target" will
 * be the master.  NULL when out of memory.
 */

ngx_redis_sentinel_t *ngx_redis_sentinel_create(ngx_redis_conf_t *conf,
    ngx_redis_target_t *target, ngx_pool_t *pool, ngx_log_t *log);

/* Closes; nobody is told any more. */

void ngx_redis_sentinel_close(ngx_redis_sentinel_t *s);

/* A connection that is to be at the master; it lives as long. */

void ngx_redis_sentinel_join(ngx_redis_sentinel_t *s,
    ngx_redis_conn_t *conn);

/* The number of sentinels. */

ngx_uint_t ngx_redis_sentinel_count(ngx_redis_sentinel_t *s);

/* Why the last of them did not tell, if it did not; for the log. */

ngx_str_t *ngx_redis_sentinel_reason(ngx_redis_sentinel_t *s);

/* Which master it is, as a number that changes with it; 0: none yet. */

ngx_uint_t ngx_redis_sentinel_master(ngx_redis_sentinel_t *s);

/*
 * Asks where the master is, with "doubt" another sentinel than the one that
 * told last.  ngx_redis_round_told() will be called, never from within, or
 * ngx_redis_round_cancel() is.  It takes connect_timeout for each address of
 * a sentinel that is silent.
 */

void ngx_redis_sentinel_wait(ngx_redis_sentinel_t *s,
    ngx_redis_round_t *round, ngx_uint_t doubt);


/* ngx_redis_sentinel_conf.c */

/*
 * Checks the URLs of a directive with "sentinel=", and gives them their port.
 * NGX_CONF_OK, or NGX_CONF_ERROR after logging.
 */

char *ngx_redis_sentinel_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf);


#endif /* _NGX_REDIS_SENTINEL_H_INCLUDED_ */
