
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The hosts that share the limits of one Redis, as they know of each other.
 * Each host tells once a second that it is there; one worker does so for all
 * of its host.  The key, of which there is one for each prefix:
 *
 *     <prefix>{fleet}    sorted set; members are the ids of hosts with the
 *                        time they were last seen (ms, the clock of Redis)
 *                        as score, with a fraction as long as a host has not
 *                        heard that Redis has lost something; and "resets"
 *                        with a number that grows with every subject that was
 *                        forgotten by command
 *
 * What is known is in a shared memory zone of its own, which survives reloads
 * and serves when Redis is gone.
 */


#ifndef _NGX_LIMITER_FLEET_H_INCLUDED_
#define _NGX_LIMITER_FLEET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_keeper.h"
#include "ngx_limiter_state.h"
#include "ngx_redis_client.h"


#define NGX_LIMITER_FLEET_ID  32


/* in shared memory; words are read and written without a lock */

typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    u_char                    id[NGX_LIMITER_FLEET_ID];   /* hex */
    ngx_atomic_t              hosts;     /* last seen alive, with this one */
    ngx_atomic_t              rank;      /* of this one among them */
    ngx_atomic_t              era;       /* grows when Redis may have lost
                                            something, see _era() */
    ngx_atomic_t              resets;    /* as last read */
    ngx_atomic_t              known;     /* this host has told Redis of itself
                                            and no answer has denied it */
    ngx_shared_number_t       stamp;     /* ms, of the clock of Redis: when it
                                            saw this host last */
    ngx_keeper_t              keeper;    /* the worker that minds it */
    ngx_shared_number_t       heard;     /* ms, when Redis answered last */
    ngx_shared_number_t       away;      /* ms, when it did not serve last; 0:
                                            all have settled since */
    ngx_atomic_t              sure;      /* the era of the last sign of life
                                            that was answered */
    ngx_atomic_t              life;      /* grows when Redis has lost all for
                                            sure, see _life() */
    ngx_atomic_t              due;       /* 1: Redis is to be told of what it
                                            was not, 2: of all; 0: it has been,
                                            or has not lost anything */
} ngx_limiter_fleet_shm_t;


typedef struct ngx_limiter_fleet_s  ngx_limiter_fleet_t;


/*
 * Prepares the memory of the zone; called by its init handler, at a reload
 * too.
 */

ngx_int_t ngx_limiter_fleet_init(ngx_slab_pool_t *shpool, ngx_log_t *log);

/*
 * Begins to tell and to listen, in this worker (init_process).  It lives in
 * cycle->pool; NULL when out of memory.
 */

ngx_limiter_fleet_t *ngx_limiter_fleet_create(ngx_cycle_t *cycle,
    ngx_slab_pool_t *shpool, ngx_redis_client_t *client, ngx_str_t *prefix);

/*
 * What the worker that minds the host is to do, called from its timer:
 * forgotten() when subjects were forgotten by command on another host, so that
 * nothing that is known here can be relied upon; back() when Redis answers
 * again and "lost" if it has forgotten this host, and all else presumably, or
 * what came since some time, and once more when all have settled.
 */

typedef struct {
    void                    (*forgotten)(void *data);
    void                    (*back)(void *data, ngx_uint_t lost);
} ngx_limiter_fleet_handlers_t;

void ngx_limiter_fleet_listen(ngx_limiter_fleet_t *fleet,
    ngx_limiter_fleet_handlers_t *handlers, void *data);

/*
 * What back() has begun has come to its end, "whole" or not.  What is not done,
 * also by a worker that dies or leaves meanwhile, is begun again, by another one
 * perhaps.
 */

void ngx_limiter_fleet_reconciled(ngx_limiter_fleet_t *fleet,
    ngx_uint_t whole);

/* Ends its timers (exit_process). */

void ngx_limiter_fleet_close(ngx_limiter_fleet_t *fleet);

/* The share of this host for a subject, of which "hash" is any hash. */

void ngx_limiter_fleet_share(ngx_limiter_fleet_t *fleet, uint32_t hash,
    ngx_limiter_share_t *share);

/*
 * A number that is another one every time Redis may have lost what it had
 * been told, on this host: what a slot learned in another era is told again
 * with the subject's next request.
 */

uint32_t ngx_limiter_fleet_era(ngx_limiter_fleet_t *fleet);

/*
 * Redis does not serve, at "now" of ngx_limiter_local_now().  For some seconds
 * from the last time on the hosts are settling: they may not all have told it
 * what they let in meanwhile, and those that were there before count as there.
 * A host that is alone has nobody to wait for.
 */

void ngx_limiter_fleet_away(ngx_limiter_fleet_t *fleet, uint64_t now);
ngx_uint_t ngx_limiter_fleet_settling(ngx_limiter_fleet_t *fleet,
    uint64_t now);

/*
 * A number that grows when Redis has forgotten this host behind a connection
 * that was lost: it has lost all that it had been told then.  Of a cluster that
 * is never known, where others than the server of the fleet have what matters.
 *
 * While the hosts are settling and it is not known whether a connection that
 * was lost has changed it, Redis is not to be told anything, as nobody would
 * know which one was told: who can decides without it.
 */

ngx_atomic_t *ngx_limiter_fleet_life(ngx_limiter_fleet_t *fleet);
ngx_uint_t ngx_limiter_fleet_unsure(ngx_limiter_fleet_t *fleet, uint64_t now);

/* hosts last seen alive, at least 1 */

ngx_uint_t ngx_limiter_fleet_hosts(ngx_limiter_fleet_t *fleet);

/*
 * The place of this one among them, and when Redis told of them last, in
 * milliseconds of ngx_limiter_local_now(); 0: never.
 */

ngx_uint_t ngx_limiter_fleet_rank(ngx_limiter_fleet_t *fleet);
uint64_t ngx_limiter_fleet_heard(ngx_limiter_fleet_t *fleet);

/* The key, and the member that counts what was forgotten by command. */

ngx_str_t *ngx_limiter_fleet_key(ngx_limiter_fleet_t *fleet);

#define NGX_LIMITER_FLEET_RESETS  "resets"

/* This host has forgotten a subject itself, and told Redis so. */

void ngx_limiter_fleet_told(ngx_limiter_fleet_t *fleet);


#endif /* _NGX_LIMITER_FLEET_H_INCLUDED_ */
