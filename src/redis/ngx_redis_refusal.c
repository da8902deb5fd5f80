
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_refusal.h"


static void ngx_redis_refusal_between(ngx_redis_refusal_t *refusal,
    ngx_msec_t now);


ngx_int_t
ngx_redis_refusal_begin(ngx_redis_refusal_t *refusal, ngx_msec_t now)
{
    ngx_redis_refusal_between(refusal, now);

    if (!refusal->refused) {
        refusal->refused = 1;
        refusal->told = 0;
        refusal->since = now;
    }

    refusal->last = now;

    /* not oftener than the clock goes on: workers share the word */

    if (refusal->shared && *refusal->shared != now) {
        *refusal->shared = now;
    }

    /* one that lasts is told, though it began soon after another */

    if (refusal->told
        || (refusal->before
            && now - refusal->logged < NGX_REDIS_REFUSAL_PAUSE))
    {
        return NGX_DECLINED;
    }

    refusal->told = 1;
    refusal->before = 1;
    refusal->logged = now;

    return NGX_OK;
}


/*
 * Where a refusal comes now and then, as of one server of many, a pause like
 * those there were says nothing.
 */

static void
ngx_redis_refusal_between(ngx_redis_refusal_t *refusal, ngx_msec_t now)
{
    ngx_msec_t  pause;

    pause = now - refusal->last;

    if (!refusal->well) {
        return;
    }

    refusal->well = 0;

    if (pause < NGX_REDIS_REFUSAL_SELDOM) {
        refusal->calm = ngx_max(refusal->calm, 2 * pause);

    } else {
        refusal->calm = 0;
    }
}


ngx_int_t
ngx_redis_refusal_end(ngx_redis_refusal_t *refusal, ngx_msec_t now)
{
    if (!refusal->refused) {
        return NGX_DECLINED;
    }

    refusal->well = 1;

    if (now - refusal->last < ngx_max(refusal->calm, NGX_REDIS_REFUSAL_CALM)) {
        return NGX_DECLINED;
    }

    refusal->refused = 0;

    return refusal->told ? NGX_OK : NGX_DECLINED;
}


/*
 * Who is asked nothing any more refuses nothing.  That a worker is served does
 * not end it, as others may not be.  The time of another may be ahead of "now"
 * by as long as this worker has not looked at the clock.
 */

ngx_uint_t
ngx_redis_refusal_holds(const ngx_redis_refusal_t *refusal, ngx_msec_t now)
{
    ngx_msec_t      last;
    ngx_msec_int_t  ago;

    last = refusal->shared ? *refusal->shared : 0;
    ago = (ngx_msec_int_t) (now - last);

    return last && ngx_abs(ago) < NGX_REDIS_REFUSAL_PAUSE;
}
