
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_optcache_refusal.h"
#include "ngx_redis_refusal.h"
#include "ngx_redis_reply.h"


static void ngx_http_optcache_refusal_begin(ngx_http_optcache_refusal_e kind,
    redisReply *reply);
static void ngx_http_optcache_refusal_end(ngx_http_optcache_refusal_e kind);


/* of the worker */

static ngx_redis_refusal_t  ngx_http_optcache_refusals[
                                                  NGX_HTTP_OPTCACHE_REFUSALS];

static const char  *ngx_http_optcache_refusal_begins[] = {
    "redis does not give stored responses: \"%V\"",
    "redis does not store responses: \"%V\""
};

static const char  *ngx_http_optcache_refusal_ends[] = {
    "redis gives stored responses again after %Mms",
    "redis stores responses again after %Mms"
};


void
ngx_http_optcache_refusal(ngx_http_optcache_refusal_e kind, redisReply *reply)
{
    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_optcache_refusal_begin(kind, reply);

    } else if (ngx_http_optcache_refusals[kind].refused) {
        ngx_http_optcache_refusal_end(kind);
    }
}


/* An outage is told by the client, and a value that is no response by itself. */

static void
ngx_http_optcache_refusal_begin(ngx_http_optcache_refusal_e kind,
    redisReply *reply)
{
    ngx_str_t  code;

    if (ngx_redis_reply_verdict(reply) != NGX_REDIS_VERDICT_WELL
        || ngx_redis_reply_error(reply, "WRONGTYPE"))
    {
        return;
    }

    if (ngx_redis_refusal_begin(&ngx_http_optcache_refusals[kind],
                                ngx_current_msec)
        != NGX_OK)
    {
        return;
    }

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  ngx_http_optcache_refusal_begins[kind], &code);
}


static void
ngx_http_optcache_refusal_end(ngx_http_optcache_refusal_e kind)
{
    ngx_redis_refusal_t  *refusal;

    refusal = &ngx_http_optcache_refusals[kind];

    if (ngx_redis_refusal_end(refusal, ngx_current_msec) != NGX_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  ngx_http_optcache_refusal_ends[kind],
                  ngx_current_msec - refusal->since);
}
