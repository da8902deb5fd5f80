
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Revoking by the API.  It is done to its end even if the client leaves, so
 * what is needed for it is not the request's.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_body.h"
#include "ngx_http_api_problem.h"
#include "ngx_http_ratelimit_redis_api.h"
#include "ngx_http_ratelimit_redis_api_revocation.h"
#include "ngx_http_wait.h"


typedef struct {
    ngx_pool_t               *pool;      /* this is in */
    ngx_http_request_t       *request;   /* NULL: nobody waits any more */
    ngx_pool_cleanup_t       *cleanup;   /* of the request */
    ngx_token_revocation_t    revocation;
    ngx_str_t                 keys[NGX_HTTP_RATELIMIT_REDIS_API_KEYS];

    ngx_http_ratelimit_redis_api_revocation_t  wanted;
} ngx_http_ratelimit_redis_api_revoke_t;


static void ngx_http_ratelimit_redis_api_revoke_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_ratelimit_redis_api_revoke_start(
    ngx_http_request_t *r, ngx_str_t *body);
static ngx_http_ratelimit_redis_api_revoke_t *
    ngx_http_ratelimit_redis_api_revoke_create(ngx_http_request_t *r);
static ngx_int_t ngx_http_ratelimit_redis_api_revoke_refuse(
    ngx_http_request_t *r, ngx_int_t rc, const char *detail);
static ngx_int_t ngx_http_ratelimit_redis_api_revoke_wait(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_api_revoke_t *ctx);
static void ngx_http_ratelimit_redis_api_revoke_cleanup(void *data);
static void ngx_http_ratelimit_redis_api_revoke_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_api_revoke_done(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_api_revocation_e kind,
    ngx_token_revocation_e result);


ngx_int_t
ngx_http_ratelimit_redis_api_revoke(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    return ngx_http_api_body_read(r, ngx_http_ratelimit_redis_api_revoke_body);
}


static void
ngx_http_ratelimit_redis_api_revoke_body(ngx_http_request_t *r,
    ngx_str_t *body)
{
    ngx_int_t  rc;

    rc = ngx_http_ratelimit_redis_api_revoke_start(r, body);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_AGAIN, or what the request is to be finalized with */

static ngx_int_t
ngx_http_ratelimit_redis_api_revoke_start(ngx_http_request_t *r,
    ngx_str_t *body)
{
    ngx_int_t                                   rc;
    const char                                 *detail;
    ngx_token_revocation_e                      result;
    ngx_http_ratelimit_redis_api_revoke_t      *ctx;
    ngx_http_ratelimit_redis_main_conf_t       *rmcf;
    ngx_http_ratelimit_redis_api_revocation_e   kind;

    ctx = ngx_http_ratelimit_redis_api_revoke_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    ctx->wanted.leeway = rmcf->token_leeway;

    rc = ngx_http_ratelimit_redis_api_revocation_parse(&ctx->wanted, ctx->pool,
                                                       body);

    if (rc == NGX_OK) {
        rc = ngx_http_ratelimit_redis_api_revocation_keys(r, &ctx->wanted,
                                                          &ctx->revocation);
    }

    if (rc != NGX_OK) {
        detail = ctx->wanted.detail;
        ngx_destroy_pool(ctx->pool);

        return ngx_http_ratelimit_redis_api_revoke_refuse(r, rc, detail);
    }

    rc = ngx_token_revocation_revoke(&ctx->revocation);

    if (rc == NGX_AGAIN) {
        return ngx_http_ratelimit_redis_api_revoke_wait(r, ctx);
    }

    kind = ctx->wanted.kind;
    result = ctx->revocation.result;
    ngx_destroy_pool(ctx->pool);

    return ngx_http_ratelimit_redis_api_revoke_done(r, kind, result);
}


static ngx_http_ratelimit_redis_api_revoke_t *
ngx_http_ratelimit_redis_api_revoke_create(ngx_http_request_t *r)
{
    ngx_pool_t                             *pool;
    ngx_http_ratelimit_redis_api_revoke_t  *ctx;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    ctx = ngx_pcalloc(pool, sizeof(ngx_http_ratelimit_redis_api_revoke_t));
    if (ctx == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ctx->pool = pool;

    ngx_http_ratelimit_redis_token_revocation_init(r, &ctx->revocation, pool,
                                                   ngx_cycle->log);

    ctx->revocation.keys = ctx->keys;
    ctx->revocation.handler = ngx_http_ratelimit_redis_api_revoke_handler;
    ctx->revocation.data = ctx;

    return ctx;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revoke_refuse(ngx_http_request_t *r, ngx_int_t rc,
    const char *detail)
{
    switch (rc) {

    case NGX_HTTP_BAD_REQUEST:
        return ngx_http_api_problem(r, rc, "Bad Request", detail);

    case NGX_HTTP_RATELIMIT_REDIS_API_UNPROCESSABLE:
        return ngx_http_api_problem(r, rc, "Unprocessable Content", detail);

    default: /* NGX_HTTP_INTERNAL_SERVER_ERROR */
        return rc;
    }
}


/* The request is held by what read its body. */

static ngx_int_t
ngx_http_ratelimit_redis_api_revoke_wait(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_revoke_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_ratelimit_redis_api_revoke_cleanup;
    cln->data = ctx;

    ctx->request = r;
    ctx->cleanup = cln;

    return NGX_AGAIN;
}


static void
ngx_http_ratelimit_redis_api_revoke_cleanup(void *data)
{
    ngx_http_ratelimit_redis_api_revoke_t *ctx = data;

    ctx->request = NULL;
}


static void
ngx_http_ratelimit_redis_api_revoke_handler(void *data)
{
    ngx_http_ratelimit_redis_api_revoke_t *ctx = data;

    ngx_int_t                                   rc;
    ngx_connection_t                           *c;
    ngx_http_request_t                         *r;
    ngx_token_revocation_e                      result;
    ngx_http_ratelimit_redis_api_revocation_e   kind;

    r = ctx->request;
    kind = ctx->wanted.kind;
    result = ctx->revocation.result;

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
        rc = ngx_http_ratelimit_redis_api_revoke_done(r, kind, result);
        break;

    default: /* NGX_ERROR */
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revoke_done(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_revocation_e kind,
    ngx_token_revocation_e result)
{
    static const char  *kinds[] = { "token", "jti", "user", "subject" };

    if (result == NGX_TOKEN_REVOCATION_CLEAR) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "revoked by the api: a %s", kinds[kind]);

        return NGX_HTTP_NO_CONTENT;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "redis has not taken it, what was revoked by the api "
                  "(a %s) is revoked on this host only", kinds[kind]);

    return ngx_http_api_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                "Service Unavailable",
                                "Redis has not taken it: it is revoked on this "
                                "host, and may not be on others");
}
