
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Finds the server of a key in Redis Cluster.  The map of slots is learned
 * from whichever server answers, and corrected by every MOVED; a command that
 * was not executed is sent on, within its deadline.
 */


#ifndef _NGX_REDIS_CLUSTER_H_INCLUDED_
#define _NGX_REDIS_CLUSTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_learner.h"
#include "ngx_redis_member.h"
#include "ngx_redis_park.h"


#define NGX_REDIS_CLUSTER_MAX_MEMBERS  1000

/* however few connections a worker may have */
#define NGX_REDIS_CLUSTER_MIN_MEMBERS  16

/* how often a command is sent on */
#define NGX_REDIS_CLUSTER_MAX_HOPS     5

/* a server without slots is kept so long after it was last asked for one */
#define NGX_REDIS_CLUSTER_STRAY        5000  /* ms */

/* and when it cannot be freed yet */
#define NGX_REDIS_CLUSTER_SWEEP        100   /* ms */


typedef struct ngx_redis_cluster_s  ngx_redis_cluster_t;


struct ngx_redis_cluster_s {
    ngx_redis_conf_t         *conf;
    ngx_redis_stats_t        *stats;
    ngx_uint_t               *era;       /* of the client */
    ngx_log_t                *log;

    ngx_redis_learner_t       learner;
    ngx_redis_park_t          park;

    ngx_redis_member_t       *members[NGX_REDIS_CLUSTER_MAX_MEMBERS];
    ngx_uint_t                nmembers;  /* below are all members, and NULLs */
    ngx_uint_t                max;       /* of them */
    uint16_t                  slots[NGX_REDIS_SLOTS];  /* 0: nobody knows, or
                                                          member's index + 1 */

    ngx_queue_t               leaving;   /* perhaps with commands under way */
    ngx_uint_t                nleaving;
    ngx_event_t               sweep;     /* to free those without */

    unsigned                  known:1;   /* there is a map */
    unsigned                  failed:1;  /* nobody has told of one */
    unsigned                  full:1;    /* and it was logged */
    unsigned                  closed:1;
};


/*
 * Checks, when the configuration is read, that the URLs can be seeds.
 * NGX_CONF_OK, or NGX_CONF_ERROR after logging.
 */

char *ngx_redis_cluster_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf);

/*
 * Creates the cluster's part of a client and starts to learn, if "start".  It
 * lives in the pool; NULL when out of memory.
 */

ngx_redis_cluster_t *ngx_redis_cluster_create(ngx_redis_conf_t *conf,
    ngx_redis_stats_t *stats, ngx_uint_t *era, ngx_pool_t *pool,
    ngx_log_t *log, ngx_uint_t start);

/* The servers of a cluster that a worker may have connections to. */

ngx_uint_t ngx_redis_cluster_max(ngx_redis_conf_t *conf);

/* Closes everything; no handler is called any more. */

void ngx_redis_cluster_close(ngx_redis_cluster_t *cl);

/* As ngx_redis_client_send(). */

ngx_redis_command_t *ngx_redis_cluster_send(ngx_redis_cluster_t *cl,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key, ngx_uint_t large,
    ngx_redis_reply_pt handler, void *data);

/* UP when any server is. */

ngx_redis_state_e ngx_redis_cluster_state(ngx_redis_cluster_t *cl);

/*
 * OPEN when that of any master is, or no server tells who has the slots; else
 * TRIAL when that of any is.
 */

ngx_redis_breaker_state_e ngx_redis_cluster_breaker(ngx_redis_cluster_t *cl);


/* ngx_redis_cluster_members.c: the map of slots */

/*
 * The member of an endpoint, which is made if it is not known; NULL when
 * there are too many or out of memory.
 */

ngx_redis_member_t *ngx_redis_cluster_member(ngx_redis_cluster_t *cl,
    ngx_redis_endpoint_t *endpoint);

/* The master of a slot, as far as is known, or NULL. */

ngx_redis_member_t *ngx_redis_cluster_master(ngx_redis_cluster_t *cl,
    ngx_uint_t slot);

/* Any member, for a command without a key: one that is up, or NULL. */

ngx_redis_member_t *ngx_redis_cluster_any(ngx_redis_cluster_t *cl);

/* A slot has another master; NULL: nobody. */

void ngx_redis_cluster_assign(ngx_redis_cluster_t *cl, ngx_uint_t slot,
    ngx_redis_member_t *member);

/* Handler of the learner: a new map. */

ngx_int_t ngx_redis_cluster_told_handler(void *data, redisReply *reply,
    ngx_str_t *peer);

/* Servers that have left are to be freed, and the handler that does it. */

void ngx_redis_cluster_sweep(ngx_redis_cluster_t *cl);
void ngx_redis_cluster_sweep_handler(ngx_event_t *ev);

/* The host of "127.0.0.1:6379" or "[::1]:6379". */

ngx_str_t ngx_redis_cluster_peer_host(ngx_str_t *peer);

/* ngx_redis_cluster.c: what members tell, and the handler of the park */

extern ngx_redis_node_handlers_t  ngx_redis_cluster_node_handlers;

ngx_int_t ngx_redis_cluster_place_handler(void *data,
    ngx_redis_command_t *cmd);


#endif /* _NGX_REDIS_CLUSTER_H_INCLUDED_ */
