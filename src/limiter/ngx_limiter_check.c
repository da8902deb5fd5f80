
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_check.h"


static ngx_int_t ngx_limiter_check_known(ngx_limiter_check_t *check);
static ngx_int_t ngx_limiter_check_send(ngx_limiter_check_t *check,
    ngx_uint_t eval);
static void ngx_limiter_check_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_check_learn(ngx_limiter_check_t *check);
static void ngx_limiter_check_degrade(ngx_limiter_check_t *check);
static void ngx_limiter_check_local(ngx_limiter_check_t *check);
static void ngx_limiter_check_log(ngx_limiter_check_t *check,
    ngx_redis_result_e result, redisReply *reply);


ngx_int_t
ngx_limiter_check_start(ngx_limiter_check_t *check)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    check->result = NGX_LIMITER_CHECK_PASSED;
    check->command = NULL;
    check->nasked = 0;

    if (check->redis->client == NULL) {

        for (i = 0; i < check->nitems; i++) {
            check->asked[check->nasked++] = &check->items[i];
        }

        ngx_limiter_check_local(check);

        return NGX_OK;
    }

    if (ngx_limiter_check_known(check) == NGX_BUSY) {
        return NGX_OK;
    }

    if (check->nasked == 0) {
        return NGX_OK;
    }

    rc = ngx_limiter_check_send(check, 0);

    if (rc == NGX_DECLINED) {
        ngx_limiter_check_degrade(check);
        return NGX_OK;
    }

    return (rc == NGX_OK) ? NGX_AGAIN : rc;
}


void
ngx_limiter_check_abandon(ngx_limiter_check_t *check)
{
    if (check->command) {
        ngx_redis_command_abandon(check->command);
        check->command = NULL;
    }
}


/*
 * What is used in a window never decreases: a subject that had nothing left
 * when Redis last spoke of it has nothing left until the window ends, and
 * Redis need not be asked.  A limit raised by a reload counts at once, for
 * it is compared with the rates of now.
 *
 * Returns NGX_BUSY if the request is refused; else leaves in "asked" those
 * who must be asked.
 */

static ngx_int_t
ngx_limiter_check_known(ngx_limiter_check_t *check)
{
    uint64_t             now;
    ngx_int_t            rc;
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    rc = NGX_OK;
    now = ngx_limiter_local_now();

    for (i = 0; i < check->nitems; i++) {
        item = &check->items[i];

        ngx_limiter_local_look(item->zone, &item->subject.key, item->windows,
                               now);

        if (ngx_limiter_window_check(item->windows, item->zone->rates,
                                     item->zone->nrates, item->cost)
            == NGX_OK)
        {
            item->verdict = NGX_LIMITER_PASSED;
            check->asked[check->nasked++] = item;
            continue;
        }

        item->verdict = NGX_LIMITER_REJECTED;

        if (ngx_redis_client_state(check->redis->client) == NGX_REDIS_DOWN) {
            item->local = 1;
        }

        if (!item->soft) {
            rc = NGX_BUSY;
        }
    }

    if (rc == NGX_BUSY) {
        check->result = NGX_LIMITER_CHECK_REJECTED;
    }

    return rc;
}


static ngx_int_t
ngx_limiter_check_send(ngx_limiter_check_t *check, ngx_uint_t eval)
{
    ngx_str_t             argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t            argc;
    ngx_limiter_redis_t  *redis;

    redis = check->redis;
    check->eval = eval;

    argc = ngx_limiter_script_args(redis->script, check->asked, check->nasked,
                                   &redis->prefix, eval, argv, check->pool);
    if (argc == 0) {
        return NGX_ERROR;
    }

    check->command = ngx_redis_client_send(redis->client, argc, argv, 3,
                                           ngx_limiter_check_reply_handler,
                                           check);

    return check->command ? NGX_OK : NGX_DECLINED;
}


static void
ngx_limiter_check_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_limiter_check_t *check = data;

    uint64_t   now;
    ngx_int_t  rc;

    check->command = NULL;

    /* once: who has no script after EVAL will not have it the next time */

    if (result == NGX_REDIS_REFUSED
        && !check->eval
        && ngx_strncmp(reply->str, "NOSCRIPT", sizeof("NOSCRIPT") - 1) == 0
        && ngx_limiter_check_send(check, 1) == NGX_OK)
    {
        return;
    }

    rc = NGX_ERROR;
    now = ngx_limiter_local_now();

    if (result == NGX_REDIS_REPLY) {
        rc = ngx_limiter_script_reply(reply, check->asked, check->nasked, now);
    }

    if (rc == NGX_ERROR) {
        ngx_limiter_check_log(check, result, reply);
        ngx_limiter_check_degrade(check);

    } else {
        check->redis->degraded = 0;
        ngx_limiter_check_learn(check);

        if (rc == NGX_BUSY) {
            check->result = NGX_LIMITER_CHECK_REJECTED;
        }
    }

    check->handler(check->data);
}


static void
ngx_limiter_check_learn(ngx_limiter_check_t *check)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        ngx_limiter_local_learn(item->zone, &item->subject.key,
                                item->windows);
    }
}


/* Redis does not answer: each item asked goes by its on_error */

static void
ngx_limiter_check_degrade(ngx_limiter_check_t *check)
{
    ngx_uint_t           i, n;
    ngx_limiter_item_t  *item;

    n = 0;

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        if (item->on_error == NGX_LIMITER_ON_ERROR_LOCAL) {
            item->local = 1;
            check->asked[n++] = item;
            continue;
        }

        item->verdict = NGX_LIMITER_SKIPPED;

        if (item->on_error == NGX_LIMITER_ON_ERROR_DENY && !item->soft) {
            check->result = NGX_LIMITER_CHECK_UNAVAILABLE;
        }
    }

    check->nasked = n;

    if (check->result == NGX_LIMITER_CHECK_PASSED) {
        ngx_limiter_check_local(check);
    }
}


/*
 * The script's decision, made in shared memory: all locks are held from the
 * first look to the last count.
 */

static void
ngx_limiter_check_local(ngx_limiter_check_t *check)
{
    uint64_t             now;
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    for (i = 0; i < check->nasked; i++) {
        ngx_limiter_local_lock(check->asked[i]->zone);
    }

    now = ngx_limiter_local_now();

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        ngx_limiter_local_load(item->zone, &item->subject.key, item->windows,
                               now);

        if (ngx_limiter_window_check(item->windows, item->zone->rates,
                                     item->zone->nrates, item->cost)
            == NGX_OK)
        {
            item->verdict = NGX_LIMITER_PASSED;
            continue;
        }

        item->verdict = NGX_LIMITER_REJECTED;

        if (!item->soft) {
            check->result = NGX_LIMITER_CHECK_REJECTED;
        }
    }

    if (check->result == NGX_LIMITER_CHECK_PASSED) {

        for (i = 0; i < check->nasked; i++) {
            item = check->asked[i];

            if (item->verdict != NGX_LIMITER_PASSED) {
                continue;
            }

            ngx_limiter_window_count(item->windows, item->zone->nrates,
                                     item->cost);
            ngx_limiter_local_save(item->zone, &item->subject.key,
                                   item->windows);
        }
    }

    for (i = check->nasked; i > 0; i--) {
        ngx_limiter_local_unlock(check->asked[i - 1]->zone);
    }
}


/*
 * The client logs what happens to its connection; an answer that is whole and
 * of no use is logged here, once until there is a good one again.  What Redis
 * said is not trusted with the log: only the word its errors begin with.
 */

static void
ngx_limiter_check_log(ngx_limiter_check_t *check, ngx_redis_result_e result,
    redisReply *reply)
{
    size_t  len;

    if (check->redis->degraded) {
        return;
    }

    if (result == NGX_REDIS_REPLY) {
        check->redis->degraded = 1;
        ngx_log_error(NGX_LOG_ERR, check->log, 0,
                      "redis sent an unexpected reply of type %d to the "
                      "script of limits", reply->type);
        return;
    }

    if (result != NGX_REDIS_REFUSED) {
        return;
    }

    for (len = 0; len < (size_t) reply->len && len < 32; len++) {
        if (reply->str[len] < 'A' || reply->str[len] > 'Z') {
            break;
        }
    }

    check->redis->degraded = 1;
    ngx_log_error(NGX_LOG_ERR, check->log, 0,
                  "redis refused the script of limits: \"%*s\"",
                  len, reply->str);
}
