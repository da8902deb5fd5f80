
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_reset.h"
#include "ngx_redis_reply.h"


static ngx_redis_command_t *ngx_limiter_reset_delete(
    ngx_limiter_reset_t *reset);
static ngx_redis_command_t *ngx_limiter_reset_announce(
    ngx_limiter_reset_t *reset);
static void ngx_limiter_reset_local(ngx_limiter_reset_t *reset);
static void ngx_limiter_reset_delete_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_reset_announce_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_reset_refused(ngx_limiter_reset_t *reset,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_reset_done(ngx_limiter_reset_t *reset,
    ngx_redis_result_e result);


/*
 * The key first and, when it is gone, the news of it: who has heard asks Redis,
 * and must not find what was there before.
 */

ngx_int_t
ngx_limiter_reset(ngx_limiter_reset_t *reset)
{
    reset->rc = NGX_OK;

    ngx_limiter_reset_local(reset);

    if (reset->redis->client == NULL) {
        return NGX_OK;
    }

    return ngx_limiter_reset_delete(reset) ? NGX_AGAIN : NGX_DECLINED;
}


static void
ngx_limiter_reset_local(ngx_limiter_reset_t *reset)
{
    ngx_limiter_zone_t  *zone;

    zone = reset->item->zone;

    ngx_limiter_local_lock(zone);
    ngx_limiter_local_forget(zone, &reset->item->subject.key);
    ngx_limiter_local_unlock(zone);
}


static ngx_redis_command_t *
ngx_limiter_reset_delete(ngx_limiter_reset_t *reset)
{
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "DEL");

    if (ngx_limiter_script_key(&argv[1], reset->item, &reset->redis->prefix,
                               reset->pool)
        != NGX_OK)
    {
        return NULL;
    }

    return ngx_redis_client_send(reset->redis->client, 2, argv, 1,
                                 ngx_limiter_reset_delete_handler, reset);
}


static void
ngx_limiter_reset_delete_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_limiter_reset_t *reset = data;

    if (result == NGX_REDIS_REPLY) {

        /* an answer that was on its way may have been learned meanwhile */

        ngx_limiter_reset_local(reset);

        if (ngx_limiter_reset_announce(reset)) {
            return;
        }

        result = NGX_REDIS_CLOSED;
    }

    ngx_limiter_reset_refused(reset, result, reply);
    ngx_limiter_reset_done(reset, result);
}


static ngx_redis_command_t *
ngx_limiter_reset_announce(ngx_limiter_reset_t *reset)
{
    ngx_str_t  argv[4];

    ngx_str_set(&argv[0], "ZINCRBY");
    argv[1] = *ngx_limiter_fleet_key(reset->redis->fleet);
    ngx_str_set(&argv[2], "1");
    ngx_str_set(&argv[3], NGX_LIMITER_FLEET_RESETS);

    return ngx_redis_client_send(reset->redis->client, 4, argv, 1,
                                 ngx_limiter_reset_announce_handler, reset);
}


static void
ngx_limiter_reset_announce_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_limiter_reset_t *reset = data;

    if (result == NGX_REDIS_REPLY) {
        ngx_limiter_fleet_told(reset->redis->fleet);
    }

    ngx_limiter_reset_refused(reset, result, reply);
    ngx_limiter_reset_done(reset, result);
}


/* It answers, so nobody else says why.  Few may reset: each is told. */

static void
ngx_limiter_reset_refused(ngx_limiter_reset_t *reset,
    ngx_redis_result_e result, redisReply *reply)
{
    ngx_str_t  code;

    if (result != NGX_REDIS_REFUSED
        || ngx_redis_reply_verdict(reply) != NGX_REDIS_VERDICT_WELL)
    {
        return;
    }

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, reset->redis->log, 0,
                  "redis does not reset limits: \"%V\"", &code);
}


static void
ngx_limiter_reset_done(ngx_limiter_reset_t *reset, ngx_redis_result_e result)
{
    reset->rc = (result == NGX_REDIS_REPLY) ? NGX_OK : NGX_ERROR;

    reset->handler(reset->data);
}
