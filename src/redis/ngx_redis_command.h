
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A command, from being sent until its reply was taken, and the queues it is
 * in.  Memory is allocated for each and freed with it: of a busy time nothing
 * stays but a few short pieces, for the next ones.
 */


#ifndef _NGX_REDIS_COMMAND_H_INCLUDED_
#define _NGX_REDIS_COMMAND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"


typedef enum {
    NGX_REDIS_COMMAND_WAITING = 0,  /* not written at all */
    NGX_REDIS_COMMAND_SENT,         /* written, at least in part */
    NGX_REDIS_COMMAND_DONE          /* the handler was called */
} ngx_redis_command_state_e;


/* of all commands of a connection */

typedef struct {
    ngx_uint_t                  n;
    ngx_uint_t                  awaited;   /* of them, with a handler */
    size_t                      bytes;
    ngx_event_t                *timer;     /* of their deadlines */
    ngx_redis_stats_t          *stats;     /* of the client */
    uint64_t                   *server;    /* that answers, or NULL */
} ngx_redis_commands_t;


struct ngx_redis_command_s {
    ngx_queue_t                 queue;
    ngx_redis_commands_t       *all;
    ngx_redis_command_state_e   state;

    ngx_redis_reply_pt          handler;   /* NULL: nobody waits for it */
    void                       *data;
    ngx_msec_t                  deadline;
    uint64_t                    clock;     /* when sent: .._metrics.h */

    ngx_str_t                   wire;      /* as hiredis formats it */
    size_t                      copied;    /* of it to the connection */
    ngx_uint_t                  large;     /* see ngx_redis_large.h */

    /* what follows is of clusters only */

    ngx_queue_t                 hurry;     /* by deadline, if "hurried" */
    ngx_int_t                   slot;      /* of its key, or -1 */
    ngx_uint_t                  hops;      /* how often it was sent on */

    unsigned                    hurried:1;
    unsigned                    asking:1;  /* "ASKING" is written before it */
    unsigned                    asked:1;   /* and has not been answered */
    unsigned                    retried:1; /* after a refusal */
    unsigned                    abandoned:1;
    unsigned                    is_short:1;
};


/*
 * Makes a command and appends it to a queue, in state WAITING.  NULL if it
 * would make more than "max" bytes of all, or when out of memory.
 */

ngx_redis_command_t *ngx_redis_command_create(ngx_redis_commands_t *all,
    ngx_queue_t *queue, ngx_uint_t argc, ngx_str_t *argv, size_t max,
    ngx_log_t *log);

/* Somebody waits for it: it keeps a worker that is to exit. */

void ngx_redis_command_await(ngx_redis_command_t *cmd,
    ngx_redis_reply_pt handler, void *data);

/*
 * Takes it from where it is and appends it to another queue, in state
 * WAITING: it was not executed, and is to be written anew.
 */

void ngx_redis_command_move(ngx_redis_command_t *cmd,
    ngx_redis_commands_t *all, ngx_queue_t *queue);

/* Enters it in a queue that is ordered by deadlines, by its link "hurry". */

void ngx_redis_command_hurry(ngx_redis_command_t *cmd, ngx_queue_t *queue);

/*
 * Copies what has not been copied yet, up to "room" bytes, and returns the
 * new end; ngx_redis_command_whole() then tells whether it was all.
 */

u_char *ngx_redis_command_copy(ngx_redis_command_t *cmd, u_char *p,
    size_t room);
ngx_uint_t ngx_redis_command_whole(ngx_redis_command_t *cmd);

/* The first of a queue, or NULL. */

ngx_redis_command_t *ngx_redis_command_first(ngx_queue_t *queue);
ngx_redis_command_t *ngx_redis_command_hurried(ngx_queue_t *queue);

/*
 * Calls the handler, if there is one.  The command is DONE then, but not
 * freed: it may still have a reply to take.
 */

void ngx_redis_command_done(ngx_redis_command_t *cmd,
    ngx_redis_result_e result, redisReply *reply);

/* Takes it from its queue and frees it; no handler is called. */

void ngx_redis_command_free(ngx_redis_command_t *cmd);

/* Takes it from its queue, calls the handler, frees it. */

void ngx_redis_command_end(ngx_redis_command_t *cmd,
    ngx_redis_result_e result, redisReply *reply);


#endif /* _NGX_REDIS_COMMAND_H_INCLUDED_ */
