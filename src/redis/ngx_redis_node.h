
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The connections to one server, or to whichever of several addresses serves,
 * with the circuit breaker that stops asking it and probes it back to life.
 * A client of a standalone Redis has one node, one of a cluster has a node
 * for each master.
 */


#ifndef _NGX_REDIS_NODE_H_INCLUDED_
#define _NGX_REDIS_NODE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_breaker.h"
#include "ngx_redis_client.h"
#include "ngx_redis_large.h"
#include "ngx_redis_pipe.h"


/* What a node tells its owner. */

typedef struct {
    /* a connection is up; NULL: not to be told */
    void                    (*up)(void *data, ngx_redis_node_t *node);

    /*
     * A connection that was up is gone; or else, at each attempt in vain, the
     * server does not serve.
     */
    void                    (*trouble)(void *data, ngx_redis_node_t *node,
                                       ngx_uint_t was_up);

    /*
     * The reply to a command is an error.  NGX_OK when the command has been
     * moved elsewhere; else it ends with this reply.  NULL: it always ends.
     */
    ngx_int_t               (*refused)(void *data, ngx_redis_node_t *node,
                                       ngx_redis_pipe_t *pipe,
                                       ngx_redis_command_t *cmd,
                                       redisReply *reply);

    /* a node that is closed has no command under way; NULL: never closed */
    void                    (*empty)(void *data, ngx_redis_node_t *node);
} ngx_redis_node_handlers_t;


struct ngx_redis_node_s {
    ngx_redis_conf_t         *conf;
    ngx_redis_stats_t        *stats;       /* of the client */
    ngx_log_t                *log;

    ngx_redis_targets_t       targets;
    ngx_redis_pipe_t         *pipes;       /* conf->connections of them, and
                                              one with conf->large */
    ngx_uint_t                npipes;

    ngx_redis_breaker_t       breaker;
    ngx_redis_large_t         large;       /* another, of large values */
    ngx_uint_t                refusals;    /* servers that refused to serve */
    ngx_msec_t                refused;     /* when the last one did */
    ngx_msec_t                since;       /* of the outage that was told of */

    ngx_event_t               timer;       /* the next probe */

    ngx_redis_node_handlers_t  *handlers;
    void                     *data;

    unsigned                  closed:1;    /* takes no commands any more */
    unsigned                  told:1;      /* that it is down, not yet that it
                                              is back */
    unsigned                  doubted:1;   /* commands have failed, so only one
                                              that succeeds tells the end */
};


/*
 * Prepares a zeroed node of which conf, stats, log, handlers and data are
 * set, with memory from the pool.  It does not connect yet.
 */

ngx_int_t ngx_redis_node_init(ngx_redis_node_t *node, ngx_pool_t *pool);

/* Connects now, unless the breaker is open. */

void ngx_redis_node_open(ngx_redis_node_t *node);

/* Closes connections and timers; no handler is called any more. */

void ngx_redis_node_close(ngx_redis_node_t *node);

/*
 * Takes no commands any more, and closes when there is none under way; then
 * "empty" is called.
 */

void ngx_redis_node_retire(ngx_redis_node_t *node);

/*
 * As ngx_redis_client_send(), or with "large" (ngx_redis_large.h) as the others;
 * NULL when the breaker is open, too.
 */

ngx_redis_command_t *ngx_redis_node_send(ngx_redis_node_t *node,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t large,
    ngx_redis_reply_pt handler, void *data);

/*
 * Takes over a command that was sent elsewhere, with its deadline.  With
 * "asking" the node is told that it was asked for what it is importing.
 * NGX_DECLINED when it does not take commands.
 */

ngx_int_t ngx_redis_node_take(ngx_redis_node_t *node,
    ngx_redis_command_t *cmd, ngx_uint_t asking);

ngx_redis_state_e ngx_redis_node_state(ngx_redis_node_t *node);

/* The number of commands that are waiting or under way. */

ngx_uint_t ngx_redis_node_commands(ngx_redis_node_t *node);


#endif /* _NGX_REDIS_NODE_H_INCLUDED_ */
