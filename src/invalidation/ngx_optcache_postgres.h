
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Invalidation from PostgreSQL: rows of the outbox of docs/optcache.sql become
 * events.  One worker of a host is connected.  It listens first and then reads
 * what it has not read yet, so that nothing is missed whenever it comes; what
 * it is notified of only wakes it.  In any case it reads again and again:
 *
 *     LISTENING   each 5 seconds, which also finds out a server that is gone
 *                 without a word
 *     POLLING     each second, as notifications do not come, or might not: a
 *                 pooler that lends connections by transactions forgets who
 *                 listens
 *
 * How far the outbox was read is kept in shared memory, with what identifies
 * it, so that another worker goes on from there, also after a reload.  It is a
 * snapshot, see docs/optcache.sql, which moves on when all that is visible in
 * it is in force on this host; that Redis has it as well is the business of
 * the teller.
 *
 * All is invalidated when events may have been missed: rows that were not read
 * have been deleted, or the table is another one, or one that has lost rows.
 *
 * Locks: the mutex of the zone's slab pool, never together with another.
 */


#ifndef _NGX_OPTCACHE_POSTGRES_H_INCLUDED_
#define _NGX_OPTCACHE_POSTGRES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_keeper.h"
#include "ngx_optcache_teller.h"
#include "ngx_pgsql_conf.h"


#define NGX_OPTCACHE_POSTGRES_ZONE      (128 * 1024)
#define NGX_OPTCACHE_POSTGRES_IDENTITY  128
#define NGX_OPTCACHE_POSTGRES_TIMELINE  32
#define NGX_OPTCACHE_POSTGRES_SNAPSHOT  4096     /* bytes, with a NUL */
#define NGX_OPTCACHE_POSTGRES_NUMBER    24       /* digits, with a NUL */


typedef enum {
    NGX_OPTCACHE_POSTGRES_DOWN = 0,
    NGX_OPTCACHE_POSTGRES_STANDBY,       /* which notifies nobody */
    NGX_OPTCACHE_POSTGRES_POLLING,
    NGX_OPTCACHE_POSTGRES_LISTENING
} ngx_optcache_postgres_state_e;


/* a row; nothing if "id" is empty */

typedef struct {
    u_char                    id[NGX_OPTCACHE_POSTGRES_NUMBER];
    u_char                    xact[NGX_OPTCACHE_POSTGRES_NUMBER];
    u_char                    created[NGX_OPTCACHE_POSTGRES_NUMBER];  /* us */
} ngx_optcache_postgres_row_t;


/* how far it was read, in texts; identity is empty if it was not */

typedef struct {
    u_char                       identity[NGX_OPTCACHE_POSTGRES_IDENTITY];
    u_char                       timeline[NGX_OPTCACHE_POSTGRES_TIMELINE];
    u_char                       snapshot[NGX_OPTCACHE_POSTGRES_SNAPSHOT];
    ngx_optcache_postgres_row_t  row;    /* the last one */
} ngx_optcache_postgres_position_t;


/* in shared memory; words may be read at any time, for the status */

typedef struct {
    uint32_t                     magic;
    uint32_t                     version;
    ngx_keeper_t                 keeper; /* the worker that is connected */

    ngx_atomic_t                 state;
    ngx_atomic_t                 since;  /* epoch s, of being so */
    ngx_shared_number_t          deaf;   /* notifications do not come, since
                                            that ms; 0: they do */
    ngx_atomic_t                 pooled; /* somebody is in between */
    ngx_shared_number_t          heard;  /* ms of ngx_redis_tracking_now(),
                                            when all was read last; 0: never */
    ngx_shared_number_t          id;     /* the greatest of all rows read */
    ngx_atomic_t                 told;   /* rows, ever */
    ngx_shared_number_t          lag;    /* ms, from when the last row was
                                            written until it was read */
    ngx_atomic_t                 lost;   /* times all was invalidated */
    ngx_atomic_t                 odd;    /* rows not understood */

    /* under the mutex: one that is whole, and the next one */

    ngx_optcache_postgres_position_t  position[2];
    ngx_uint_t                   current;
} ngx_optcache_postgres_shm_t;


typedef struct ngx_optcache_postgres_s  ngx_optcache_postgres_t;


/* Prepares the memory; called by the init handler of its zone. */

ngx_int_t ngx_optcache_postgres_init(ngx_slab_pool_t *shpool, ngx_log_t *log);

/*
 * Begins, in this worker (init_process): whoever becomes the keeper connects.
 * From cycle->pool; NULL when out of memory.
 */

ngx_optcache_postgres_t *ngx_optcache_postgres_create(ngx_cycle_t *cycle,
    ngx_slab_pool_t *shpool, ngx_pgsql_conf_t *conf,
    ngx_optcache_teller_t *teller);

/* Ends it (exit_process). */

void ngx_optcache_postgres_close(ngx_optcache_postgres_t *op);

/* The state: DOWN also while no worker is there to be connected. */

ngx_uint_t ngx_optcache_postgres_now(ngx_optcache_postgres_shm_t *shm);

/*
 * Whether it has been DOWN for a second: at each reload it is for a moment,
 * until the next keeper is connected.
 */

ngx_uint_t ngx_optcache_postgres_cut(ngx_optcache_postgres_shm_t *shm);

/* The name of a state, for a status. */

ngx_str_t *ngx_optcache_postgres_state_name(ngx_uint_t state);


#endif /* _NGX_OPTCACHE_POSTGRES_H_INCLUDED_ */
