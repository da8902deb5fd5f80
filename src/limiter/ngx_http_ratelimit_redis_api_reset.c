
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Forgetting one subject.  It is done to its end even if the client leaves:
 * Redis would have forgotten, and the other hosts never hear of it.  So what
 * is needed for it is not the request's.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_problem.h"
#include "ngx_http_ratelimit_redis_api.h"
#include "ngx_http_wait.h"
#include "ngx_limiter_reset.h"


typedef struct {
    ngx_pool_t               *pool;      /* this is in */
    ngx_http_request_t       *request;   /* NULL: nobody waits any more */
    ngx_pool_cleanup_t       *cleanup;   /* of the request */
    ngx_limiter_item_t        item;
    ngx_limiter_reset_t       reset;
} ngx_http_ratelimit_redis_api_reset_t;


static ngx_http_ratelimit_redis_api_reset_t *
    ngx_http_ratelimit_redis_api_reset_create(
    ngx_http_ratelimit_redis_zone_t *rz, ngx_str_t *key);
static ngx_int_t ngx_http_ratelimit_redis_api_reset_wait(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_reset_t *ctx);
static void ngx_http_ratelimit_redis_api_reset_cleanup(void *data);
static void ngx_http_ratelimit_redis_api_reset_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_api_reset_done(ngx_http_request_t *r,
    ngx_limiter_zone_t *zone, ngx_int_t rc);


ngx_int_t
ngx_http_ratelimit_redis_api_reset(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_int_t                              rc;
    ngx_http_ratelimit_redis_zone_t       *rz;
    ngx_http_ratelimit_redis_api_reset_t  *ctx;

    rc = ngx_http_ratelimit_redis_api_named(r, path, &rz);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_ratelimit_redis_api_reset_create(rz, &path->tail);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_limiter_reset(&ctx->reset);

    if (rc == NGX_AGAIN) {
        return ngx_http_ratelimit_redis_api_reset_wait(r, ctx);
    }

    ngx_destroy_pool(ctx->pool);

    return ngx_http_ratelimit_redis_api_reset_done(r, &rz->zone, rc);
}


static ngx_http_ratelimit_redis_api_reset_t *
ngx_http_ratelimit_redis_api_reset_create(ngx_http_ratelimit_redis_zone_t *rz,
    ngx_str_t *key)
{
    ngx_str_t                              copy;
    ngx_pool_t                            *pool;
    ngx_http_ratelimit_redis_api_reset_t  *ctx;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    ctx = ngx_pcalloc(pool, sizeof(ngx_http_ratelimit_redis_api_reset_t));
    copy.len = key->len;
    copy.data = ngx_pstrdup(pool, key);

    if (ctx == NULL
        || copy.data == NULL
        || ngx_limiter_subject_init(&ctx->item.subject, &copy, pool) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ctx->pool = pool;
    ctx->item.zone = &rz->zone;
    ctx->item.policy = &rz->zone.policy;

    ctx->reset.redis = ngx_http_ratelimit_redis_worker();
    ctx->reset.item = &ctx->item;
    ctx->reset.pool = pool;
    ctx->reset.handler = ngx_http_ratelimit_redis_api_reset_handler;
    ctx->reset.data = ctx;

    return ctx;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_reset_wait(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_reset_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_ratelimit_redis_api_reset_cleanup;
    cln->data = ctx;

    ctx->request = r;
    ctx->cleanup = cln;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_ratelimit_redis_api_reset_cleanup(void *data)
{
    ngx_http_ratelimit_redis_api_reset_t *ctx = data;

    ctx->request = NULL;
}


static void
ngx_http_ratelimit_redis_api_reset_handler(void *data)
{
    ngx_http_ratelimit_redis_api_reset_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_limiter_zone_t  *zone;
    ngx_http_request_t  *r;

    r = ctx->request;
    rc = ctx->reset.rc;
    zone = ctx->item.zone;

    if (r) {
        ctx->cleanup->handler = NULL;
    }

    ngx_destroy_pool(ctx->pool);

    if (r == NULL) {
        return;
    }

    c = r->connection;

    switch (ngx_http_wait_end(r)) {

    case NGX_DECLINED:
        return;

    case NGX_OK:
        rc = ngx_http_ratelimit_redis_api_reset_done(r, zone, rc);
        break;

    default: /* NGX_ERROR */
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ratelimit_redis_api_reset_done(ngx_http_request_t *r,
    ngx_limiter_zone_t *zone, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "a subject of zone \"%V\" was reset", &zone->name);

        return NGX_HTTP_NO_CONTENT;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "redis has not taken it, a subject of zone \"%V\" was "
                  "reset on this host only", &zone->name);

    return ngx_http_api_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                "Service Unavailable",
                                "Redis has not taken it: this host has "
                                "forgotten the subject, Redis and the other "
                                "hosts may not have");
}
