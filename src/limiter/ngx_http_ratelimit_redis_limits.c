
/*
 * Copyright (C) The Optcache authors
 */


/*
 * From the rules of a location to the items of a check.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"


static ngx_int_t ngx_http_ratelimit_redis_limits_items(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static void ngx_http_ratelimit_redis_limits_order(
    ngx_http_ratelimit_redis_rule_t *rules, ngx_uint_t n, ngx_uint_t *order);
static ngx_int_t ngx_http_ratelimit_redis_limits_item(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t rule);


ngx_int_t
ngx_http_ratelimit_redis_limits_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_check_pt handler)
{
    ngx_limiter_check_t  *check;

    check = &ctx->check;

    check->nitems = 0;
    check->result = NGX_LIMITER_CHECK_PASSED;

    /* one refusal is enough: an error_page must be able to tell of it */

    if (ctx->refused || (ctx->conf->stages & ctx->stage) == 0) {
        return NGX_OK;
    }

    /* nginx gives a page that a filter asks for no time to wait for Redis */

    if (r->filter_finalize) {
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_limits_items(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (check->nitems == 0) {
        return NGX_OK;
    }

    check->redis = ngx_http_ratelimit_redis_worker();
    check->pool = r->pool;
    check->log = r->connection->log;
    check->handler = handler;
    check->data = ctx;

    return ngx_limiter_check_start(check);
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_items(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t                        i, n, order[NGX_LIMITER_MAX_ZONES];
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = ctx->conf->rules->elts;
    n = ctx->conf->rules->nelts;

    ngx_http_ratelimit_redis_limits_order(rules, n, order);

    ctx->check.items = ngx_palloc(r->pool, n * sizeof(ngx_limiter_item_t));
    if (ctx->check.items == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        if ((rules[order[i]].stage & ctx->stage) == 0) {
            continue;
        }

        if (ngx_http_ratelimit_redis_limits_item(r, ctx, order[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Locks are taken in the order of the items, which is that of the names:
 * workers of two configurations lock the same zones, whichever of them each
 * defines first.
 */

static void
ngx_http_ratelimit_redis_limits_order(ngx_http_ratelimit_redis_rule_t *rules,
    ngx_uint_t n, ngx_uint_t *order)
{
    ngx_str_t   *name, *other;
    ngx_uint_t   i, k;

    order[0] = 0;

    for (i = 1; i < n; i++) {
        name = &rules[i].shm_zone->shm.name;

        for (k = i; k > 0; k--) {
            other = &rules[order[k - 1]].shm_zone->shm.name;

            if (ngx_memn2cmp(other->data, name->data, other->len, name->len)
                < 0)
            {
                break;
            }

            order[k] = order[k - 1];
        }

        order[k] = i;
    }
}


/*
 * Adds the item of a rule, unless its key is empty, or all of its rates are, or
 * its zone has counted the request.
 */

static ngx_int_t
ngx_http_ratelimit_redis_limits_item(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t rule)
{
    ngx_int_t                         rc;
    ngx_str_t                         key;
    ngx_limiter_item_t               *item;
    ngx_http_ratelimit_redis_rule_t  *rules;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rules = ctx->conf->rules->elts;
    rz = rules[rule].shm_zone->data;

    for (item = ctx->charged; item; item = item->next) {
        if (item->zone == &rz->zone) {
            return NGX_OK;
        }
    }

    if (ngx_http_captures_value(r, &rz->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return ctx->token_failed ? NGX_ERROR : NGX_OK;
    }

    item = &ctx->check.items[ctx->check.nitems];

    ngx_limiter_item_init(item);

    rc = ngx_http_ratelimit_redis_policy(r, rz, &item->policy);

    if (rc == NGX_OK) {
        rc = ngx_http_ratelimit_redis_policy_cost(r, rz, item);
    }

    if (rc == NGX_ERROR || ctx->token_failed) {
        /* a claim that could not be told is neither no rate nor a cost of 1 */
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (ngx_limiter_subject_init(&item->subject, &key, r->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    item->zone = &rz->zone;
    item->on_error = rules[rule].on_error;
    item->soft = (ctx->conf->dry_run || rules[rule].dry_run);

    if (rules[rule].on_error == NGX_CONF_UNSET_UINT) {
        item->on_error = ctx->conf->on_error;
    }

    ctx->rules[ctx->check.nitems++] = rule;

    return NGX_OK;
}
