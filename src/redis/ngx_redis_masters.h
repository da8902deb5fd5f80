
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Listens to all masters of a cluster: a connection of ngx_redis_tracking.h to
 * each, and one for questions.  That a change is not missed takes more than
 * that each answers its PING.  A master that others have replaced does so, too,
 * and a key may be written to one that has not told of a slot yet.  So
 *
 * - all masters are listened to, those without slots as well (CLUSTER NODES);
 * - the promise begins when, after that, each of them said that it is a master,
 *   that these are all there are and have all slots, and that keys are served;
 * - it is renewed by rounds of a PING on each connection and a CLUSTER INFO, of
 *   which no number may have changed, and one of the masters is asked anew
 *   which there are.  A round counts from its beginning.
 *
 * Whatever is not so ends the promise at once, until all is verified again.
 */


#ifndef _NGX_REDIS_MASTERS_H_INCLUDED_
#define _NGX_REDIS_MASTERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_learner.h"
#include "ngx_redis_member.h"
#include "ngx_redis_nodes.h"
#include "ngx_redis_tracking.h"


/* between two rounds, when one was in vain */
#define NGX_REDIS_MASTERS_FIRST  50      /* ms */
#define NGX_REDIS_MASTERS_LAST   1000


typedef struct ngx_redis_masters_s  ngx_redis_masters_t;


/* one of them */

typedef struct {
    ngx_redis_masters_t            *masters;
    ngx_redis_member_t             *member;   /* for questions; its pool has
                                                 all of this */
    ngx_redis_tracking_t           *tracking;

    u_char                          id[NGX_REDIS_NODES_ID];
    uint64_t                        server;   /* that is listened to */
    ngx_redis_nodes_info_t          info;     /* as it was verified */

    /* of the round, NULL or 0: answered, or not asked */

    ngx_redis_command_t            *asked_info;
    ngx_redis_command_t            *asked_nodes;
    unsigned                        pinged:1;

    unsigned                        up:1;     /* changes are reported */
    unsigned                        told:1;   /* of by the last map */
} ngx_redis_watched_t;


struct ngx_redis_masters_s {
    ngx_redis_conf_t                conf;     /* with one connection */
    ngx_redis_stats_t               stats;    /* of that, not of the client */
    ngx_redis_tracking_keys_t      *keys;
    ngx_pool_t                     *pool;
    ngx_log_t                      *log;
    ngx_log_t                       quiet;    /* of what the client logs */

    ngx_redis_learner_t             learner;
    ngx_redis_nodes_t               nodes;    /* as the last map told */

    ngx_redis_watched_t           **watched;
    uint64_t                       *servers;  /* for up() */
    ngx_uint_t                      n;
    ngx_uint_t                      max;
    ngx_queue_t                     leaving;  /* of their members */

    ngx_event_t                     timer;    /* the next round */
    ngx_msec_t                      delay;    /* ... after one in vain */
    uint64_t                        start;    /* ms, of the round */
    ngx_uint_t                      pending;  /* answers of it */
    ngx_uint_t                      turn;     /* who is asked for nodes */

    ngx_redis_tracking_handlers_t  *handlers;
    void                           *data;

    unsigned                        promised:1;
    unsigned                        good:1;   /* the round, so far */
    unsigned                        full:1;   /* and it was logged */
    unsigned                        logged:1; /* that it is refused */
};


/* Begins to listen; NULL when out of memory. */

ngx_redis_masters_t *ngx_redis_masters_create(ngx_redis_conf_t *conf,
    ngx_redis_tracking_keys_t *keys, ngx_log_t *log,
    ngx_redis_tracking_handlers_t *handlers, void *data);

/* Closes and frees all; down() is called if there was a promise. */

void ngx_redis_masters_free(ngx_redis_masters_t *m);

/* The promise ends, if there is one, and what there is is learned anew. */

void ngx_redis_masters_doubt(ngx_redis_masters_t *m);

/* An answer of the round has come, or is not going to come. */

void ngx_redis_masters_answered(ngx_redis_masters_t *m, ngx_uint_t good);


/* ngx_redis_masters_map.c: which there are, handlers of the learner */

ngx_int_t ngx_redis_masters_told_handler(void *data, redisReply *reply,
    ngx_str_t *peer);
ngx_uint_t ngx_redis_masters_known_handler(void *data,
    ngx_redis_target_t *targets, ngx_uint_t max);

/* Frees what has left, as soon as it can be. */

void ngx_redis_masters_sweep(ngx_redis_masters_t *m);

/* Frees one, of which no handler is called any more. */

void ngx_redis_masters_drop(ngx_redis_watched_t *w);


/* ngx_redis_masters.c: of the connections */

extern ngx_redis_node_handlers_t      ngx_redis_masters_node_handlers;
extern ngx_redis_tracking_handlers_t  ngx_redis_masters_tracking_handlers;


#endif /* _NGX_REDIS_MASTERS_H_INCLUDED_ */
