
/*
 * Copyright (C) The Optcache authors
 */


/*
 * "sentinel=NAME": where the master is, by the sentinels, for one client.
 * They are asked in turn whenever a connection to the master is to be made;
 * and all of them each second, so that an old master which still answers is
 * left.
 *
 *     round -- wait --> sentinel <--> askers, one for each URL
 *       ^                  |
 *       +----- told -------+
 *                          |
 *     connections <- move -+
 *
 * What most of those say that answer is believed, against any single one: a
 * sentinel that is cut off with an old master holds on to it.
 */


#ifndef _NGX_REDIS_SENTINEL_H_INCLUDED_
#define _NGX_REDIS_SENTINEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_asker.h"
#include "ngx_redis_conf.h"
#include "ngx_redis_conn.h"
#include "ngx_redis_round.h"
#include "ngx_redis_target.h"


#define NGX_REDIS_SENTINEL_PORT  26379


/*
 * Creates what asks the sentinels, with memory from the pool; "target" will
 * be the master.  NULL when out of memory.
 */

ngx_redis_sentinel_t *ngx_redis_sentinel_create(ngx_redis_conf_t *conf,
    ngx_redis_target_t *target, ngx_pool_t *pool, ngx_log_t *log);

/* Closes; nobody is told any more, unless somebody waits again. */

void ngx_redis_sentinel_close(ngx_redis_sentinel_t *s);

/* A connection that is to be at the master; it lives as long. */

void ngx_redis_sentinel_join(ngx_redis_sentinel_t *s,
    ngx_redis_conn_t *conn);

/* The number of sentinels. */

ngx_uint_t ngx_redis_sentinel_count(ngx_redis_sentinel_t *s);

/* Why the last that was asked did not tell, if it did not; for the log. */

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


/*
 * To be called by an asker: a->master is the answer, or with another code
 * than NGX_OK there is none.
 */

void ngx_redis_sentinel_answered(ngx_redis_sentinel_t *s,
    ngx_redis_asker_t *a, ngx_int_t rc);

/* 1 if somebody waits to be told. */

ngx_uint_t ngx_redis_sentinel_awaited(ngx_redis_sentinel_t *s);


/* ngx_redis_sentinel_conf.c */

/*
 * Checks the URLs of a directive with "sentinel=", and gives them their port.
 * NGX_CONF_OK, or NGX_CONF_ERROR after logging.
 */

char *ngx_redis_sentinel_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf);


#endif /* _NGX_REDIS_SENTINEL_H_INCLUDED_ */
