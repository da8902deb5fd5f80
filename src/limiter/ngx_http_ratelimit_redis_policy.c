
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a zone asks of this request: rates, cost and charge, which may come
 * from variables.  What is wrong with a value is logged with the text of the
 * configuration, never with what a client may have sent.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_seldom.h"


static ngx_int_t ngx_http_ratelimit_redis_policy_rate(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_uint_t i,
    ngx_limiter_rate_t *rate);
static ngx_int_t ngx_http_ratelimit_redis_policy_units(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_http_complex_value_t *value,
    const char *name, uint64_t *units);
static ngx_int_t ngx_http_ratelimit_redis_policy_charged(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_zone_t *rz,
    uint64_t *units);
static void ngx_http_ratelimit_redis_policy_add(ngx_limiter_policy_t *policy,
    ngx_limiter_rate_t *rate, ngx_uint_t from);


ngx_int_t
ngx_http_ratelimit_redis_policy(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_limiter_policy_t **policy)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    ngx_limiter_rate_t     rate;
    ngx_limiter_policy_t  *p;

    if (!rz->zone.variable) {
        *policy = &rz->zone.policy;
        return NGX_OK;
    }

    p = ngx_palloc(r->pool, sizeof(ngx_limiter_policy_t));
    if (p == NULL) {
        return NGX_ERROR;
    }

    p->algorithm = rz->zone.policy.algorithm;
    p->burst = rz->zone.policy.burst;
    p->nrates = 0;

    for (i = 0; i < rz->nrates; i++) {

        rc = ngx_http_ratelimit_redis_policy_rate(r, rz, i, &rate);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            ngx_http_ratelimit_redis_policy_add(p, &rate, i);
        }
    }

    *policy = p;

    return p->nrates ? NGX_OK : NGX_DECLINED;
}


/* NGX_DECLINED: the rate is empty, and does not apply */

static ngx_int_t
ngx_http_ratelimit_redis_policy_rate(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_uint_t i,
    ngx_limiter_rate_t *rate)
{
    ngx_str_t                       text;
    ngx_uint_t                      level;
    const char                     *err;
    ngx_http_ratelimit_redis_rate_t  *from;

    static time_t  told;

    from = &rz->rates[i];

    if (from->value == NULL) {
        *rate = from->rate;
        return NGX_OK;
    }

    if (ngx_http_captures_value(r, from->value, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (text.len == 0) {
        return NGX_DECLINED;
    }

    if (ngx_limiter_rate_parse(&text, rate, &err) != NGX_OK
        || ngx_limiter_policy_check(rz->zone.policy.algorithm,
                                    rz->zone.policy.burst, rate, &err)
           != NGX_OK)
    {
        level = ngx_http_seldom(&told, 1, NGX_LOG_ERR);

        ngx_log_error(level, r->connection->log, 0,
                      "invalid value of \"rate=%V\" of zone \"%V\": %s",
                      &from->value->value, &rz->zone.name, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* of two rates for the same time the smaller one holds */

static void
ngx_http_ratelimit_redis_policy_add(ngx_limiter_policy_t *policy,
    ngx_limiter_rate_t *rate, ngx_uint_t from)
{
    ngx_uint_t           i;
    ngx_limiter_rate_t  *has;

    for (i = 0; i < policy->nrates; i++) {
        has = &policy->rates[i];

        if (has->period == rate->period) {

            if (rate->limit < has->limit) {
                has->limit = rate->limit;
                policy->from[i] = from;
            }

            return;
        }
    }

    policy->from[policy->nrates] = from;
    policy->rates[policy->nrates++] = *rate;
}


/*
 * NGX_DECLINED if the value is empty, or no number, which is logged; what is
 * too large is logged, and as much as there can be.
 */

static ngx_int_t
ngx_http_ratelimit_redis_policy_units(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_http_complex_value_t *value,
    const char *name, uint64_t *units)
{
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  level;

    static time_t  cost, charge;

    if (ngx_http_captures_value(r, value, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (text.len == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_http_ratelimit_redis_policy_parse(&text, units);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    level = ngx_http_seldom((value == rz->cost) ? &cost : &charge, 1,
                            NGX_LOG_ERR);

    ngx_log_error(level, r->connection->log, 0,
                  "invalid value of \"%s=%V\" of zone \"%V\": expected a "
                  "number from 0 to %uL", name, &value->value,
                  &rz->zone.name, NGX_LIMITER_MAX_COST);

    /* a number that is too large must not be a way to pay little */

    return (rc == NGX_BUSY) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_ratelimit_redis_policy_parse(ngx_str_t *text, uint64_t *units)
{
    size_t    i;
    uint64_t  n;

    if (text->len == 0) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return NGX_ERROR;
        }

        n = n * 10 + (text->data[i] - '0');
        n = ngx_min(n, NGX_LIMITER_MAX_COST + 1);
    }

    *units = ngx_min(n, NGX_LIMITER_MAX_COST);

    return (n > NGX_LIMITER_MAX_COST) ? NGX_BUSY : NGX_OK;
}


ngx_int_t
ngx_http_ratelimit_redis_policy_cost(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_limiter_item_t *item)
{
    uint64_t   cost;
    ngx_int_t  rc;

    /* what is charged in the end needs some room, and takes it then */

    item->need = 1;
    item->take = (rz->charge && rz->cost == NULL) ? 0 : 1;

    if (rz->cost == NULL) {
        return NGX_OK;
    }

    rc = ngx_http_ratelimit_redis_policy_units(r, rz, rz->cost, "cost", &cost);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        item->take = cost;
        item->need = rz->charge ? ngx_max(cost, 1) : cost;
    }

    return NGX_OK;
}


/*
 * The log phase comes to every request, whatever became of it: the client may
 * have left, the upstream may have failed.
 */

void
ngx_http_ratelimit_redis_policy_charge(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    uint64_t                          units, advance;
    ngx_limiter_item_t               *item;
    ngx_http_ratelimit_redis_zone_t  *rz;

    for (item = ctx->charged; item; item = item->next) {
        rz = (ngx_http_ratelimit_redis_zone_t *) item->zone;

        if (rz->charge == NULL
            || ngx_http_ratelimit_redis_policy_charged(r, rz, &units)
               != NGX_OK)
        {
            continue;
        }

        /* it takes the place of what was taken in advance */

        advance = item->take;

        ngx_limiter_check_book(ngx_http_ratelimit_redis_worker(), item,
                               (units > advance) ? units - advance : 0,
                               (units < advance) ? advance - units : 0);
    }

    ctx->charged = NULL;
}


/*
 * An answer of proxy_cache has the fields that its upstream once sent, but no
 * upstream was asked: there is none to the variables of the charge.
 */

static ngx_int_t
ngx_http_ratelimit_redis_policy_charged(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, uint64_t *units)
{
    ngx_int_t             rc;
    ngx_http_upstream_t  *u;

    u = r->upstream;

#if (NGX_HTTP_CACHE)

    if (r->cached) {
        r->upstream = NULL;
    }

#endif

    rc = ngx_http_ratelimit_redis_policy_units(r, rz, rz->charge, "charge",
                                               units);
    r->upstream = u;

    return rc;
}
