
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Asks a cluster where its slots are, or which servers it has, on a connection
 * of its own, which is closed afterwards: whatever is answered, no command is
 * hurt.  Any server that answers is good: those that serve now, then the
 * seeds, which are the URLs of the directive.  One question at a time; the more
 * there are in a row, the longer the pause between them.
 */


#ifndef _NGX_REDIS_LEARNER_H_INCLUDED_
#define _NGX_REDIS_LEARNER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_node.h"


/* servers that are asked beside the seeds */
#define NGX_REDIS_LEARNER_KNOWN  16


typedef struct {
    /*
     * The reply to the question, and the address it is from, which ends at
     * its port.  NGX_OK when it is good, NGX_AGAIN when it is but is about to
     * change; else another server is to be asked.
     */
    ngx_int_t               (*told)(void *data, redisReply *reply,
                                    ngx_str_t *peer);

    /* nobody has answered, for now */
    void                    (*failed)(void *data);

    /* fills in servers that serve, up to "max", and returns their number */
    ngx_uint_t              (*known)(void *data, ngx_redis_target_t *targets,
                                     ngx_uint_t max);
} ngx_redis_learner_handlers_t;


typedef struct {
    ngx_redis_node_t          node;
    ngx_redis_conf_t          conf;      /* with one connection */

    ngx_event_t               timer;     /* the next question */
    ngx_msec_t                last;      /* when the last one was */
    ngx_msec_t                wait;      /* to be between the two */
    ngx_uint_t                seeds;
    ngx_uint_t                misses;    /* bad answers in a row */
    ngx_msec_t                missed;    /* when the first one came */

    ngx_str_t                 question;  /* CLUSTER .. */
    ngx_redis_learner_handlers_t  *handlers;
    void                     *data;

    unsigned                  asking:1;  /* to be answered, or connecting */
    unsigned                  asked:1;   /* ever */
} ngx_redis_learner_t;


/*
 * Prepares a zeroed learner of which question, handlers and data are set, with
 * memory from the pool.
 */

ngx_int_t ngx_redis_learner_init(ngx_redis_learner_t *learner,
    ngx_redis_conf_t *conf, ngx_redis_stats_t *stats, ngx_pool_t *pool,
    ngx_log_t *log);

/* Asks now, or as soon as it may, or not again if it is about to. */

void ngx_redis_learner_ask(ngx_redis_learner_t *learner);

/* 1 if servers that were known may be freed: no list of them is in use. */

ngx_uint_t ngx_redis_learner_forget(ngx_redis_learner_t *learner);

/* No handler is called any more. */

void ngx_redis_learner_close(ngx_redis_learner_t *learner);


#endif /* _NGX_REDIS_LEARNER_H_INCLUDED_ */
