
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_ask.h"
#include "ngx_redis_reply.h"


static ngx_int_t ngx_limiter_ask_send(ngx_limiter_ask_t *ask, ngx_uint_t eval);
static void ngx_limiter_ask_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_ask_log(ngx_limiter_ask_t *ask,
    ngx_redis_result_e result, redisReply *reply);


ngx_int_t
ngx_limiter_ask(ngx_limiter_ask_t *ask)
{
    ask->command = NULL;
    ask->script = ngx_limiter_script_choose(ask->redis->scripts, ask->items,
                                            ask->nitems);

    return ngx_limiter_ask_send(ask, 0);
}


void
ngx_limiter_ask_abandon(ngx_limiter_ask_t *ask)
{
    if (ask->command) {
        ngx_redis_command_abandon(ask->command);
        ask->command = NULL;
    }
}


void
ngx_limiter_ask_move(ngx_limiter_ask_t *ask, ngx_limiter_ask_t *to)
{
    to->command = ask->command;
    to->script = ask->script;
    to->sent = ask->sent;
    to->eval = ask->eval;

    ask->command = NULL;

    ngx_redis_command_hand(to->command, ngx_limiter_ask_reply_handler, to);
}


static ngx_int_t
ngx_limiter_ask_send(ngx_limiter_ask_t *ask, ngx_uint_t eval)
{
    ngx_str_t             argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t            argc;
    ngx_limiter_redis_t  *redis;

    redis = ask->redis;

    ask->eval = eval;
    ask->sent = ngx_limiter_local_now();

    argc = ngx_limiter_script_args(ask->script, ask->items, ask->nitems,
                                   &redis->prefix, eval, argv, ask->pool);
    if (argc == 0) {
        return NGX_ERROR;
    }

    ask->command = ngx_redis_client_send(redis->client, argc, argv, 3,
                                         ngx_limiter_ask_reply_handler, ask);

    return ask->command ? NGX_OK : NGX_DECLINED;
}


static void
ngx_limiter_ask_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_limiter_ask_t *ask = data;

    ngx_int_t  rc;

    ask->command = NULL;

    /* once: who has no script after EVAL will not have it the next time */

    if (result == NGX_REDIS_REFUSED
        && !ask->eval
        && ngx_strncmp(reply->str, "NOSCRIPT", sizeof("NOSCRIPT") - 1) == 0
        && ngx_limiter_ask_send(ask, 1) == NGX_OK)
    {
        return;
    }

    rc = NGX_ERROR;

    if (result == NGX_REDIS_REPLY) {

        rc = ngx_limiter_script_reply(reply, ask->items, ask->nitems,
                                      ngx_limiter_local_now());

        if (rc == NGX_DECLINED) {
            rc = NGX_ERROR;

            if (ask->script != &ask->redis->scripts->general) {
                ask->script = &ask->redis->scripts->general;

                if (ngx_limiter_ask_send(ask, 0) == NGX_OK) {
                    return;
                }
            }
        }
    }

    if (rc == NGX_ERROR) {
        ngx_limiter_ask_log(ask, result, reply);

    } else if (ngx_redis_refusal_end(&ask->redis->script, ngx_current_msec)
               == NGX_OK)
    {
        ngx_log_error(NGX_LOG_NOTICE, ask->log, 0,
                      "redis runs the script of limits again after %Mms",
                      ngx_current_msec - ask->redis->script.since);
    }

    ask->handler(ask, rc);
}


/*
 * The client logs what happens to its connection; an answer that is whole and
 * of no use is logged here, once until there are good ones again.  What Redis
 * said is not trusted with the log: only the word its errors begin with.
 */

static void
ngx_limiter_ask_log(ngx_limiter_ask_t *ask, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_str_t  code;

    if ((result != NGX_REDIS_REPLY && result != NGX_REDIS_REFUSED)
        || ngx_redis_refusal_begin(&ask->redis->script, ngx_current_msec)
           != NGX_OK)
    {
        return;
    }

    if (result == NGX_REDIS_REPLY) {
        ngx_log_error(NGX_LOG_ERR, ask->log, 0,
                      "redis sent an unexpected reply of type %d to the "
                      "script of limits", reply->type);
        return;
    }

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, ask->log, 0,
                  "redis refused the script of limits: \"%V\"", &code);
}
