
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_park.h"


#define NGX_REDIS_PARK_MAX_COMMANDS  16384
#define NGX_REDIS_PARK_MAX_BYTES     (32 * 1024 * 1024)


static void ngx_redis_park_timer_handler(ngx_event_t *ev);
static void ngx_redis_park_arm(ngx_redis_park_t *park, ngx_msec_t delay);


void
ngx_redis_park_init(ngx_redis_park_t *park, ngx_redis_stats_t *stats,
    ngx_log_t *log, ngx_int_t (*place)(void *data, ngx_redis_command_t *cmd),
    void *data)
{
    ngx_queue_init(&park->queue);
    ngx_queue_init(&park->hurried);

    park->all.stats = stats;
    park->all.timer = &park->timer;
    park->log = log;
    park->place = place;
    park->data = data;

    park->timer.handler = ngx_redis_park_timer_handler;
    park->timer.data = park;
    park->timer.log = log;
    park->timer.cancelable = 1;
}


ngx_redis_command_t *
ngx_redis_park_send(ngx_redis_park_t *park, ngx_msec_t timeout,
    ngx_uint_t argc, ngx_str_t *argv, ngx_redis_reply_pt handler, void *data)
{
    ngx_redis_command_t  *cmd;

    if (park->all.n >= NGX_REDIS_PARK_MAX_COMMANDS) {
        return NULL;
    }

    cmd = ngx_redis_command_create(&park->all, &park->queue, argc, argv,
                                   NGX_REDIS_PARK_MAX_BYTES, park->log);
    if (cmd == NULL) {
        return NULL;
    }

    cmd->deadline = ngx_current_msec + timeout;

    ngx_redis_command_await(cmd, handler, data);
    ngx_redis_command_hurry(cmd, &park->hurried);

    ngx_redis_park_arm(park, timeout);

    return cmd;
}


ngx_int_t
ngx_redis_park_take(ngx_redis_park_t *park, ngx_redis_command_t *cmd,
    ngx_msec_t delay)
{
    if (park->all.n >= NGX_REDIS_PARK_MAX_COMMANDS
        || cmd->wire.len > NGX_REDIS_PARK_MAX_BYTES - park->all.bytes)
    {
        return NGX_DECLINED;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, park->log, 0,
                   "redis command of slot %i parked, of %ui",
                   cmd->slot, park->all.n);

    ngx_redis_command_move(cmd, &park->all, &park->queue);
    ngx_redis_command_hurry(cmd, &park->hurried);

    ngx_redis_park_arm(park, delay);

    return NGX_OK;
}


/* wakes up after "delay", or at the first deadline, or when it would anyway */

static void
ngx_redis_park_arm(ngx_redis_park_t *park, ngx_msec_t delay)
{
    ngx_msec_int_t        left;
    ngx_redis_command_t  *cmd;

    cmd = ngx_redis_command_hurried(&park->hurried);

    if (cmd) {
        left = cmd->deadline - ngx_current_msec;
        left = ngx_max(left, 1);
        delay = ngx_min(delay, (ngx_msec_t) left);
    }

    if (park->timer.timer_set) {
        left = park->timer.timer.key - ngx_current_msec;

        if (left <= (ngx_msec_int_t) delay) {
            return;
        }

        ngx_del_timer(&park->timer);
    }

    ngx_add_timer(&park->timer, delay);
}


static void
ngx_redis_park_timer_handler(ngx_event_t *ev)
{
    ngx_redis_park_t     *park;
    ngx_redis_command_t  *cmd;

    park = ev->data;

    for ( ;; ) {
        cmd = ngx_redis_command_hurried(&park->hurried);

        if (cmd == NULL
            || (ngx_msec_int_t) (cmd->deadline - ngx_current_msec) > 0)
        {
            break;
        }

        ngx_redis_command_end(cmd, NGX_REDIS_TIMEOUT, NULL);
    }

    ngx_redis_park_release(park);

    if (!ngx_queue_empty(&park->queue)) {
        ngx_redis_park_arm(park, NGX_MAX_INT32_VALUE);
    }
}


void
ngx_redis_park_release(ngx_redis_park_t *park)
{
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_redis_command_t  *cmd;

    /* handlers may park others, and abandon any: no link is kept */

    for (n = park->all.n; n; n--) {
        cmd = ngx_redis_command_first(&park->queue);

        if (cmd == NULL) {
            return;
        }

        rc = park->place(park->data, cmd);

        if (rc == NGX_DECLINED) {
            ngx_queue_remove(&cmd->queue);
            ngx_queue_insert_tail(&park->queue, &cmd->queue);

        } else if (rc == NGX_ERROR) {
            ngx_redis_command_end(cmd, NGX_REDIS_CLOSED, NULL);
        }
    }
}


void
ngx_redis_park_clear(ngx_redis_park_t *park)
{
    ngx_uint_t            n;
    ngx_redis_command_t  *cmd;

    for (n = park->all.n; n; n--) {
        cmd = ngx_redis_command_first(&park->queue);

        if (cmd == NULL) {
            return;
        }

        ngx_redis_command_end(cmd, NGX_REDIS_CLOSED, NULL);
    }
}


void
ngx_redis_park_close(ngx_redis_park_t *park)
{
    ngx_redis_command_t  *cmd;

    if (park->timer.timer_set) {
        ngx_del_timer(&park->timer);
    }

    while ((cmd = ngx_redis_command_first(&park->queue)) != NULL) {
        ngx_redis_command_free(cmd);
    }

    park->all.awaited = 0;
}
