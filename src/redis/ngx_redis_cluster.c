
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_cluster.h"


/* before another attempt when a server has refused */
#define NGX_REDIS_CLUSTER_MIN_DELAY  2    /* ms */
#define NGX_REDIS_CLUSTER_MAX_DELAY  50   /* ms */


static void ngx_redis_cluster_trouble_handler(void *data,
    ngx_redis_node_t *node, ngx_uint_t was_up);
static void ngx_redis_cluster_empty_handler(void *data,
    ngx_redis_node_t *node);
static ngx_int_t ngx_redis_cluster_refused_handler(void *data,
    ngx_redis_node_t *node, ngx_redis_pipe_t *pipe, ngx_redis_command_t *cmd,
    redisReply *reply);
static ngx_int_t ngx_redis_cluster_follow(ngx_redis_cluster_t *cl,
    ngx_redis_pipe_t *pipe, ngx_redis_command_t *cmd,
    ngx_redis_redirect_t *redirect);
static ngx_redis_member_t *ngx_redis_cluster_find(ngx_redis_cluster_t *cl,
    ngx_redis_endpoint_t *endpoint);
static void ngx_redis_cluster_move(ngx_redis_cluster_t *cl, ngx_uint_t slot,
    ngx_redis_member_t *member);
static ngx_int_t ngx_redis_cluster_retry(ngx_redis_cluster_t *cl,
    ngx_redis_command_t *cmd, redisReply *reply);
static ngx_uint_t ngx_redis_cluster_alive(ngx_redis_command_t *cmd,
    ngx_uint_t hops);
static void ngx_redis_cluster_failed_handler(void *data);
static ngx_uint_t ngx_redis_cluster_known_handler(void *data,
    ngx_redis_target_t *targets, ngx_uint_t max);


ngx_redis_node_handlers_t  ngx_redis_cluster_node_handlers = {
    NULL,
    ngx_redis_cluster_trouble_handler,
    ngx_redis_cluster_refused_handler,
    ngx_redis_cluster_empty_handler
};


static ngx_redis_learner_handlers_t  ngx_redis_cluster_learner_handlers = {
    ngx_redis_cluster_told_handler,
    ngx_redis_cluster_failed_handler,
    ngx_redis_cluster_known_handler
};


ngx_redis_cluster_t *
ngx_redis_cluster_create(ngx_redis_conf_t *conf, ngx_redis_stats_t *stats,
    ngx_uint_t *era, ngx_pool_t *pool, ngx_log_t *log, ngx_uint_t start)
{
    ngx_redis_cluster_t  *cl;

    cl = ngx_pcalloc(pool, sizeof(ngx_redis_cluster_t));
    if (cl == NULL) {
        return NULL;
    }

    cl->conf = conf;
    cl->stats = stats;
    cl->era = era;
    cl->log = log;

    cl->max = ngx_redis_cluster_max(conf);

    ngx_queue_init(&cl->leaving);

    cl->sweep.handler = ngx_redis_cluster_sweep_handler;
    cl->sweep.data = cl;
    cl->sweep.log = log;
    cl->sweep.cancelable = 1;

    ngx_redis_park_init(&cl->park, stats, log,
                        ngx_redis_cluster_place_handler, cl);

    ngx_str_set(&cl->learner.question, "SLOTS");
    cl->learner.handlers = &ngx_redis_cluster_learner_handlers;
    cl->learner.data = cl;

    if (ngx_redis_learner_init(&cl->learner, conf, stats, pool, log)
        != NGX_OK)
    {
        return NULL;
    }

    if (start) {
        ngx_redis_learner_ask(&cl->learner);
    }

    return cl;
}


/* of a worker's connections, most are for its clients */

ngx_uint_t
ngx_redis_cluster_max(ngx_redis_conf_t *conf)
{
    ngx_uint_t  max;

    max = ngx_cycle->connection_n / 4 / conf->connections;
    max = ngx_max(max, NGX_REDIS_CLUSTER_MIN_MEMBERS);

    return ngx_min(max, NGX_REDIS_CLUSTER_MAX_MEMBERS);
}


void
ngx_redis_cluster_close(ngx_redis_cluster_t *cl)
{
    ngx_uint_t           i;
    ngx_queue_t         *q;
    ngx_redis_member_t  *member;

    cl->closed = 1;

    if (cl->sweep.timer_set) {
        ngx_del_timer(&cl->sweep);
    }

    ngx_redis_learner_close(&cl->learner);
    ngx_redis_park_close(&cl->park);

    for (i = 0; i < cl->nmembers; i++) {
        if (cl->members[i]) {
            ngx_redis_member_free(cl->members[i]);
            cl->members[i] = NULL;
        }
    }

    while (!ngx_queue_empty(&cl->leaving)) {
        q = ngx_queue_head(&cl->leaving);
        member = ngx_queue_data(q, ngx_redis_member_t, queue);

        ngx_queue_remove(q);
        ngx_redis_member_free(member);
    }

    cl->nmembers = 0;
    ngx_memzero(cl->slots, sizeof(cl->slots));
}


ngx_redis_command_t *
ngx_redis_cluster_send(ngx_redis_cluster_t *cl, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_uint_t large,
    ngx_redis_reply_pt handler, void *data)
{
    ngx_int_t             slot;
    ngx_redis_member_t   *member;
    ngx_redis_command_t  *cmd;

    if (key) {
        slot = ngx_redis_slot(&argv[key]);
        member = ngx_redis_cluster_master(cl, slot);

    } else {
        slot = -1;
        member = ngx_redis_cluster_any(cl);
    }

    if (member) {
        cmd = ngx_redis_node_send(&member->node, argc, argv, large, handler,
                                  data);

    } else {
        ngx_redis_learner_ask(&cl->learner);

        if (cl->known || cl->failed || cl->closed || ngx_exiting) {
            return NULL;
        }

        cmd = ngx_redis_park_send(&cl->park, cl->conf->timeout, argc, argv,
                                  handler, data);
    }

    if (cmd) {
        cmd->slot = slot;
        cmd->large = large;
    }

    return cmd;
}


ngx_int_t
ngx_redis_cluster_place_handler(void *data, ngx_redis_command_t *cmd)
{
    ngx_redis_cluster_t *cl = data;

    ngx_redis_member_t  *member;

    if (!cl->known) {
        return NGX_DECLINED;
    }

    member = (cmd->slot < 0) ? ngx_redis_cluster_any(cl)
                             : ngx_redis_cluster_master(cl, cmd->slot);

    if (member == NULL
        || ngx_redis_node_take(&member->node, cmd, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_redis_state_e
ngx_redis_cluster_state(ngx_redis_cluster_t *cl)
{
    ngx_uint_t         i;
    ngx_redis_state_e  state, all;

    if (cl->closed) {
        return NGX_REDIS_DOWN;
    }

    if (!cl->known) {
        return cl->failed ? NGX_REDIS_DOWN : NGX_REDIS_CONNECTING;
    }

    all = NGX_REDIS_DOWN;

    for (i = 0; i < cl->nmembers; i++) {

        if (cl->members[i] == NULL || cl->members[i]->nslots == 0) {
            continue;
        }

        state = ngx_redis_node_state(&cl->members[i]->node);

        if (state == NGX_REDIS_UP) {
            return NGX_REDIS_UP;
        }

        if (state != NGX_REDIS_DOWN) {
            all = NGX_REDIS_CONNECTING;
        }
    }

    return all;
}


ngx_redis_breaker_state_e
ngx_redis_cluster_breaker(ngx_redis_cluster_t *cl)
{
    ngx_uint_t                 i;
    ngx_redis_breaker_state_e  state;

    if (!cl->known) {
        return cl->failed ? NGX_REDIS_BREAKER_OPEN : NGX_REDIS_BREAKER_CLOSED;
    }

    state = NGX_REDIS_BREAKER_CLOSED;

    for (i = 0; i < cl->nmembers; i++) {

        if (cl->members[i] == NULL || cl->members[i]->nslots == 0) {
            continue;
        }

        switch (cl->members[i]->node.breaker.state) {

        case NGX_REDIS_BREAKER_OPEN:
            return NGX_REDIS_BREAKER_OPEN;

        case NGX_REDIS_BREAKER_TRIAL:
            state = NGX_REDIS_BREAKER_TRIAL;
            break;

        default:
            break;
        }
    }

    return state;
}


static void
ngx_redis_cluster_trouble_handler(void *data, ngx_redis_node_t *node,
    ngx_uint_t was_up)
{
    ngx_redis_cluster_t *cl = data;

    if (node->closed) {
        return;
    }

    if (was_up) {
        (*cl->era)++;
    }

    ngx_redis_learner_ask(&cl->learner);
}


static void
ngx_redis_cluster_empty_handler(void *data, ngx_redis_node_t *node)
{
    ngx_redis_cluster_t *cl = data;

    ngx_redis_cluster_sweep(cl);
}


/*
 * All errors that are looked at here are said instead of executing a command.
 * Scripts do not produce them after a write: what a script may write has the
 * keys of one slot, and the server looks at these before it starts.
 */

static ngx_int_t
ngx_redis_cluster_refused_handler(void *data, ngx_redis_node_t *node,
    ngx_redis_pipe_t *pipe, ngx_redis_command_t *cmd, redisReply *reply)
{
    ngx_redis_cluster_t *cl = data;

    ngx_int_t             rc;
    ngx_redis_redirect_t  redirect;

    rc = ngx_redis_redirect_parse(reply, &redirect);

    if (rc == NGX_DECLINED) {
        return ngx_redis_cluster_retry(cl, cmd, reply);
    }

    if (rc == NGX_ERROR || cmd->slot != (ngx_int_t) redirect.slot) {
        ngx_redis_learner_ask(&cl->learner);
        return NGX_DECLINED;
    }

    return ngx_redis_cluster_follow(cl, pipe, cmd, &redirect);
}


static ngx_int_t
ngx_redis_cluster_follow(ngx_redis_cluster_t *cl, ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, ngx_redis_redirect_t *redirect)
{
    ngx_redis_member_t  *member;

    if (redirect->endpoint.host.len == 0) {
        redirect->endpoint.host =
                               ngx_redis_cluster_peer_host(&pipe->conn.peer);
    }

    member = ngx_redis_cluster_find(cl, &redirect->endpoint);

    ngx_log_debug5(NGX_LOG_DEBUG_EVENT, cl->log, 0,
                   "redis cluster %s slot %ui to \"%V:%d\" hops:%ui",
                   redirect->type == NGX_REDIS_REDIRECT_ASK ? "asks for"
                                                            : "has moved",
                   redirect->slot, &redirect->endpoint.host,
                   (int) redirect->endpoint.port, cmd->hops);

    if (member) {
        /* the next map may be of somebody who has not heard of it */
        member->used = ngx_current_msec;
    }

    if (redirect->type == NGX_REDIS_REDIRECT_MOVED) {
        ngx_redis_learner_ask(&cl->learner);

        if (member) {
            ngx_redis_cluster_move(cl, redirect->slot, member);
        }
    }

    if (!ngx_redis_cluster_alive(cmd, 1)) {
        return NGX_DECLINED;
    }

    if (member == NULL) {

        /* a name that nobody told the address of: the next map will */

        ngx_redis_learner_ask(&cl->learner);

        return ngx_redis_park_take(&cl->park, cmd, NGX_MAX_INT32_VALUE);
    }

    return ngx_redis_node_take(&member->node, cmd, redirect->type
                                                  == NGX_REDIS_REDIRECT_ASK);
}


/* an address may be new, a name has to be known */

static ngx_redis_member_t *
ngx_redis_cluster_find(ngx_redis_cluster_t *cl, ngx_redis_endpoint_t *endpoint)
{
    ngx_uint_t  i;

    if (ngx_redis_map_address(&endpoint->host)) {
        return ngx_redis_cluster_member(cl, endpoint);
    }

    for (i = 0; i < cl->nmembers; i++) {
        if (cl->members[i] && ngx_redis_member_is(cl->members[i], endpoint)) {
            return cl->members[i];
        }
    }

    return NULL;
}


static void
ngx_redis_cluster_move(ngx_redis_cluster_t *cl, ngx_uint_t slot,
    ngx_redis_member_t *member)
{
    ngx_redis_member_t  *was;

    was = ngx_redis_cluster_master(cl, slot);

    if (was && was != member) {
        (*cl->era)++;
    }

    ngx_redis_cluster_assign(cl, slot, member);
}


static ngx_int_t
ngx_redis_cluster_retry(ngx_redis_cluster_t *cl, ngx_redis_command_t *cmd,
    redisReply *reply)
{
    ngx_msec_t  delay;
    ngx_uint_t  hops;

    hops = 1;

    if (ngx_redis_reply_error(reply, "TRYAGAIN")) {

        /*
         * Some keys of the command are here, others there, not for long; the
         * deadline and the delay limit how often it is said.
         */

        hops = 0;

        delay = cl->conf->timeout / 8;
        delay = ngx_max(delay, NGX_REDIS_CLUSTER_MIN_DELAY);
        delay = ngx_min(delay, NGX_REDIS_CLUSTER_MAX_DELAY);

    } else if (ngx_redis_reply_error(reply, "CLUSTERDOWN")
               || ngx_redis_reply_verdict(reply) == NGX_REDIS_VERDICT_LEAVE)
    {
        /* perhaps another server does better, by the next map if it is soon */

        if (cmd->slot >= 0 && ngx_redis_map_unserved(reply)) {
            ngx_redis_cluster_move(cl, cmd->slot, NULL);
        }

        ngx_redis_learner_ask(&cl->learner);

        if (cmd->retried) {
            return NGX_DECLINED;
        }

        cmd->retried = 1;
        delay = NGX_REDIS_CLUSTER_MAX_DELAY;

    } else {
        return NGX_DECLINED;
    }

    if (!ngx_redis_cluster_alive(cmd, hops)) {
        return NGX_DECLINED;
    }

    return ngx_redis_park_take(&cl->park, cmd, delay);
}


/* is it worth another hop, which is counted here */

static ngx_uint_t
ngx_redis_cluster_alive(ngx_redis_command_t *cmd, ngx_uint_t hops)
{
    if (cmd->abandoned
        || cmd->hops + hops > NGX_REDIS_CLUSTER_MAX_HOPS
        || (ngx_msec_int_t) (cmd->deadline - ngx_current_msec) <= 0)
    {
        return 0;
    }

    cmd->hops += hops;

    return 1;
}


static void
ngx_redis_cluster_failed_handler(void *data)
{
    ngx_redis_cluster_t *cl = data;

    if (!cl->known) {
        cl->failed = 1;
        ngx_redis_park_clear(&cl->park);
    }
}


static ngx_uint_t
ngx_redis_cluster_known_handler(void *data, ngx_redis_target_t *targets,
    ngx_uint_t max)
{
    ngx_redis_cluster_t *cl = data;

    ngx_uint_t           i, n, first;
    ngx_redis_member_t  *member;

    if (cl->nmembers == 0) {
        return 0;
    }

    first = ngx_random() % cl->nmembers;
    n = 0;

    for (i = 0; i < cl->nmembers && n < max; i++) {
        member = cl->members[(first + i) % cl->nmembers];

        if (member == NULL || member->server.naddrs == 0
            || ngx_redis_node_state(&member->node) != NGX_REDIS_UP)
        {
            continue;
        }

        ngx_memzero(&targets[n], sizeof(ngx_redis_target_t));

        targets[n].server = &member->server;
        targets[n].addrs = member->server.addrs;
        targets[n].naddrs = 1;
        n++;
    }

    return n;
}
