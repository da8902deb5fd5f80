
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Commands that were not executed and have nowhere to go for now: the slots
 * are not known yet, or the server said to try again.  They wait for it
 * within their deadlines.
 */


#ifndef _NGX_REDIS_PARK_H_INCLUDED_
#define _NGX_REDIS_PARK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_command.h"


typedef struct {
    ngx_redis_commands_t        all;
    ngx_queue_t                 queue;
    ngx_queue_t                 hurried;   /* the same by their deadlines */
    ngx_event_t                 timer;
    ngx_log_t                  *log;

    /*
     * Has a place for the command be found: NGX_OK when it was moved there,
     * NGX_DECLINED when it is to wait on, NGX_ERROR when it is to end.
     */
    ngx_int_t                 (*place)(void *data, ngx_redis_command_t *cmd);
    void                       *data;
} ngx_redis_park_t;


/* Prepares a zeroed park. */

void ngx_redis_park_init(ngx_redis_park_t *park, ngx_redis_stats_t *stats,
    ngx_log_t *log, ngx_int_t (*place)(void *data, ngx_redis_command_t *cmd),
    void *data);

/* As ngx_redis_client_send(), with the time to wait; NULL when full. */

ngx_redis_command_t *ngx_redis_park_send(ngx_redis_park_t *park,
    ngx_msec_t timeout, ngx_uint_t argc, ngx_str_t *argv,
    ngx_redis_reply_pt handler, void *data);

/*
 * Takes over a command that is to be placed again after "delay" ms, or with
 * ngx_redis_park_release(), if that is sooner.  NGX_DECLINED when full.
 */

ngx_int_t ngx_redis_park_take(ngx_redis_park_t *park,
    ngx_redis_command_t *cmd, ngx_msec_t delay);

/* Offers all commands to place(). */

void ngx_redis_park_release(ngx_redis_park_t *park);

/* There is nothing to wait for: all end as CLOSED. */

void ngx_redis_park_clear(ngx_redis_park_t *park);

/* Forgets all commands without calling anything. */

void ngx_redis_park_close(ngx_redis_park_t *park);


#endif /* _NGX_REDIS_PARK_H_INCLUDED_ */
