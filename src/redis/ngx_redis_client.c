
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"
#include "ngx_redis_breaker.h"
#include "ngx_redis_pipe.h"


/* a connection that is lost sooner did not really work */
#define NGX_REDIS_CLIENT_SHORT  1000  /* ms */


struct ngx_redis_client_s {
    ngx_redis_conf_t         *conf;
    ngx_log_t                *log;

    ngx_redis_targets_t       targets;
    ngx_redis_pipe_t         *pipes;       /* conf->connections of them */

    ngx_redis_breaker_t       breaker;
    ngx_uint_t                refusals;    /* servers that refused to serve */
    ngx_msec_t                refused;     /* when the last one did */

    ngx_event_t               timer;       /* the next probe */
    ngx_redis_stats_t         stats;
    ngx_uint_t                era;

    unsigned                  closed:1;
};


static ngx_redis_pipe_t *ngx_redis_client_choose(ngx_redis_client_t *client);
static void ngx_redis_client_refused(ngx_redis_client_t *client,
    ngx_redis_pipe_t *pipe, redisReply *reply);
static void ngx_redis_client_down(ngx_redis_client_t *client, ngx_int_t rc,
    ngx_redis_pipe_t *pipe, ngx_str_t *reason);
static void ngx_redis_client_back(ngx_redis_client_t *client, ngx_int_t rc);
static void ngx_redis_client_schedule(ngx_redis_client_t *client);
static void ngx_redis_client_timer_handler(ngx_event_t *ev);
static void ngx_redis_client_probe(ngx_redis_client_t *client);
static void ngx_redis_client_probe_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static ngx_redis_pipe_t *ngx_redis_client_find(ngx_redis_client_t *client,
    ngx_redis_conn_state_e state);


ngx_redis_client_t *
ngx_redis_client_create(ngx_cycle_t *cycle, ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_redis_client_t  *client;

    client = ngx_pcalloc(cycle->pool, sizeof(ngx_redis_client_t));
    if (client == NULL) {
        return NULL;
    }

    client->conf = conf;
    client->log = cycle->log;
    client->era = 1;

    client->timer.handler = ngx_redis_client_timer_handler;
    client->timer.data = client;
    client->timer.log = cycle->log;
    client->timer.cancelable = 1;

    if (ngx_redis_targets_init(&client->targets, conf, cycle->pool,
                               cycle->log)
        != NGX_OK)
    {
        return NULL;
    }

    client->pipes = ngx_pcalloc(cycle->pool,
                                conf->connections * sizeof(ngx_redis_pipe_t));
    if (client->pipes == NULL) {
        return NULL;
    }

    for (i = 0; i < conf->connections; i++) {
        if (ngx_redis_pipe_init(&client->pipes[i], client, conf,
                                &client->targets, cycle->pool, cycle->log)
            != NGX_OK)
        {
            return NULL;
        }
    }

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        /* a cache manager runs init_process too, and sends nothing */
        return client;
    }

    for (i = 0; i < conf->connections; i++) {
        if (ngx_redis_client_may_connect(client)) {
            ngx_redis_conn_open(&client->pipes[i].conn, 0);
        }
    }

    return client;
}


void
ngx_redis_client_close(ngx_redis_client_t *client)
{
    ngx_uint_t  i;

    client->closed = 1;

    if (client->timer.timer_set) {
        ngx_del_timer(&client->timer);
    }

    for (i = 0; i < client->conf->connections; i++) {
        ngx_redis_pipe_close(&client->pipes[i]);
    }

    ngx_redis_targets_free(&client->targets);
}


ngx_redis_command_t *
ngx_redis_client_send(ngx_redis_client_t *client, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_redis_reply_pt handler, void *data)
{
    ngx_redis_command_t  *cmd;

    cmd = NULL;

    if (!client->closed && client->breaker.state != NGX_REDIS_BREAKER_OPEN) {
        cmd = ngx_redis_pipe_send(ngx_redis_client_choose(client), argc, argv,
                                  handler, data);
    }

    if (cmd == NULL) {
        client->stats.rejected++;
    }

    return cmd;
}


/* the least busy of those that are up, or else are going to be */

static ngx_redis_pipe_t *
ngx_redis_client_choose(ngx_redis_client_t *client)
{
    ngx_uint_t         i;
    ngx_redis_pipe_t  *pipe, *best;

    best = &client->pipes[0];

    for (i = 1; i < client->conf->connections; i++) {
        pipe = &client->pipes[i];

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
ngx_redis_client_state(ngx_redis_client_t *client)
{
    ngx_uint_t         i;
    ngx_redis_state_e  state;

    if (client->closed || client->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        return NGX_REDIS_DOWN;
    }

    state = NGX_REDIS_IDLE;

    for (i = 0; i < client->conf->connections; i++) {

        if (client->pipes[i].conn.state == NGX_REDIS_CONN_UP) {
            return NGX_REDIS_UP;
        }

        if (client->pipes[i].conn.state != NGX_REDIS_CONN_IDLE) {
            state = NGX_REDIS_CONNECTING;
        }
    }

    return state;
}


ngx_int_t
ngx_redis_client_slot(ngx_redis_client_t *client, ngx_str_t *key)
{
    /* there is one server */

    return NGX_DECLINED;
}


ngx_uint_t
ngx_redis_client_era(ngx_redis_client_t *client)
{
    return client->era;
}


ngx_redis_stats_t *
ngx_redis_client_stats(ngx_redis_client_t *client)
{
    return &client->stats;
}


ngx_uint_t
ngx_redis_client_may_connect(ngx_redis_client_t *client)
{
    return !client->closed
           && client->breaker.state != NGX_REDIS_BREAKER_OPEN;
}


void
ngx_redis_client_connected(ngx_redis_client_t *client, ngx_redis_pipe_t *pipe)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    client->stats.connects++;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, client->log, 0,
                   "redis connected to %V, breaker:%ui", &pipe->conn.peer,
                   client->breaker.state);

    rc = ngx_redis_breaker_probed(&client->breaker, ngx_current_msec);
    ngx_redis_client_back(client, rc);

    if (ngx_exiting) {
        return;
    }

    for (i = 0; i < client->conf->connections; i++) {
        if (client->pipes[i].conn.state == NGX_REDIS_CONN_IDLE
            && !client->timer.timer_set)
        {
            ngx_redis_pipe_wake(&client->pipes[i]);
        }
    }
}


void
ngx_redis_client_answered(ngx_redis_client_t *client, ngx_redis_pipe_t *pipe,
    redisReply *reply)
{
    ngx_int_t  rc;

    switch (ngx_redis_reply_verdict(reply)) {

    case NGX_REDIS_VERDICT_WELL:
        rc = ngx_redis_breaker_succeeded(&client->breaker, ngx_current_msec);
        ngx_redis_client_back(client, rc);
        return;

    default:
        ngx_redis_client_refused(client, pipe, reply);
        return;
    }
}


/*
 * Replicas answer reads and refuse writes, so a good answer in between does
 * not mean that the next server is worth asking.
 */

static void
ngx_redis_client_refused(ngx_redis_client_t *client, ngx_redis_pipe_t *pipe,
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
        rc = ngx_redis_breaker_failed(&client->breaker, ngx_current_msec);
        ngx_redis_client_down(client, rc, pipe, &reason);
        return;
    }

    if (ngx_redis_round_leave(&pipe->conn.round) != NGX_OK) {
        return;
    }

    if (ngx_current_msec - client->refused >= NGX_REDIS_BREAKER_CALM) {
        client->refusals = 0;
    }

    client->refusals++;
    client->refused = ngx_current_msec;

    if (client->refusals >= ngx_redis_targets_addrs(&client->targets)
        || client->breaker.state == NGX_REDIS_BREAKER_TRIAL)
    {
        client->refusals = 0;

        rc = ngx_redis_breaker_open(&client->breaker, ngx_current_msec, 1);
        ngx_redis_client_down(client, rc, pipe, &reason);
    }
}


void
ngx_redis_client_timedout(ngx_redis_client_t *client, ngx_redis_pipe_t *pipe)
{
    u_char     buf[64];
    ngx_int_t  rc;
    ngx_str_t  reason;

    reason.data = buf;
    reason.len = ngx_snprintf(buf, sizeof(buf), "no reply in %Mms",
                              client->conf->timeout)
                 - buf;

    rc = ngx_redis_breaker_failed(&client->breaker, ngx_current_msec);

    ngx_redis_client_down(client, rc, pipe, &reason);
}


ngx_uint_t
ngx_redis_client_lost(ngx_redis_client_t *client, ngx_redis_pipe_t *pipe,
    ngx_uint_t was_up)
{
    ngx_int_t          rc;
    ngx_redis_conn_t  *conn;

    conn = &pipe->conn;

    if (was_up) {
        client->era++;

        ngx_log_error(NGX_LOG_INFO, client->log, 0, "redis: %V",
                      &conn->reason);

        rc = NGX_DECLINED;

        if (!pipe->leaving && !conn->moved
            && (pipe->all.n
                || ngx_current_msec - conn->established
                   < NGX_REDIS_CLIENT_SHORT))
        {
            rc = ngx_redis_breaker_failed(&client->breaker, ngx_current_msec);
        }

        ngx_redis_client_down(client, rc, pipe, &conn->reason);

        return ngx_redis_client_may_connect(client)
               && (!ngx_exiting || !ngx_queue_empty(&pipe->waiting));
    }

    /* no address would have it */

    if (ngx_redis_client_find(client, NGX_REDIS_CONN_UP) == NULL) {
        rc = ngx_redis_breaker_open(&client->breaker, ngx_current_msec, 0);
        ngx_redis_client_down(client, rc, pipe, &conn->reason);
    }

    ngx_redis_client_schedule(client);

    return 0;
}


/* the one place that tells of the beginning of an outage */

static void
ngx_redis_client_down(ngx_redis_client_t *client, ngx_int_t rc,
    ngx_redis_pipe_t *pipe, ngx_str_t *reason)
{
    ngx_redis_server_t  *server;

    if (rc == NGX_OK) {
        server = ngx_redis_round_server(&pipe->conn.round);

        client->stats.outages++;

        ngx_log_error(NGX_LOG_ERR, client->log, 0,
                      "redis \"%V\" is down: %V", &server->text, reason);
    }

    if (client->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        ngx_redis_client_schedule(client);
    }
}


/* ... and of its end */

static void
ngx_redis_client_back(ngx_redis_client_t *client, ngx_int_t rc)
{
    ngx_redis_target_t  *t;

    if (rc == NGX_OK) {
        t = &client->targets.elts[client->targets.current];

        ngx_log_error(NGX_LOG_NOTICE, client->log, 0,
                      "redis \"%V\" is back after %Mms", &t->server->text,
                      client->breaker.closed - client->breaker.opened);
    }
}


static void
ngx_redis_client_schedule(ngx_redis_client_t *client)
{
    if (ngx_exiting || client->timer.timer_set) {
        return;
    }

    ngx_add_timer(&client->timer,
                  ngx_redis_breaker_delay(&client->breaker, ngx_random()));
}


static void
ngx_redis_client_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t           i;
    ngx_redis_client_t  *client;

    client = ev->data;

    if (ngx_exiting || client->closed) {
        return;
    }

    if (client->breaker.state == NGX_REDIS_BREAKER_OPEN) {
        ngx_redis_client_probe(client);
        return;
    }

    for (i = 0; i < client->conf->connections; i++) {
        ngx_redis_conn_open(&client->pipes[i].conn, 1);
    }
}


/* the attempt that is under way, a PING, or a new attempt: one at a time */

static void
ngx_redis_client_probe(ngx_redis_client_t *client)
{
    ngx_str_t          ping;
    ngx_uint_t         i;
    ngx_redis_pipe_t  *pipe;

    pipe = ngx_redis_client_find(client, NGX_REDIS_CONN_UP);

    if (pipe) {
        ngx_str_set(&ping, "PING");

        if (ngx_redis_pipe_send(pipe, 1, &ping,
                                ngx_redis_client_probe_handler, client)
            == NULL)
        {
            ngx_redis_client_schedule(client);
        }

        return;
    }

    for (i = 0; i < client->conf->connections; i++) {
        if (client->pipes[i].conn.state != NGX_REDIS_CONN_IDLE) {
            return;
        }
    }

    ngx_redis_conn_open(&client->pipes[0].conn, 1);
}


static void
ngx_redis_client_probe_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_client_t *client = data;

    ngx_int_t  rc;

    if (result == NGX_REDIS_REPLY) {
        rc = ngx_redis_breaker_probed(&client->breaker, ngx_current_msec);
        ngx_redis_client_back(client, rc);
        return;
    }

    ngx_redis_client_schedule(client);
}


static ngx_redis_pipe_t *
ngx_redis_client_find(ngx_redis_client_t *client,
    ngx_redis_conn_state_e state)
{
    ngx_uint_t  i;

    for (i = 0; i < client->conf->connections; i++) {
        if (client->pipes[i].conn.state == state) {
            return &client->pipes[i];
        }
    }

    return NULL;
}
