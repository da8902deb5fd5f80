
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
 * on through "waiting", and one timer serves them all.
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


struct ngx_redis_pipe_s {
    ngx_redis_conn_t            conn;
    ngx_redis_client_t         *client;
    ngx_redis_conf_t           *conf;

    ngx_redis_commands_t        all;
    ngx_queue_t                 late;
    ngx_queue_t                 sent;
    ngx_queue_t                 waiting;
    ngx_redis_command_t        *partial;   /* neither unwritten nor written */

    ngx_event_t                 flush;     /* posted: the turn's commands */
    ngx_event_t                 timer;     /* the oldest deadline */

    unsigned                    leaving:1; /* the server does not serve */
};


/* Prepares a zeroed pipe, with memory from the pool. */

ngx_int_t ngx_redis_pipe_init(ngx_redis_pipe_t *pipe,
    ngx_redis_client_t *client, ngx_redis_conf_t *conf,
    ngx_redis_targets_t *targets, ngx_pool_t *pool, ngx_log_t *log);

/* As ngx_redis_client_send(); NULL when full or out of memory. */

ngx_redis_command_t *ngx_redis_pipe_send(ngx_redis_pipe_t *pipe,
    ngx_uint_t argc, ngx_str_t *argv, ngx_redis_reply_pt handler, void *data);

/* Connects at the end of this turn of the event loop, if IDLE. */

void ngx_redis_pipe_wake(ngx_redis_pipe_t *pipe);

/* Closes and forgets all commands without calling anything. */

void ngx_redis_pipe_close(ngx_redis_pipe_t *pipe);


/*
 * What a pipe tells its client, before the handlers of the commands concerned
 * are called: they may send again, and must find the breaker as it is.
 */

void ngx_redis_client_connected(ngx_redis_client_t *client,
    ngx_redis_pipe_t *pipe);
void ngx_redis_client_answered(ngx_redis_client_t *client,
    ngx_redis_pipe_t *pipe, redisReply *reply);
void ngx_redis_client_timedout(ngx_redis_client_t *client,
    ngx_redis_pipe_t *pipe);

/*
 * The connection is gone, or could not be made.  Returns 1 if it is worth
 * another attempt at once, for which unwritten commands may wait.
 */

ngx_uint_t ngx_redis_client_lost(ngx_redis_client_t *client,
    ngx_redis_pipe_t *pipe, ngx_uint_t was_up);

/* 1 if a wake-up may connect now; with the breaker open, only a probe may. */

ngx_uint_t ngx_redis_client_may_connect(ngx_redis_client_t *client);


#endif /* _NGX_REDIS_PIPE_H_INCLUDED_ */
