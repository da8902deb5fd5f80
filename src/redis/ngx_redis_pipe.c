
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_node.h"


/* a reply that is late by so many timeouts is not waited for any more */
#define NGX_REDIS_PIPE_PATIENCE  10


static void ngx_redis_pipe_flush_handler(ngx_event_t *ev);
static void ngx_redis_pipe_flush(ngx_redis_pipe_t *pipe);
static void ngx_redis_pipe_fill(ngx_redis_pipe_t *pipe, uint64_t clock);
static void ngx_redis_pipe_sent(ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd);
static void ngx_redis_pipe_up_handler(void *data);
static ngx_int_t ngx_redis_pipe_reply_handler(void *data, redisReply *reply);
static void ngx_redis_pipe_quiet_handler(void *data);
static void ngx_redis_pipe_writable_handler(void *data);
static void ngx_redis_pipe_lost_handler(void *data, ngx_uint_t was_up);
static void ngx_redis_pipe_timer_handler(ngx_event_t *ev);
static void ngx_redis_pipe_expire(ngx_redis_pipe_t *pipe);
static ngx_redis_command_t *ngx_redis_pipe_due(ngx_redis_pipe_t *pipe);
static ngx_uint_t ngx_redis_pipe_stalled(ngx_redis_pipe_t *pipe);
static void ngx_redis_pipe_arm(ngx_redis_pipe_t *pipe);


static ngx_redis_conn_handlers_t  ngx_redis_pipe_handlers = {
    ngx_redis_pipe_up_handler,
    ngx_redis_pipe_reply_handler,
    ngx_redis_pipe_quiet_handler,
    ngx_redis_pipe_writable_handler,
    ngx_redis_pipe_lost_handler
};


ngx_int_t
ngx_redis_pipe_init(ngx_redis_pipe_t *pipe, ngx_redis_node_t *node,
    ngx_pool_t *pool)
{
    pipe->node = node;
    pipe->all.stats = node->stats;
    pipe->all.timer = &pipe->timer;
    pipe->all.server = &pipe->conn.server;
    pipe->conf = node->conf;

    ngx_queue_init(&pipe->late);
    ngx_queue_init(&pipe->sent);
    ngx_queue_init(&pipe->waiting);
    ngx_queue_init(&pipe->hurried);

    if (ngx_redis_conn_init(&pipe->conn, node->conf, &node->targets, pool,
                            node->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    pipe->conn.stats = pipe->all.stats;
    pipe->conn.handlers = &ngx_redis_pipe_handlers;
    pipe->conn.data = pipe;

    pipe->flush.handler = ngx_redis_pipe_flush_handler;
    pipe->flush.data = pipe;
    pipe->flush.log = &pipe->conn.log;

    pipe->timer.handler = ngx_redis_pipe_timer_handler;
    pipe->timer.data = pipe;
    pipe->timer.log = &pipe->conn.log;
    pipe->timer.cancelable = 1;

    return NGX_OK;
}


ngx_redis_command_t *
ngx_redis_pipe_send(ngx_redis_pipe_t *pipe, ngx_uint_t argc, ngx_str_t *argv,
    ngx_redis_reply_pt handler, void *data)
{
    ngx_redis_command_t  *cmd;

    if (pipe->all.n >= NGX_REDIS_PIPE_MAX_COMMANDS) {
        return NULL;
    }

    cmd = ngx_redis_command_create(&pipe->all, &pipe->waiting, argc, argv,
                                   NGX_REDIS_PIPE_MAX_BYTES, &pipe->conn.log);
    if (cmd == NULL) {
        return NULL;
    }

    cmd->deadline = ngx_current_msec + pipe->conf->timeout;

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, &pipe->conn.log, 0,
                   "redis command of %uz bytes, conn state:%d in queue:%ui",
                   cmd->wire.len, pipe->conn.state, pipe->all.n);

    ngx_redis_command_await(cmd, handler, data);

    if (!pipe->timer.timer_set) {
        ngx_add_timer(&pipe->timer, pipe->conf->timeout);
    }

    ngx_redis_pipe_wake(pipe);

    return cmd;
}


ngx_int_t
ngx_redis_pipe_take(ngx_redis_pipe_t *pipe, ngx_redis_command_t *cmd,
    ngx_uint_t asking)
{
    if (pipe->all.n >= NGX_REDIS_PIPE_MAX_COMMANDS
        || cmd->wire.len > NGX_REDIS_PIPE_MAX_BYTES - pipe->all.bytes)
    {
        return NGX_DECLINED;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_EVENT, &pipe->conn.log, 0,
                   "redis command of slot %i taken over, asking:%ui "
                   "conn state:%d in queue:%ui",
                   cmd->slot, asking, pipe->conn.state, pipe->all.n);

    ngx_redis_command_move(cmd, &pipe->all, &pipe->waiting);
    ngx_redis_command_hurry(cmd, &pipe->hurried);

    cmd->asking = (asking != 0);
    cmd->asked = cmd->asking;

    ngx_redis_pipe_arm(pipe);
    ngx_redis_pipe_wake(pipe);

    return NGX_OK;
}


void
ngx_redis_pipe_wake(ngx_redis_pipe_t *pipe)
{
    ngx_post_event(&pipe->flush, &ngx_posted_events);
}


static void
ngx_redis_pipe_flush_handler(ngx_event_t *ev)
{
    ngx_redis_pipe_t  *pipe;

    pipe = ev->data;

    if (pipe->conn.state == NGX_REDIS_CONN_UP) {
        ngx_time_update();
        ngx_redis_pipe_flush(pipe);
        return;
    }

    if (pipe->conn.state == NGX_REDIS_CONN_IDLE
        && ngx_redis_node_may_connect(pipe->node))
    {
        ngx_redis_conn_open(&pipe->conn, 0);
    }
}


static void
ngx_redis_pipe_flush(ngx_redis_pipe_t *pipe)
{
    uint64_t  clock;

    clock = ngx_redis_metrics_clock();

    for ( ;; ) {
        ngx_redis_pipe_fill(pipe, clock);

        if (pipe->conn.pos == pipe->conn.last) {
            return;
        }

        ngx_log_debug1(NGX_LOG_DEBUG_EVENT, &pipe->conn.log, 0,
                       "redis write of %uz bytes",
                       (size_t) (pipe->conn.last - pipe->conn.pos));

        if (ngx_redis_conn_write(&pipe->conn) != NGX_OK) {
            return;
        }
    }
}


/* moves commands to the connection's buffer; a long one goes by and by */

static void
ngx_redis_pipe_fill(ngx_redis_pipe_t *pipe, uint64_t clock)
{
    size_t                room;
    ngx_redis_conn_t     *conn;
    ngx_redis_command_t  *cmd;

    conn = &pipe->conn;

    for ( ;; ) {
        room = conn->out + NGX_REDIS_CONN_OUT - conn->last;

        cmd = pipe->partial;

        if (cmd == NULL) {
            cmd = ngx_redis_command_first(&pipe->waiting);
        }

        if (cmd == NULL || room == 0) {
            return;
        }

        if (cmd->state == NGX_REDIS_COMMAND_WAITING) {
            cmd->clock = clock;
            ngx_redis_pipe_sent(pipe, cmd);
        }

        conn->last = ngx_redis_command_copy(cmd, conn->last, room);

        pipe->partial = ngx_redis_command_whole(cmd) ? NULL : cmd;
    }
}


static void
ngx_redis_pipe_sent(ngx_redis_pipe_t *pipe, ngx_redis_command_t *cmd)
{
    ngx_msec_t  deadline;

    /*
     * ngx_current_msec is the beginning of the turn of the event loop: when
     * that has been a long one, the server is not to blame for it, and has at
     * least half of the time from now.  Once: not at each redirection.
     */

    deadline = ngx_current_msec + pipe->conf->timeout / 2;

    if (!cmd->hurried && (ngx_msec_int_t) (deadline - cmd->deadline) > 0) {
        cmd->deadline = deadline;
    }

    cmd->state = NGX_REDIS_COMMAND_SENT;

    ngx_queue_remove(&cmd->queue);
    ngx_queue_insert_tail(&pipe->sent, &cmd->queue);
}


static void
ngx_redis_pipe_up_handler(void *data)
{
    ngx_redis_pipe_t  *pipe = data;

    ngx_redis_node_connected(pipe->node, pipe);

    if (pipe->conn.state == NGX_REDIS_CONN_UP) {
        ngx_redis_pipe_wake(pipe);
    }
}


static ngx_int_t
ngx_redis_pipe_reply_handler(void *data, redisReply *reply)
{
    ngx_redis_pipe_t *pipe = data;

    ngx_str_t             code;
    ngx_redis_result_e    result;
    ngx_redis_command_t  *cmd;

    cmd = ngx_redis_command_first(&pipe->late);

    if (cmd == NULL) {
        cmd = ngx_redis_command_first(&pipe->sent);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &pipe->conn.log, 0,
                   "redis reply, state:%d in queue:%ui",
                   cmd ? (int) cmd->state : -1, pipe->all.n);

    if (cmd && cmd->asked) {
        /* to "ASKING"; if that was refused, so is what follows */
        cmd->asked = 0;
        return NGX_OK;
    }

    if (cmd == NULL || cmd == pipe->partial) {
        return NGX_ERROR;
    }

    if (cmd->state == NGX_REDIS_COMMAND_DONE) {
        ngx_redis_command_free(cmd);
        return NGX_OK;
    }

    ngx_redis_node_answered(pipe->node, pipe, reply);
    ngx_redis_large_ended(pipe->node, pipe, cmd, NGX_REDIS_REPLY);

    result = (reply->type == REDIS_REPLY_ERROR) ? NGX_REDIS_REFUSED
                                                : NGX_REDIS_REPLY;

    if (ngx_redis_node_moved(pipe->node, pipe, cmd, reply) != NGX_OK) {
        ngx_redis_metrics_latency(pipe->all.stats, cmd->clock,
                                  pipe->conn.clock);
        ngx_redis_command_end(cmd, result, reply);
    }

    if (ngx_redis_reply_verdict(reply) == NGX_REDIS_VERDICT_LEAVE
        && pipe->conn.state == NGX_REDIS_CONN_UP)
    {
        code = ngx_redis_reply_code(reply);

        pipe->leaving = 1;

        ngx_redis_conn_fail(&pipe->conn, 0, "%V refused a command: %V",
                            &pipe->conn.peer, &code);
    }

    return NGX_OK;
}


/* a worker that leaves does not keep a connection nobody waits for */

static void
ngx_redis_pipe_quiet_handler(void *data)
{
    ngx_redis_pipe_t  *pipe = data;

    if (pipe->all.n) {
        return;
    }

    if (ngx_exiting || pipe->node->closed) {
        ngx_redis_conn_close(&pipe->conn);
    }

    ngx_redis_node_quiet(pipe->node);
}


static void
ngx_redis_pipe_writable_handler(void *data)
{
    ngx_redis_pipe_flush(data);
}


static void
ngx_redis_pipe_lost_handler(void *data, ngx_uint_t was_up)
{
    ngx_redis_pipe_t *pipe = data;

    ngx_uint_t            again;
    ngx_queue_t           dying;
    ngx_redis_command_t  *cmd;

    pipe->partial = NULL;

    again = ngx_redis_node_lost(pipe->node, pipe, was_up);

    pipe->leaving = 0;

    /* handlers may send commands, which must not be met here */

    ngx_queue_init(&dying);

    while ((cmd = ngx_redis_command_first(&pipe->late)) != NULL) {
        ngx_redis_command_free(cmd);
    }

    if (!ngx_queue_empty(&pipe->sent)) {
        ngx_queue_add(&dying, &pipe->sent);
        ngx_queue_init(&pipe->sent);
    }

    if (!again && !ngx_queue_empty(&pipe->waiting)) {
        ngx_queue_add(&dying, &pipe->waiting);
        ngx_queue_init(&pipe->waiting);
    }

    if (again) {
        ngx_redis_pipe_wake(pipe);
    }

    while ((cmd = ngx_redis_command_first(&dying)) != NULL) {

        if (cmd->state == NGX_REDIS_COMMAND_DONE) {
            ngx_redis_command_free(cmd);
            continue;
        }

        ngx_redis_large_ended(pipe->node, pipe, cmd, NGX_REDIS_CLOSED);
        ngx_redis_command_end(cmd, NGX_REDIS_CLOSED, NULL);
    }

    ngx_redis_node_quiet(pipe->node);
}


static void
ngx_redis_pipe_timer_handler(ngx_event_t *ev)
{
    ngx_event_t       *rev;
    ngx_redis_pipe_t  *pipe;

    pipe = ev->data;

    if (pipe->conn.state == NGX_REDIS_CONN_UP) {

        /*
         * After a long turn of the event loop the reply may be here already,
         * and only be signalled in the next one.
         */

        rev = pipe->conn.connection->read;

        rev->ready = 1;
        rev->available = -1;

        ngx_redis_conn_read(&pipe->conn);
    }

    /* what is still to be read may be the reply */

    if (!ngx_redis_conn_reading(&pipe->conn)) {
        ngx_redis_pipe_expire(pipe);
    }

    if (ngx_redis_pipe_stalled(pipe)) {
        ngx_redis_conn_fail(&pipe->conn, 0, "%V does not answer",
                            &pipe->conn.peer);
    }

    ngx_redis_pipe_arm(pipe);
}


static void
ngx_redis_pipe_expire(ngx_redis_pipe_t *pipe)
{
    ngx_redis_command_t  *cmd;

    for ( ;; ) {
        cmd = ngx_redis_pipe_due(pipe);

        if (cmd == NULL
            || (ngx_msec_int_t) (cmd->deadline - ngx_current_msec) > 0)
        {
            return;
        }

        ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &pipe->conn.log, 0,
                       "redis command timed out, state:%d in queue:%ui",
                       cmd->state, pipe->all.n);

        ngx_redis_node_timedout(pipe->node, pipe);
        ngx_redis_large_ended(pipe->node, pipe, cmd, NGX_REDIS_TIMEOUT);

        if (cmd->state == NGX_REDIS_COMMAND_WAITING) {
            ngx_redis_command_end(cmd, NGX_REDIS_TIMEOUT, NULL);
            continue;
        }

        if (cmd == ngx_redis_command_first(&pipe->sent)) {
            ngx_queue_remove(&cmd->queue);
            ngx_queue_insert_tail(&pipe->late, &cmd->queue);
        }

        ngx_redis_command_done(cmd, NGX_REDIS_TIMEOUT, NULL);
    }
}


/*
 * The command with the earliest deadline.  Deadlines do not ascend where a
 * hurried command is behind others, but none of these is behind its own.
 */

static ngx_redis_command_t *
ngx_redis_pipe_due(ngx_redis_pipe_t *pipe)
{
    ngx_redis_command_t  *cmd, *hurried;

    for ( ;; ) {
        cmd = ngx_redis_command_first(&pipe->sent);

        if (cmd == NULL || cmd->state != NGX_REDIS_COMMAND_DONE) {
            break;
        }

        /* timed out when others were before it */

        ngx_queue_remove(&cmd->queue);
        ngx_queue_insert_tail(&pipe->late, &cmd->queue);
    }

    if (cmd == NULL) {
        cmd = ngx_redis_command_first(&pipe->waiting);
    }

    if (cmd == NULL) {
        return NULL;
    }

    hurried = ngx_redis_command_hurried(&pipe->hurried);

    if (hurried == NULL
        || (ngx_msec_int_t) (hurried->deadline - cmd->deadline) >= 0)
    {
        return cmd;
    }

    return hurried;
}


/*
 * A server that is stopped, or a connection that leads nowhere, is known by
 * its silence while a reply is due.
 */

static ngx_uint_t
ngx_redis_pipe_stalled(ngx_redis_pipe_t *pipe)
{
    ngx_msec_t            timeout, overdue, silent;
    ngx_redis_command_t  *cmd;

    cmd = ngx_redis_command_first(&pipe->late);

    if (cmd == NULL) {
        return 0;
    }

    timeout = pipe->conf->timeout;
    overdue = ngx_current_msec - cmd->deadline;
    silent = ngx_current_msec - pipe->conn.heard;

    return (overdue >= timeout && silent >= timeout)
           || overdue / NGX_REDIS_PIPE_PATIENCE >= timeout;
}


static void
ngx_redis_pipe_arm(ngx_redis_pipe_t *pipe)
{
    ngx_msec_int_t        wait, left;
    ngx_redis_command_t  *cmd;

    if (pipe->timer.timer_set) {
        ngx_del_timer(&pipe->timer);
    }

    if (pipe->all.n == 0) {
        return;
    }

    wait = pipe->conf->timeout;

    cmd = ngx_redis_pipe_due(pipe);

    if (cmd) {
        left = cmd->deadline - ngx_current_msec;
        wait = ngx_max(ngx_min(wait, left), 1);
    }

    ngx_add_timer(&pipe->timer, (ngx_msec_t) wait);
}


void
ngx_redis_pipe_close(ngx_redis_pipe_t *pipe)
{
    ngx_uint_t            i;
    ngx_queue_t          *queues[3];
    ngx_redis_command_t  *cmd;

    if (pipe->timer.timer_set) {
        ngx_del_timer(&pipe->timer);
    }

    if (pipe->flush.posted) {
        ngx_delete_posted_event(&pipe->flush);
    }

    ngx_redis_conn_close(&pipe->conn);

    queues[0] = &pipe->late;
    queues[1] = &pipe->sent;
    queues[2] = &pipe->waiting;

    for (i = 0; i < 3; i++) {
        while ((cmd = ngx_redis_command_first(queues[i])) != NULL) {
            ngx_redis_command_free(cmd);
        }
    }

    pipe->partial = NULL;
    pipe->all.awaited = 0;
}
