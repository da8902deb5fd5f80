
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The commands of one connection, in order.  Every command is in one of
 * three queues, and replies take them from the head of the first two:
 *
 *     late      timed out, their handlers have been called; they stay to take
 *               the late reply
 *     sent      written, at least in part
 *     waiting   not written at all: they can still be dropped
 *
 * All commands have the same timeout, so deadlines ascend through "sent" and
 * on through "waiting", and one timer serves them all.  But a command that
 * was taken over from another connection has less time left than those before
 * it: these are, by their deadlines, in "hurried" too.  One of them may time
 * out amid "sent"; it stays there, DONE.
 */


#ifndef _NGX_REDIS_PIPE_H_INCLUDED_
#define _NGX_REDIS_PIPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"
#include "ngx_redis_command.h"
#include "ngx_redis_conn.h"


/* of one connection: what is accepted before commands are refused */

#define NGX_REDIS_PIPE_MAX_COMMANDS  16384
#define NGX_REDIS_PIPE_MAX_BYTES     (32 * 1024 * 1024)


typedef struct ngx_redis_pipe_s  ngx_redis_pipe_t;
typedef struct ngx_redis_node_s  ngx_redis_node_t;


struct ngx_redis_pipe_s {
    ngx_redis_conn_t            conn;
    ngx_redis_node_t           *node;
    ngx_redis_conf_t           *conf;

    ngx_redis_commands_t        all;
    ngx_queue_t                 late;
    ngx_queue_t                 sent;
    ngx_queue_t                 waiting;
    ngx_queue_t                 hurried;
    ngx_redis_command_t        *partial;   /* neither unwritten nor written */

    ngx_event_t                 flush;     /* posted: the turn's commands */
    ngx_event_t                 timer;     /* the oldest deadline */

    unsigned                    leaving:1; /* the server does not serve */
};


/* Prepares a zeroed pipe of a node, with memory from the pool. */

ngx_int_t ngx_redis_pipe_init(ngx_redis_pipe_t *pipe, ngx_redis_node_t *node,
    ngx_pool_t *pool);

/* As ngx_redis_client_send(); NULL when full or out of memory. */

ngx_redis_command_t *ngx_redis_pipe_send(ngx_redis_pipe_t *pipe,
    ngx_uint_t argc, ngx_str_t *argv, ngx_redis_reply_pt handler, void *data);

/*
 * Takes over a command with its deadline, wherever it was; with "asking" it
 * is written after an "ASKING" of its own.  NGX_DECLINED when full.
 */

ngx_int_t ngx_redis_pipe_take(ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, ngx_uint_t asking);

/* Connects at the end of this turn of the event loop, if IDLE. */

void ngx_redis_pipe_wake(ngx_redis_pipe_t *pipe);

/* Closes and forgets all commands without calling anything; may be reused. */

void ngx_redis_pipe_close(ngx_redis_pipe_t *pipe);


/*
 * What a pipe tells its node, before the handlers of the commands concerned
 * are called: they may send again, and must find the breaker as it is.
 */

void ngx_redis_node_connected(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe);
void ngx_redis_node_answered(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    redisReply *reply);
void ngx_redis_node_timedout(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe);

/* NGX_OK if the command went elsewhere, for which "answered" comes before. */

ngx_int_t ngx_redis_node_moved(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, redisReply *reply);

/*
 * The connection is gone, or could not be made.  Returns 1 if it is worth
 * another attempt at once, for which unwritten commands may wait.
 */

ngx_uint_t ngx_redis_node_lost(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_uint_t was_up);

/* All that there was to be read has been, or the commands are gone. */

void ngx_redis_node_quiet(ngx_redis_node_t *node);

/* 1 if a wake-up may connect now; with the breaker open, only a probe may. */

ngx_uint_t ngx_redis_node_may_connect(ngx_redis_node_t *node);


#endif /* _NGX_REDIS_PIPE_H_INCLUDED_ */
