
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Revocations that outlive Redis, in the table of docs/token_blacklist.sql.
 * One worker of a host has a connection to PostgreSQL, and
 *
 *     writes to the table what was revoked through this host,
 *     writes all of the table to Redis when that has lost it,
 *     writes rows that are new to Redis, when it is notified or once a second,
 *     deletes rows that have expired.
 *
 * A cluster is told of all rows, too, when one of its servers was lost and
 * when the keys of a slot are with another: there may be an old snapshot, or
 * a replica that had not heard of everything.  It is believed meanwhile.
 *
 * What is new is told by snapshots: rows of transactions that are not visible
 * in the last one, whenever they began.  The last snapshot is kept in shared
 * memory, with what identifies the server and the table it is of; another
 * worker goes on from there.
 *
 * Locks: the mutex of the zone's slab pool, never together with another.
 */


#ifndef _NGX_TOKEN_POSTGRES_H_INCLUDED_
#define _NGX_TOKEN_POSTGRES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_keeper.h"
#include "ngx_pgsql_conn.h"
#include "ngx_token_marker.h"
#include "ngx_token_queue.h"
#include "ngx_token_refill.h"


#define NGX_TOKEN_POSTGRES_ZONE      (5 * 1024 * 1024)
#define NGX_TOKEN_POSTGRES_SNAPSHOT  4096     /* bytes, with a NUL */
#define NGX_TOKEN_POSTGRES_IDENTITY  128


/* what has been read: of which server and table, and by which snapshot */

typedef struct {
    u_char                    identity[NGX_TOKEN_POSTGRES_IDENTITY];
    u_char                    snapshot[NGX_TOKEN_POSTGRES_SNAPSHOT];
} ngx_token_postgres_seen_t;


typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    ngx_keeper_t              keeper;    /* the worker that is connected */
    ngx_atomic_t              wanted;    /* a worker misses the marker */
    ngx_atomic_t              full;      /* since when the queue is, epoch s,
                                            which was logged; 0: it is not */
    ngx_shared_number_t       heard;     /* ms, when Redis had all that is new
                                            last; 0: never */
    ngx_atomic_t              written;   /* rows, to Redis */
    ngx_atomic_t              ignored;
    ngx_atomic_t              fills;     /* of all rows */

    /* under the mutex: one that is whole, and the next one */

    ngx_token_postgres_seen_t seen[2];
    ngx_uint_t                current;

    ngx_token_queue_t         queue;
} ngx_token_postgres_shm_t;


typedef struct ngx_token_postgres_s  ngx_token_postgres_t;


/* Prepares the memory; called by the init handler of its zone. */

ngx_int_t ngx_token_postgres_init(ngx_slab_pool_t *shpool, ngx_log_t *log);

/*
 * Begins, in this worker (init_process); it lives in cycle->pool.  "tags" are
 * those of ngx_token_marker_tags() if Redis is a cluster, or NULL; "prefix" is
 * that of the keys of the module, "prefixes" are what blacklist keys begin
 * with.  NULL when out of memory.
 */

ngx_token_postgres_t *ngx_token_postgres_create(ngx_cycle_t *cycle,
    ngx_slab_pool_t *shpool, ngx_pgsql_conf_t *conf,
    ngx_redis_client_t *client, uint32_t *tags, ngx_str_t *prefix,
    ngx_array_t *prefixes);

/* Ends it (exit_process). */

void ngx_token_postgres_close(ngx_token_postgres_t *tp);

/* Whether Redis can be believed. */

ngx_token_marker_t *ngx_token_postgres_marker(ngx_token_postgres_t *tp);

/* For status pages: words may be read at any time. */

ngx_token_postgres_shm_t *ngx_token_postgres_shm(ngx_token_postgres_t *tp);

/*
 * Lets a key be written to the table, to last until then (in milliseconds of
 * ngx_limiter_local_now()), with a time (in seconds since the epoch) or 0.
 * Does not wait; what cannot be is logged.
 */

void ngx_token_postgres_revoke(ngx_token_postgres_t *tp, ngx_str_t *key,
    uint64_t until, uint64_t since);


#endif /* _NGX_TOKEN_POSTGRES_H_INCLUDED_ */
