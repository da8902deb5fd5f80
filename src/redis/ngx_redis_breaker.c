
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_breaker.h"


static ngx_int_t ngx_redis_breaker_close(ngx_redis_breaker_t *b,
    ngx_msec_t now);


ngx_int_t
ngx_redis_breaker_failed(ngx_redis_breaker_t *b, ngx_msec_t now)
{
    b->failures++;

    if (b->state == NGX_REDIS_BREAKER_TRIAL
        || b->failures >= NGX_REDIS_BREAKER_FAILURES)
    {
        return ngx_redis_breaker_open(b, now, b->refused);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_redis_breaker_open(ngx_redis_breaker_t *b, ngx_msec_t now,
    ngx_uint_t refused)
{
    ngx_redis_breaker_state_e  state;

    state = b->state;

    b->state = NGX_REDIS_BREAKER_OPEN;
    b->refused = (refused != 0);

    if (state != NGX_REDIS_BREAKER_CLOSED) {
        /* the same outage goes on */
        return NGX_DECLINED;
    }

    b->opened = now;

    /*
     * A server that comes and goes is not asked more often than one that
     * stays away, and does not fill the log.
     */

    if (!b->outages || now - b->closed >= NGX_REDIS_BREAKER_CALM) {
        b->wait = 0;
    }

    return NGX_OK;
}


ngx_int_t
ngx_redis_breaker_succeeded(ngx_redis_breaker_t *b, ngx_msec_t now)
{
    if (b->state == NGX_REDIS_BREAKER_OPEN) {
        /* in flight since before; a probe decides */
        return NGX_DECLINED;
    }

    b->failures = 0;

    if (b->state == NGX_REDIS_BREAKER_CLOSED) {
        return NGX_DECLINED;
    }

    return ngx_redis_breaker_close(b, now);
}


ngx_int_t
ngx_redis_breaker_probed(ngx_redis_breaker_t *b, ngx_msec_t now)
{
    if (b->state != NGX_REDIS_BREAKER_OPEN) {
        return NGX_DECLINED;
    }

    if (b->refused) {
        b->state = NGX_REDIS_BREAKER_TRIAL;
        return NGX_DECLINED;
    }

    return ngx_redis_breaker_close(b, now);
}


ngx_msec_t
ngx_redis_breaker_delay(ngx_redis_breaker_t *b, ngx_uint_t random)
{
    ngx_msec_t  half;

    b->wait = b->wait ? b->wait * 2 : NGX_REDIS_BREAKER_MIN_WAIT;
    b->wait = ngx_min(b->wait, NGX_REDIS_BREAKER_MAX_WAIT);

    half = b->wait / 2;

    return b->wait - half + random % (half + 1);
}


static ngx_int_t
ngx_redis_breaker_close(ngx_redis_breaker_t *b, ngx_msec_t now)
{
    b->state = NGX_REDIS_BREAKER_CLOSED;
    b->failures = 0;
    b->refused = 0;
    b->closed = now;
    b->outages = 1;

    return NGX_OK;
}
