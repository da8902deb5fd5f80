
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_command.h"
#include "ngx_redis_greeting.h"


static void ngx_redis_command_take(ngx_redis_command_t *cmd);
static void ngx_redis_command_orphan(ngx_redis_command_t *cmd);
static void ngx_redis_command_destroy(ngx_redis_command_t *cmd);


ngx_redis_command_t *
ngx_redis_command_create(ngx_redis_commands_t *all, ngx_queue_t *queue,
    ngx_uint_t argc, ngx_str_t *argv, size_t max, ngx_log_t *log)
{
    ngx_redis_command_t  *cmd;

    cmd = ngx_calloc(sizeof(ngx_redis_command_t), log);
    if (cmd == NULL) {
        return NULL;
    }

    if (ngx_redis_format(argc, argv, max - all->bytes, &cmd->wire) != NGX_OK) {
        ngx_free(cmd);
        return NULL;
    }

    cmd->all = all;

    ngx_queue_insert_tail(queue, &cmd->queue);

    all->n++;
    all->bytes += cmd->wire.len;
    all->stats->commands++;

    return cmd;
}


void
ngx_redis_command_await(ngx_redis_command_t *cmd, ngx_redis_reply_pt handler,
    void *data)
{
    if (handler == NULL) {
        return;
    }

    cmd->handler = handler;
    cmd->data = data;

    cmd->all->awaited++;
    cmd->all->timer->cancelable = 0;
}


static void
ngx_redis_command_orphan(ngx_redis_command_t *cmd)
{
    if (cmd->handler == NULL) {
        return;
    }

    cmd->handler = NULL;

    cmd->all->awaited--;
    cmd->all->timer->cancelable = (cmd->all->awaited == 0);
}


void
ngx_redis_command_abandon(ngx_redis_command_t *cmd)
{
    ngx_redis_command_orphan(cmd);

    if (cmd->state == NGX_REDIS_COMMAND_WAITING) {
        ngx_redis_command_free(cmd);
    }
}


ngx_redis_command_t *
ngx_redis_command_first(ngx_queue_t *queue)
{
    if (ngx_queue_empty(queue)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(queue), ngx_redis_command_t, queue);
}


void
ngx_redis_command_done(ngx_redis_command_t *cmd, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_reply_pt  handler;

    handler = cmd->handler;

    /* in case that the handler abandons what it is called for */

    cmd->state = NGX_REDIS_COMMAND_DONE;

    ngx_redis_command_orphan(cmd);

    cmd->all->stats->results[result]++;

    if (handler) {
        handler(cmd->data, result, reply);
    }
}


void
ngx_redis_command_end(ngx_redis_command_t *cmd, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_command_take(cmd);
    ngx_redis_command_done(cmd, result, reply);
    ngx_redis_command_destroy(cmd);
}


void
ngx_redis_command_free(ngx_redis_command_t *cmd)
{
    ngx_redis_command_take(cmd);
    ngx_redis_command_destroy(cmd);
}


static void
ngx_redis_command_destroy(ngx_redis_command_t *cmd)
{
    ngx_redis_format_free(&cmd->wire);
    ngx_free(cmd);
}


static void
ngx_redis_command_take(ngx_redis_command_t *cmd)
{
    ngx_queue_remove(&cmd->queue);

    cmd->all->n--;
    cmd->all->bytes -= cmd->wire.len;
}
