
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_map.h"
#include "ngx_redis_node.h"


/* a connection that is lost sooner did not really work */
#define NGX_REDIS_NODE_SHORT  1000  /* ms */


static ngx_redis_pipe_t *ngx_redis_node_choose(ngx_redis_node_t *node,
    ngx_uint_t large);
static void ngx_redis_node_refused(ngx_redis_node_t *node,
    ngx_redis_pipe_t *pipe, redisReply *reply);
static ngx_int_t ngx_redis_node_failed(ngx_redis_node_t *node);
static void ngx_redis_node_down(ngx_redis_node_t *node, ngx_int_t rc,
    ngx_redis_pipe_t *pipe, ngx_str_t *reason);
static void ngx_redis_node_back(ngx_redis_node_t *node, ngx_int_t rc);
static void ngx_redis_node_over(ngx_redis_node_t *node);
static void ngx_redis_node_schedule(ngx_redis_node_t *node);
static void ngx_redis_node_timer_handler(ngx_event_t *ev);
static void ngx_redis_node_probe(ngx_redis_node_t *node);
static void ngx_redis_node_probe_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static ngx_redis_pipe_t *ngx_redis_node_find(ngx_redis_node_t *node,
    ngx_redis_conn_state_e state);


ngx_int_t
ngx_redis_node_init(ngx_redis_node_t *node, ngx_pool_t *pool)
{
    ngx_uint_t         i;
    ngx_redis_conf_t  *conf;

    conf = node->conf;

    node->timer.handler = ngx_redis_node_timer_handler;
    node->timer.data = node;
    node->timer.log = node->log;
    node->timer.cancelable = 1;

    if (ngx_redis_targets_init(&node->targets, conf, pool, node->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    node->npipes = conf->connections + conf->large;

    node->pipes = ngx_pcalloc(pool,
                              node->npipes * sizeof(ngx_redis_pipe_t));
    if (node->pipes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < node->npipes; i++) {
        if (ngx_redis_pipe_init(&node->pipes[i], node, pool) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_redis_node_open(ngx_redis_node_t *node)
{
    ngx_uint_t  i;

    for (i = 0; i < node->conf->connections; i++) {
        if (ngx_redis_node_may_connect(node)) {
            ngx_redis_conn_open(&node->pipes[i].conn, 0);
        }
    }
}


void
ngx_redis_node_close(ngx_redis_node_t *node)
{
    ngx_uint_t  i;

    node->closed = 1;

    if (node->timer.timer_set) {
        ngx_del_timer(&node->timer);
    }

    for (i = 0; i < node->npipes; i++) {
        ngx_redis_pipe_close(&node->pipes[i]);
    }

    ngx_redis_targets_free(&node->targets);
}


void
ngx_redis_node_retire(ngx_redis_node_t *node)
{
    ngx_uint_t  i;

    node->closed = 1;

    if (node->timer.timer_set) {
        ngx_del_timer(&node->timer);
    }

    for (i = 0; i < node->npipes; i++) {
        if (node->pipes[i].all.n == 0) {
            ngx_redis_pipe_close(&node->pipes[i]);
        }
    }
}


ngx_redis_command_t *
ngx_redis_node_send(ngx_redis_node_t *node, ngx_uint_t argc, ngx_str_t *argv,
    ngx_uint_t large, ngx_redis_reply_pt handler, void *data)
{
    ngx_redis_command_t  *cmd;

    if (!ngx_redis_node_may_connect(node)
        || !ngx_redis_large_takes(node, large))
    {
        return NULL;
    }

    cmd = ngx_redis_pipe_send(ngx_redis_node_choose(node, large), argc, argv,
                              handler, data);
    if (cmd) {
        cmd->large = large;
    }

    return cmd;
}


ngx_int_t
ngx_redis_node_take(ngx_redis_node_t *node, ngx_redis_command_t *cmd,
    ngx_uint_t asking)
{
    if (!ngx_redis_node_may_connect(node)
        || !ngx_redis_large_takes(node, cmd->large))
    {
        return NGX_DECLINED;
    }

    return ngx_redis_pipe_take(ngx_redis_node_choose(node, cmd->large), cmd,
                               asking);
}


/*
 * The least busy of those that are up, or else are going to be.  What is large
 * has the last one for itself, and others need not wait until it has passed.
 */

static ngx_redis_pipe_t *
ngx_redis_node_choose(ngx_redis_node_t *node, ngx_uint_t large)
{
    ngx_uint_t         i;
    ngx_redis_pipe_t  *pipe, *best;

    if (large && node->conf->large) {
        return &node->pipes[node->npipes - 1];
    }

    best = &node->pipes[0];

    for (i = 1; i < node->conf->connections; i++) {
        pipe = &node->pipes[i];

        if (pipe->conn.state == best->conn.state) {
            if (pipe->all.n < best->all.n) {
                best = pipe;
            }

            continue;
        }

        /* the states are in the order of getting there */

        if (pipe->conn.state > best->conn.state) {
            best = pipe;
        }
    }

    return best;
}


ngx_redis_state_e
ngx_redis_node_state(ngx_redis_node_t *node)
{
    ngx_uint_t         i;
    ngx_redis_state_e  state;

    if (node->closed || node->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        return NGX_REDIS_DOWN;
    }

    state = NGX_REDIS_IDLE;

    for (i = 0; i < node->conf->connections; i++) {

        if (node->pipes[i].conn.state == NGX_REDIS_CONN_UP) {
            return NGX_REDIS_UP;
        }

        if (node->pipes[i].conn.state != NGX_REDIS_CONN_IDLE) {
            state = NGX_REDIS_CONNECTING;
        }
    }

    return state;
}


ngx_uint_t
ngx_redis_node_commands(ngx_redis_node_t *node)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < node->npipes; i++) {
        n += node->pipes[i].all.n;
    }

    return n;
}


ngx_uint_t
ngx_redis_node_may_connect(ngx_redis_node_t *node)
{
    return !node->closed
           && node->breaker.state != NGX_REDIS_BREAKER_OPEN;
}


void
ngx_redis_node_connected(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    ngx_redis_metrics_count(node->stats, NGX_REDIS_METRICS_CONNECTS);

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, node->log, 0,
                   "redis connected to %V, breaker:%ui", &pipe->conn.peer,
                   node->breaker.state);

    rc = ngx_redis_breaker_probed(&node->breaker, ngx_current_msec);
    ngx_redis_node_back(node, rc);

    if (ngx_exiting) {
        return;
    }

    for (i = 0; i < node->conf->connections; i++) {
        if (node->pipes[i].conn.state == NGX_REDIS_CONN_IDLE
            && !node->timer.timer_set)
        {
            ngx_redis_pipe_wake(&node->pipes[i]);
        }
    }

    if (node->handlers->up) {
        node->handlers->up(node->data, node);
    }
}


void
ngx_redis_node_answered(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    redisReply *reply)
{
    if (ngx_redis_reply_verdict(reply) != NGX_REDIS_VERDICT_WELL
        && !(node->handlers->refused && ngx_redis_map_unserved(reply)))
    {
        ngx_redis_node_refused(node, pipe, reply);
        return;
    }

    (void) ngx_redis_breaker_succeeded(&node->breaker, ngx_current_msec);

    if (node->told && node->breaker.state == NGX_REDIS_BREAKER_CLOSED) {
        ngx_redis_node_over(node);
    }
}


ngx_int_t
ngx_redis_node_moved(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR || node->handlers->refused == NULL) {
        return NGX_DECLINED;
    }

    return node->handlers->refused(node->data, node, pipe, cmd, reply);
}


void
ngx_redis_node_quiet(ngx_redis_node_t *node)
{
    if (node->closed && node->handlers->empty
        && ngx_redis_node_commands(node) == 0)
    {
        node->handlers->empty(node->data, node);
    }
}


/*
 * Replicas answer reads and refuse writes, so a good answer in between does
 * not mean that the next server is worth asking.
 */

static void
ngx_redis_node_refused(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    redisReply *reply)
{
    u_char     buf[64];
    ngx_int_t  rc;
    ngx_str_t  code, reason;

    code = ngx_redis_reply_code(reply);

    reason.data = buf;
    reason.len = ngx_snprintf(buf, sizeof(buf), "commands are refused: %V",
                              &code)
                 - buf;

    if (ngx_redis_reply_verdict(reply) == NGX_REDIS_VERDICT_FAILED) {
        rc = ngx_redis_node_failed(node);
        ngx_redis_node_down(node, rc, pipe, &reason);
        return;
    }

    if (ngx_redis_round_leave(&pipe->conn.round) != NGX_OK) {
        return;
    }

    if (ngx_current_msec - node->refused >= NGX_REDIS_BREAKER_CALM) {
        node->refusals = 0;
    }

    node->refusals++;
    node->refused = ngx_current_msec;

    if (node->refusals >= ngx_redis_targets_addrs(&node->targets)
        || node->breaker.state == NGX_REDIS_BREAKER_TRIAL)
    {
        node->refusals = 0;

        rc = ngx_redis_breaker_open(&node->breaker, ngx_current_msec, 1);
        ngx_redis_node_down(node, rc, pipe, &reason);
    }
}


void
ngx_redis_node_timedout(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe)
{
    u_char     buf[64];
    ngx_int_t  rc;
    ngx_str_t  reason;

    if (ngx_redis_large_apart(node, pipe)) {
        /* a way that is full; whether it answers is seen on the others */
        return;
    }

    reason.data = buf;
    reason.len = ngx_snprintf(buf, sizeof(buf), "no reply in %Mms",
                              node->conf->timeout)
                 - buf;

    rc = ngx_redis_node_failed(node);

    ngx_redis_node_down(node, rc, pipe, &reason);
}


ngx_uint_t
ngx_redis_node_lost(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_uint_t was_up)
{
    ngx_int_t          rc;
    ngx_uint_t         apart;
    ngx_redis_conn_t  *conn;

    conn = &pipe->conn;
    apart = ngx_redis_large_apart(node, pipe);

    if (was_up) {
        ngx_log_error(NGX_LOG_INFO, node->log, 0, "redis: %V",
                      &conn->reason);

        rc = NGX_DECLINED;

        if (!pipe->leaving && !conn->moved && !apart
            && (pipe->all.n
                || ngx_current_msec - conn->established
                   < NGX_REDIS_NODE_SHORT))
        {
            rc = ngx_redis_node_failed(node);
        }

        ngx_redis_node_down(node, rc, pipe, &conn->reason);

        node->handlers->trouble(node->data, node, 1);

        return ngx_redis_node_may_connect(node)
               && (!(ngx_exiting || apart)
                   || !ngx_queue_empty(&pipe->waiting));
    }

    /* no address would have it */

    if (ngx_redis_node_find(node, NGX_REDIS_CONN_UP) == NULL) {
        node->doubted = 0;

        rc = ngx_redis_breaker_open(&node->breaker, ngx_current_msec, 0);
        ngx_redis_node_down(node, rc, pipe, &conn->reason);
    }

    ngx_redis_node_schedule(node);

    return 0;
}


static ngx_int_t
ngx_redis_node_failed(ngx_redis_node_t *node)
{
    ngx_int_t  rc;

    rc = ngx_redis_breaker_failed(&node->breaker, ngx_current_msec);

    if (rc == NGX_OK) {
        node->doubted = 1;
    }

    return rc;
}


/*
 * The one place that tells of the beginning of an outage.  One that goes on is
 * not told of again each time that the breaker has been closed by a PING: a
 * server of a cluster that is down answers it, as does one whose writes are
 * paused, and both do nothing else.
 */

static void
ngx_redis_node_down(ngx_redis_node_t *node, ngx_int_t rc,
    ngx_redis_pipe_t *pipe, ngx_str_t *reason)
{
    ngx_redis_server_t  *server;

    if (rc == NGX_OK) {
        ngx_redis_metrics_count(node->stats, NGX_REDIS_METRICS_OUTAGES);

        if (node->told
            && node->breaker.opened - node->breaker.closed
               >= NGX_REDIS_BREAKER_CALM)
        {
            ngx_redis_node_over(node);
        }
    }

    if (rc == NGX_OK && !node->told) {
        node->told = 1;
        node->since = node->breaker.opened;

        server = ngx_redis_round_server(&pipe->conn.round);

        ngx_log_error(NGX_LOG_ERR, node->log, 0,
                      "redis \"%V\" of \"%V\" is down: %V", &server->text,
                      &node->conf->directive, reason);
    }

    if (node->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        ngx_redis_node_schedule(node);
    }
}


/* a probe was answered */

static void
ngx_redis_node_back(ngx_redis_node_t *node, ngx_int_t rc)
{
    if (rc == NGX_OK && !node->doubted) {
        ngx_redis_node_over(node);
    }
}


/* ... and of its end, which was when the breaker was closed last */

static void
ngx_redis_node_over(ngx_redis_node_t *node)
{
    ngx_redis_target_t  *t;

    t = &node->targets.elts[node->targets.current];

    node->told = 0;
    node->doubted = 0;

    ngx_log_error(NGX_LOG_NOTICE, node->log, 0,
                  "redis \"%V\" of \"%V\" is back after %Mms",
                  &t->server->text, &node->conf->directive,
                  node->breaker.closed - node->since);
}


static void
ngx_redis_node_schedule(ngx_redis_node_t *node)
{
    if (ngx_exiting || node->closed || node->timer.timer_set) {
        return;
    }

    node->handlers->trouble(node->data, node, 0);

    ngx_add_timer(&node->timer,
                  ngx_redis_breaker_delay(&node->breaker, ngx_random()));
}


static void
ngx_redis_node_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t         i;
    ngx_redis_node_t  *node;

    node = ev->data;

    if (ngx_exiting || node->closed) {
        return;
    }

    if (node->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        ngx_redis_node_probe(node);
        return;
    }

    for (i = 0; i < node->conf->connections; i++) {
        ngx_redis_conn_open(&node->pipes[i].conn, 1);
    }
}


/* the attempt that is under way, a PING, or a new attempt: one at a time */

static void
ngx_redis_node_probe(ngx_redis_node_t *node)
{
    ngx_str_t          ping;
    ngx_uint_t         i;
    ngx_redis_pipe_t  *pipe;

    pipe = ngx_redis_node_find(node, NGX_REDIS_CONN_UP);

    if (pipe) {
        ngx_str_set(&ping, "PING");

        if (ngx_redis_pipe_send(pipe, 1, &ping,
                                ngx_redis_node_probe_handler, node)
            == NULL)
        {
            ngx_redis_node_schedule(node);
        }

        return;
    }

    for (i = 0; i < node->conf->connections; i++) {
        if (node->pipes[i].conn.state != NGX_REDIS_CONN_IDLE) {
            return;
        }
    }

    ngx_redis_conn_open(&node->pipes[0].conn, 1);
}


static void
ngx_redis_node_probe_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_node_t *node = data;

    ngx_int_t  rc;

    if (result == NGX_REDIS_REPLY
        || (result == NGX_REDIS_REFUSED && ngx_redis_reply_pong(reply)))
    {
        rc = ngx_redis_breaker_probed(&node->breaker, ngx_current_msec);
        ngx_redis_node_back(node, rc);
        return;
    }

    ngx_redis_node_schedule(node);
}


static ngx_redis_pipe_t *
ngx_redis_node_find(ngx_redis_node_t *node,
    ngx_redis_conn_state_e state)
{
    ngx_uint_t  i;

    for (i = 0; i < node->conf->connections; i++) {
        if (node->pipes[i].conn.state == state) {
            return &node->pipes[i];
        }
    }

    return NULL;
}
