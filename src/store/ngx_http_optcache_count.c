
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_rare.h"
#include "ngx_redis_metrics.h"


static ngx_metrics_block_t *ngx_http_optcache_count_block(ngx_conf_t *cf,
    ngx_metrics_t *metrics, const char *kind, ngx_str_t *name, ngx_uint_t n);
static ngx_uint_t ngx_http_optcache_count_bypass(
    ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_count_miss(ngx_http_optcache_ctx_t *ctx);
static ngx_often void ngx_http_optcache_count_cleanup(void *data);


ngx_int_t
ngx_http_optcache_count_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t           i;
    ngx_optcache_l1_t  **zones;

    static ngx_str_t  name = ngx_string("optcache:metrics");
    static ngx_str_t  redis = ngx_string("redis");

    if (omcf->zones.nelts == 0 && omcf->redis == NULL) {
        return NGX_OK;
    }

    omcf->metrics = ngx_metrics_create(cf, &name, &ngx_http_optcache_module);
    if (omcf->metrics == NULL) {
        return NGX_ERROR;
    }

    omcf->counts = ngx_metrics_add(cf, omcf->metrics, &redis,
                                   NGX_REDIS_METRICS);
    if (omcf->counts == NULL) {
        return NGX_ERROR;
    }

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {

        zones[i]->requests = ngx_http_optcache_count_block(cf, omcf->metrics,
                                               "zone ", &zones[i]->name,
                                               NGX_HTTP_OPTCACHE_REQUESTS_N);

        zones[i]->answers = ngx_http_optcache_count_block(cf, omcf->metrics,
                                               "answers ", &zones[i]->name,
                                               NGX_HTTP_OPTCACHE_ANSWERS_N);

        if (zones[i]->requests == NULL || zones[i]->answers == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_metrics_block_t *
ngx_http_optcache_count_block(ngx_conf_t *cf, ngx_metrics_t *metrics,
    const char *kind, ngx_str_t *name, ngx_uint_t n)
{
    ngx_str_t  text;

    text.len = ngx_strlen(kind) + name->len;
    text.data = ngx_pnalloc(cf->pool, text.len);

    if (text.data == NULL) {
        return NULL;
    }

    (void) ngx_sprintf(text.data, "%s%V", kind, name);

    return ngx_metrics_add(cf, metrics, &text, n);
}


ngx_int_t
ngx_http_optcache_count_watch(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_optcache_count_cleanup;
    cln->data = ctx;

    return NGX_OK;
}


void
ngx_http_optcache_count_again(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_optcache_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_optcache_count_cleanup) {
            ctx = cln->data;

            if (ctx->request == r) {
                ctx->counted = 1;
            }
        }
    }
}


void
ngx_http_optcache_count_left(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_optcache_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_optcache_count_cleanup) {
            ctx = cln->data;

            if (ctx->request == r) {
                ngx_http_optcache_count(ctx);
            }
        }
    }
}


ngx_http_optcache_ctx_t *
ngx_http_optcache_count_before(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_optcache_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_optcache_count_cleanup) {
            ctx = cln->data;

            if (ctx->request == r) {
                return ctx;
            }
        }
    }

    return NULL;
}


ngx_often void
ngx_http_optcache_count(ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t  i;

    if (ctx->counted || ctx->background) {
        return;
    }

    switch (ctx->status) {

    case NGX_HTTP_OPTCACHE_HIT:
    case NGX_HTTP_OPTCACHE_STALE:
    case NGX_HTTP_OPTCACHE_UPDATING:
    case NGX_HTTP_OPTCACHE_REVALIDATED:
        ngx_http_optcache_count_hit(ctx);
        return;

    case NGX_HTTP_OPTCACHE_BYPASS:
        i = ngx_http_optcache_count_bypass(ctx);
        break;

    default:
        i = ngx_http_optcache_count_miss(ctx);
        break;
    }

    ctx->counted = 1;

    ngx_metrics_count(ctx->zone->requests, i);
}


static ngx_uint_t
ngx_http_optcache_count_bypass(ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->asked && ctx->asked->no_cache) {
        return NGX_HTTP_OPTCACHE_BYPASS_REQUEST;
    }

    return ctx->bypass ? ctx->bypass : NGX_HTTP_OPTCACHE_BYPASS_CONFIGURED;
}


static ngx_uint_t
ngx_http_optcache_count_miss(ngx_http_optcache_ctx_t *ctx)
{
    if (!ctx->decided) {
        return NGX_HTTP_OPTCACHE_LEFT;
    }

    if (ctx->status == NGX_HTTP_OPTCACHE_EXPIRED) {
        return ctx->refused ? NGX_HTTP_OPTCACHE_MISS_REQUEST
                            : NGX_HTTP_OPTCACHE_MISS_EXPIRED;
    }

    if (ctx->miss) {
        return ctx->miss;
    }

    return ctx->varied ? NGX_HTTP_OPTCACHE_MISS_VARY
                       : NGX_HTTP_OPTCACHE_MISS_ABSENT;
}


void
ngx_http_optcache_count_refused(ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->fetched && ctx->refusal) {
        ngx_metrics_count(ctx->zone->answers, ctx->refusal);
    }
}


/* The answer of an upstream may have begun, and has not come to its end. */

static void
ngx_http_optcache_count_cleanup(void *data)
{
    ngx_http_optcache_ctx_t *ctx = data;

    ngx_http_optcache_count(ctx);

    if (ctx->capture) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE;
        ngx_http_optcache_count_refused(ctx);
    }
}
