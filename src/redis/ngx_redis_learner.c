
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_learner.h"


#define NGX_REDIS_LEARNER_MIN_WAIT  50     /* ms */
#define NGX_REDIS_LEARNER_MAX_WAIT  1000   /* ms */
#define NGX_REDIS_LEARNER_CALM      10000  /* ms without a question: as new */

/*
 * Each of the 16384 slots may be a range of its own, in which its master and
 * three replicas are told again, with names of hosts.
 */

#define NGX_REDIS_LEARNER_REPLY     (16 * 1024 * 1024)
#define NGX_REDIS_LEARNER_ELEMENTS  524288


static void ngx_redis_learner_ask_later(ngx_redis_learner_t *learner,
    ngx_msec_t delay);
static void ngx_redis_learner_start(ngx_redis_learner_t *learner);
static void ngx_redis_learner_timer_handler(ngx_event_t *ev);
static void ngx_redis_learner_up_handler(void *data, ngx_redis_node_t *node);
static void ngx_redis_learner_trouble_handler(void *data,
    ngx_redis_node_t *node, ngx_uint_t was_up);
static void ngx_redis_learner_slots_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_redis_learner_missed(ngx_redis_learner_t *learner,
    ngx_redis_result_e result, redisReply *reply);
static ngx_uint_t ngx_redis_learner_none(redisReply *reply);


static ngx_redis_node_handlers_t  ngx_redis_learner_node_handlers = {
    ngx_redis_learner_up_handler,
    ngx_redis_learner_trouble_handler,
    NULL,
    NULL
};


ngx_int_t
ngx_redis_learner_init(ngx_redis_learner_t *learner, ngx_redis_conf_t *conf,
    ngx_redis_stats_t *stats, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_redis_node_t    *node;
    ngx_redis_target_t  *elts;

    learner->conf = *conf;
    learner->conf.connections = 1;
    learner->conf.large = 0;

    /* there is more to tell than by other commands, and nobody waits */

    learner->conf.timeout = ngx_max(conf->timeout, conf->connect_timeout);
    learner->conf.max_reply = ngx_max(conf->max_reply,
                                      NGX_REDIS_LEARNER_REPLY);
    learner->conf.max_elements = NGX_REDIS_LEARNER_ELEMENTS;

    learner->timer.handler = ngx_redis_learner_timer_handler;
    learner->timer.data = learner;
    learner->timer.log = log;
    learner->timer.cancelable = 1;

    node = &learner->node;

    node->conf = &learner->conf;
    node->stats = stats;
    node->log = log;
    node->handlers = &ngx_redis_learner_node_handlers;
    node->data = learner;

    if (ngx_redis_node_init(node, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the seeds come first, behind them there is room for others */

    learner->seeds = node->targets.nelts;

    elts = ngx_pcalloc(pool, (learner->seeds + NGX_REDIS_LEARNER_KNOWN)
                             * sizeof(ngx_redis_target_t));
    if (elts == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(elts, node->targets.elts,
               learner->seeds * sizeof(ngx_redis_target_t));

    node->targets.elts = elts;

    return NGX_OK;
}


void
ngx_redis_learner_ask(ngx_redis_learner_t *learner)
{
    ngx_msec_t  since;

    if (!learner->asked) {
        ngx_redis_learner_ask_later(learner, 0);
        return;
    }

    since = ngx_current_msec - learner->last;

    if (since >= NGX_REDIS_LEARNER_CALM) {
        learner->wait = 0;
    }

    ngx_redis_learner_ask_later(learner, (since < learner->wait)
                                         ? learner->wait - since : 0);
}


/* In "delay" ms, unless it is about to ask before that. */

static void
ngx_redis_learner_ask_later(ngx_redis_learner_t *learner, ngx_msec_t delay)
{
    ngx_msec_int_t  left;

    if (ngx_exiting || learner->node.closed || learner->asking) {
        return;
    }

    if (learner->timer.timer_set) {
        left = learner->timer.timer.key - ngx_current_msec;

        if (left <= (ngx_msec_int_t) delay) {
            return;
        }

        ngx_del_timer(&learner->timer);
    }

    if (delay == 0 && !learner->asked) {
        ngx_redis_learner_start(learner);
        return;
    }

    /* not from within the handlers of a connection */

    ngx_add_timer(&learner->timer, ngx_max(delay, 1));
}


static void
ngx_redis_learner_timer_handler(ngx_event_t *ev)
{
    ngx_redis_learner_t  *learner;

    learner = ev->data;

    if (ngx_exiting || learner->node.closed || learner->asking) {
        return;
    }

    ngx_redis_learner_start(learner);
}


static void
ngx_redis_learner_start(ngx_redis_learner_t *learner)
{
    ngx_uint_t            n;
    ngx_redis_targets_t  *targets;

    learner->asking = 1;
    learner->asked = 1;
    learner->last = ngx_current_msec;

    /* many workers are told of the same: they do not ask all at once */

    n = learner->wait ? learner->wait * 2 : NGX_REDIS_LEARNER_MIN_WAIT;
    n = ngx_min(n, NGX_REDIS_LEARNER_MAX_WAIT);
    learner->wait = n - ngx_random() % (n / 4);

    targets = &learner->node.targets;

    n = learner->handlers->known(learner->data,
                                 &targets->elts[learner->seeds],
                                 NGX_REDIS_LEARNER_KNOWN);

    targets->nelts = learner->seeds + n;
    targets->current = ((n ? learner->seeds : 0) + learner->misses)
                       % targets->nelts;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, learner->node.log, 0,
                   "redis cluster is asked for slots, known:%ui misses:%ui",
                   n, learner->misses);

    /* while the breaker is open, its probes are going to find somebody */

    if (ngx_redis_node_may_connect(&learner->node)) {
        ngx_redis_conn_open(&learner->node.pipes[0].conn,
                            learner->misses != 0);
    }
}


static void
ngx_redis_learner_up_handler(void *data, ngx_redis_node_t *node)
{
    ngx_redis_learner_t *learner = data;

    ngx_str_t          argv[2];
    ngx_redis_pipe_t  *pipe;

    pipe = &node->pipes[0];

    if (!learner->asking) {
        ngx_redis_pipe_close(pipe);
        return;
    }

    ngx_str_set(&argv[0], "CLUSTER");
    argv[1] = learner->question;

    if (ngx_redis_pipe_send(pipe, 2, argv, ngx_redis_learner_slots_handler,
                            learner)
        == NULL)
    {
        learner->asking = 0;
        ngx_redis_pipe_close(pipe);
        ngx_redis_learner_ask(learner);
        return;
    }

    /* a worker that leaves does not wait for it */

    pipe->timer.cancelable = 1;
}


static void
ngx_redis_learner_trouble_handler(void *data, ngx_redis_node_t *node,
    ngx_uint_t was_up)
{
    ngx_redis_learner_t *learner = data;

    if (!was_up && learner->asking) {
        learner->handlers->failed(learner->data);
    }
}


static void
ngx_redis_learner_slots_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_learner_t *learner = data;

    ngx_int_t   rc;
    ngx_str_t   peer;

    rc = NGX_DECLINED;
    ngx_str_null(&peer);

    if (result == NGX_REDIS_REPLY) {
        peer = learner->node.pipes[0].conn.peer;

        rc = learner->handlers->told(learner->data, reply, &peer);
    }

    ngx_redis_pipe_close(&learner->node.pipes[0]);

    learner->asking = 0;

    if (rc == NGX_OK || rc == NGX_AGAIN) {

        if (learner->misses) {
            learner->misses = 0;

            ngx_log_error(NGX_LOG_NOTICE, learner->node.log, 0,
                          "redis cluster: %V tells where slots are again "
                          "after %Mms", &peer,
                          ngx_current_msec - learner->missed);
        }

        if (rc == NGX_AGAIN) {
            ngx_redis_learner_ask(learner);
        }

        return;
    }

    ngx_redis_learner_missed(learner, result, reply);
}


static void
ngx_redis_learner_missed(ngx_redis_learner_t *learner,
    ngx_redis_result_e result, redisReply *reply)
{
    ngx_str_t   code;
    ngx_uint_t  level;

    static ngx_str_t  reasons[] = {
        ngx_string("no slots in its reply"),
        ngx_string("refused"),
        ngx_string("no reply in time"),
        ngx_string("connection lost")
    };

    code = ngx_redis_reply_code(reply);
    level = learner->misses ? NGX_LOG_INFO : NGX_LOG_ERR;

    if (learner->misses == 0) {
        learner->missed = ngx_current_msec;
    }

    ngx_log_error(level, learner->node.log, 0,
                  "redis cluster: %V of \"%V\" does not tell where slots are: "
                  "%V%s%V%s",
                  &learner->node.pipes[0].conn.peer, &learner->conf.directive,
                  &reasons[result], code.len ? " with " : "", &code,
                  ngx_redis_learner_none(reply) ? ", it is no cluster" : "");

    learner->misses++;

    learner->handlers->failed(learner->data);

    ngx_redis_learner_ask(learner);
}


/* A server by itself says so in an ERR, as whatever it does not understand. */

static ngx_uint_t
ngx_redis_learner_none(redisReply *reply)
{
    return reply
           && reply->type == REDIS_REPLY_ERROR
           && ngx_strnstr((u_char *) reply->str, "cluster support disabled",
                          reply->len)
              != NULL;
}


ngx_uint_t
ngx_redis_learner_forget(ngx_redis_learner_t *learner)
{
    if (learner->node.pipes[0].conn.state != NGX_REDIS_CONN_IDLE) {
        return 0;
    }

    learner->node.targets.nelts = learner->seeds;
    learner->node.targets.current %= learner->seeds;

    return 1;
}


void
ngx_redis_learner_close(ngx_redis_learner_t *learner)
{
    if (learner->timer.timer_set) {
        ngx_del_timer(&learner->timer);
    }

    /* addresses of others are not ours to free */

    learner->node.targets.nelts = learner->seeds;

    ngx_redis_node_close(&learner->node);
}
