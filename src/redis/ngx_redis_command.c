
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_command.h"
#include "ngx_redis_format.h"


#define NGX_REDIS_COMMAND_ASKING  "*1\r\n$6\r\nASKING\r\n"

#define ngx_redis_command_behind(cmd)  ((u_char *) ((cmd) + 1))


/* of a short one, with its wire */

#define NGX_REDIS_COMMAND_SHORT   512

/* of these, those that are kept; a sanitizer is to see all of them freed */

#if (NGX_DEBUG_PALLOC)
#define NGX_REDIS_COMMAND_SPARES  0
#else
#define NGX_REDIS_COMMAND_SPARES  64
#endif


static ngx_redis_command_t *ngx_redis_command_alloc(size_t size,
    ngx_log_t *log);
static void ngx_redis_command_give(ngx_redis_command_t *cmd);
static void ngx_redis_command_take(ngx_redis_command_t *cmd);
static void ngx_redis_command_calm(ngx_redis_command_t *cmd);
static void ngx_redis_command_orphan(ngx_redis_command_t *cmd);
static void ngx_redis_command_destroy(ngx_redis_command_t *cmd);


/* of this process: linked by "data" */

static ngx_redis_command_t  *ngx_redis_command_spares;
static ngx_uint_t            ngx_redis_command_nspares;


ngx_redis_command_t *
ngx_redis_command_create(ngx_redis_commands_t *all, ngx_queue_t *queue,
    ngx_uint_t argc, ngx_str_t *argv, size_t max, ngx_log_t *log)
{
    size_t                   size;
    ngx_redis_command_t     *cmd;
    const ngx_redis_form_t  *form;

    /* most are of a known form, and lie behind what is known of them */

    form = ngx_redis_format_known(argc, argv, &size);

    if (form == NULL) {
        size = 0;
    }

    if (size > max - all->bytes) {
        return NULL;
    }

    cmd = ngx_redis_command_alloc(size, log);
    if (cmd == NULL) {
        return NULL;
    }

    if (form) {
        cmd->wire.data = ngx_redis_command_behind(cmd);
        cmd->wire.len = size;

        ngx_redis_format_write(form, argv, cmd->wire.data);

    } else if (ngx_redis_format(argc, argv, max - all->bytes, &cmd->wire)
               != NGX_OK)
    {
        ngx_redis_command_give(cmd);
        return NULL;
    }

    cmd->all = all;
    cmd->slot = -1;

    ngx_queue_insert_tail(queue, &cmd->queue);

    all->n++;
    all->bytes += cmd->wire.len;

    ngx_redis_metrics_count(all->stats, NGX_REDIS_METRICS_COMMANDS);

    return cmd;
}


/* Zeroed, with room for its wire; malloc() has few of a size at hand. */

static ngx_redis_command_t *
ngx_redis_command_alloc(size_t size, ngx_log_t *log)
{
    ngx_uint_t            is_short;
    ngx_redis_command_t  *cmd;

    size += sizeof(ngx_redis_command_t);
    is_short = (size <= NGX_REDIS_COMMAND_SHORT);

    if (is_short && ngx_redis_command_spares) {
        cmd = ngx_redis_command_spares;

        ngx_redis_command_spares = cmd->data;
        ngx_redis_command_nspares--;

    } else {
        cmd = ngx_alloc(ngx_max(size, NGX_REDIS_COMMAND_SHORT), log);
        if (cmd == NULL) {
            return NULL;
        }
    }

    ngx_memzero(cmd, sizeof(ngx_redis_command_t));

    cmd->is_short = is_short;

    return cmd;
}


static void
ngx_redis_command_give(ngx_redis_command_t *cmd)
{
    if (!cmd->is_short
        || ngx_redis_command_nspares == NGX_REDIS_COMMAND_SPARES)
    {
        ngx_free(cmd);
        return;
    }

    cmd->data = ngx_redis_command_spares;

    ngx_redis_command_spares = cmd;
    ngx_redis_command_nspares++;
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

    cmd->abandoned = 1;

    if (cmd->state == NGX_REDIS_COMMAND_WAITING) {
        ngx_redis_command_free(cmd);
    }
}


void
ngx_redis_command_hand(ngx_redis_command_t *cmd, ngx_redis_reply_pt handler,
    void *data)
{
    cmd->handler = handler;
    cmd->data = data;
}


void
ngx_redis_command_move(ngx_redis_command_t *cmd, ngx_redis_commands_t *all,
    ngx_queue_t *queue)
{
    ngx_redis_command_take(cmd);

    if (cmd->handler) {
        cmd->all->awaited--;
        cmd->all->timer->cancelable = (cmd->all->awaited == 0);

        all->awaited++;
        all->timer->cancelable = 0;
    }

    all->n++;
    all->bytes += cmd->wire.len;

    cmd->all = all;
    cmd->state = NGX_REDIS_COMMAND_WAITING;
    cmd->copied = 0;
    cmd->asking = 0;
    cmd->asked = 0;

    ngx_queue_insert_tail(queue, &cmd->queue);
}


void
ngx_redis_command_hurry(ngx_redis_command_t *cmd, ngx_queue_t *queue)
{
    ngx_queue_t          *q;
    ngx_redis_command_t  *other;

    /* they come about in the order they were sent in: this is a short way */

    for (q = ngx_queue_last(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_prev(q))
    {
        other = ngx_queue_data(q, ngx_redis_command_t, hurry);

        if ((ngx_msec_int_t) (other->deadline - cmd->deadline) <= 0) {
            break;
        }
    }

    ngx_queue_insert_after(q, &cmd->hurry);
    cmd->hurried = 1;
}


static void
ngx_redis_command_calm(ngx_redis_command_t *cmd)
{
    if (cmd->hurried) {
        ngx_queue_remove(&cmd->hurry);
        cmd->hurried = 0;
    }
}


u_char *
ngx_redis_command_copy(ngx_redis_command_t *cmd, u_char *p, size_t room)
{
    size_t     size, skip;
    ngx_str_t  part;

    skip = 0;

    if (cmd->asking) {
        ngx_str_set(&part, NGX_REDIS_COMMAND_ASKING);
        skip = part.len;

        if (cmd->copied < skip) {
            size = ngx_min(room, skip - cmd->copied);

            p = ngx_cpymem(p, part.data + cmd->copied, size);
            cmd->copied += size;
            room -= size;

            if (cmd->copied < skip) {
                return p;
            }
        }
    }

    size = ngx_min(room, cmd->wire.len - (cmd->copied - skip));

    p = ngx_cpymem(p, cmd->wire.data + (cmd->copied - skip), size);
    cmd->copied += size;

    return p;
}


ngx_uint_t
ngx_redis_command_whole(ngx_redis_command_t *cmd)
{
    size_t  len;

    len = cmd->wire.len;

    if (cmd->asking) {
        len += sizeof(NGX_REDIS_COMMAND_ASKING) - 1;
    }

    return cmd->copied == len;
}


ngx_redis_command_t *
ngx_redis_command_first(ngx_queue_t *queue)
{
    if (ngx_queue_empty(queue)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(queue), ngx_redis_command_t, queue);
}


ngx_redis_command_t *
ngx_redis_command_hurried(ngx_queue_t *queue)
{
    if (ngx_queue_empty(queue)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(queue), ngx_redis_command_t, hurry);
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
    ngx_redis_command_calm(cmd);

    ngx_redis_metrics_count(cmd->all->stats,
                            NGX_REDIS_METRICS_REPLIES + result);

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
    if (cmd->wire.data != ngx_redis_command_behind(cmd)) {
        ngx_redis_format_free(&cmd->wire);
    }

    ngx_redis_command_give(cmd);
}


static void
ngx_redis_command_take(ngx_redis_command_t *cmd)
{
    ngx_queue_remove(&cmd->queue);
    ngx_redis_command_calm(cmd);

    cmd->all->n--;
    cmd->all->bytes -= cmd->wire.len;
}
