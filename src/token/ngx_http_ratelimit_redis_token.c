
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The token of a request: read, verified, looked up among the revoked ones,
 * revoked.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_compat.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_seldom.h"
#include "ngx_http_wait.h"


static ngx_token_revocation_t *ngx_http_ratelimit_redis_token_revocation(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_uint_t revoke);
static ngx_int_t ngx_http_ratelimit_redis_token_since(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf,
    ngx_token_revocation_t *revocation);
static ngx_http_token_status_e ngx_http_ratelimit_redis_token_outcome(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_token_challenge(
    ngx_http_request_t *r, ngx_uint_t invalid);
static ngx_int_t ngx_http_ratelimit_redis_token_allow(ngx_http_request_t *r);
static void ngx_http_ratelimit_redis_token_revoke_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_token_revoked(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx);


/* of this worker */

static ngx_token_watch_t  *ngx_http_ratelimit_redis_token_watcher;

/* when these were told as errors: anybody makes them happen */

static time_t  ngx_http_ratelimit_redis_token_keyless;
static time_t  ngx_http_ratelimit_redis_token_here_only;


ngx_int_t
ngx_http_ratelimit_redis_token_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_token_revocation_pt handler)
{
    ngx_int_t                             rc;
    ngx_token_revocation_t               *revocation;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ctx->conf;

    if (ctx->token_failed) {
        return NGX_ERROR;
    }

    if (!rlcf->token_required && !rlcf->token_blacklist && !rlcf->token_jwt) {
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a subrequest may read it otherwise while the request waits */

    ctx->token_status = ctx->token.status;
    ctx->token_verdict = ctx->token.verdict;
    ctx->asked = 0;
    ctx->token_hurried = 0;

    if (ctx->token_status != NGX_HTTP_TOKEN_OK || !rlcf->token_blacklist) {
        return NGX_OK;
    }

    revocation = ngx_http_ratelimit_redis_token_revocation(r, ctx, rlcf, 0);

    if (revocation == NULL
        || ngx_http_ratelimit_redis_token_since(r, ctx, rlcf, revocation)
           != NGX_OK
        || ctx->token_failed)
    {
        return NGX_ERROR;
    }

    if (ctx->revocation
        && ngx_token_revocation_answers(ctx->revocation, revocation))
    {
        return NGX_OK;
    }

    revocation->handler = handler;
    revocation->data = ctx;

    rc = ngx_token_revocation_ask(revocation);

    ctx->revocation = revocation;
    ctx->asked = (rc == NGX_AGAIN);

    if (rc == NGX_AGAIN && r->filter_finalize) {

        /* nginx gives a page that a filter asks for no time to wait */

        ngx_token_revocation_abandon(revocation);
        revocation->result = NGX_TOKEN_REVOCATION_UNAVAILABLE;
        ctx->asked = 0;
        ctx->token_hurried = 1;

        return NGX_OK;
    }

    return rc;
}


ngx_int_t
ngx_http_ratelimit_redis_token_again(ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_token_revocation_pt handler)
{
    ngx_int_t                rc;
    ngx_token_revocation_t  *revocation;

    revocation = ctx->revocation;

    if (ctx->token_status != NGX_HTTP_TOKEN_OK
        || !ctx->conf->token_blacklist
        || revocation == NULL
        || revocation->result != NGX_TOKEN_REVOCATION_CLEAR)
    {
        return NGX_OK;
    }

    revocation->handler = handler;
    revocation->data = ctx;

    rc = ngx_token_revocation_ask(revocation);

    if (rc == NGX_AGAIN) {
        ctx->asked = 1;
    }

    return rc;
}


ngx_uint_t
ngx_http_ratelimit_redis_token_changed(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    return ctx->revocation
           && ngx_http_ratelimit_redis_token_outcome(ctx) != ctx->token_status;
}


/* A question or a revocation, with the keys of the token; NULL: no memory. */

static ngx_token_revocation_t *
ngx_http_ratelimit_redis_token_revocation(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_uint_t revoke)
{
    ngx_token_revocation_t  *revocation;

    revocation = ngx_pcalloc(r->pool, sizeof(ngx_token_revocation_t));
    if (revocation == NULL) {
        return NULL;
    }

    ngx_http_ratelimit_redis_token_revocation_init(r, revocation, r->pool,
                                                   r->connection->log);
    revocation->ttl = rlcf->token_revoke_ttl;

    if (ngx_http_ratelimit_redis_token_keys(r, ctx, rlcf, revocation, revoke)
        != NGX_OK
        || ctx->token_failed)
    {
        return NULL;
    }

    return revocation;
}


void
ngx_http_ratelimit_redis_token_revocation_init(ngx_http_request_t *r,
    ngx_token_revocation_t *revocation, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    revocation->zone = &rmcf->token_zone;
    revocation->client = ngx_http_ratelimit_redis_client();
    revocation->watch = ngx_http_ratelimit_redis_token_watcher;
    revocation->postgres = ngx_http_ratelimit_redis_token_postgres();
    revocation->refusal = &ngx_http_ratelimit_redis_worker()->tokens;
    revocation->revoking = &ngx_http_ratelimit_redis_worker()->revoking;
    revocation->pool = pool;
    revocation->log = log;
}


/* the key that holds a time, for a token that tells when it was issued */

static ngx_int_t
ngx_http_ratelimit_redis_token_since(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf,
    ngx_token_revocation_t *revocation)
{
    ngx_str_t            key;
    ngx_token_claims_t  *claims;

    if (rlcf->token_since == NULL || ctx->token.judge == NULL) {
        return NGX_OK;
    }

    claims = ngx_http_ratelimit_redis_token_claims(r, &ctx->token);

    if (claims == NULL
        || ngx_http_captures_value(r, rlcf->token_since, &key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_OK;
    }

    revocation->keys[revocation->nkeys++] = key;
    revocation->since = 1;
    revocation->issued = claims->has_iat ? claims->iat : 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_ratelimit_redis_token_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (!ctx->conf->token_required
        && !ctx->conf->token_blacklist
        && !ctx->conf->token_jwt)
    {
        return NGX_DECLINED;
    }

    ctx->token_status = ngx_http_ratelimit_redis_token_outcome(ctx);

    ngx_http_ratelimit_redis_metrics_token(r, ctx);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "ratelimit redis token status:%d verdict:%d",
                   ctx->token_status, ctx->token_verdict);

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    switch (ctx->token_status) {

    case NGX_HTTP_TOKEN_NONE:

        if (!ctx->conf->token_required) {
            return NGX_DECLINED;
        }

        break;

    case NGX_HTTP_TOKEN_MALFORMED:
    case NGX_HTTP_TOKEN_INVALID:
    case NGX_HTTP_TOKEN_REVOKED:
        break;

    case NGX_HTTP_TOKEN_UNAVAILABLE:

        /* who sends an If-Match would be let in though Redis answers */

        if (!ctx->conf->token_deny && !ctx->token_hurried) {
            return NGX_DECLINED;
        }

        ngx_http_ratelimit_redis_soon(ctx);
        *body = rmcf->unavailable;

        return NGX_HTTP_SERVICE_UNAVAILABLE;

    default: /* NGX_HTTP_TOKEN_OK */
        return NGX_DECLINED;
    }

    *body = rmcf->unauthorized;

    return ngx_http_ratelimit_redis_token_challenge(r,
                                    ctx->token_status != NGX_HTTP_TOKEN_NONE);
}


static ngx_http_token_status_e
ngx_http_ratelimit_redis_token_outcome(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    if (ctx->token_status != NGX_HTTP_TOKEN_OK
        || !ctx->conf->token_blacklist)
    {
        return ctx->token_status;
    }

    switch (ctx->revocation->result) {

    case NGX_TOKEN_REVOCATION_REVOKED:
        return NGX_HTTP_TOKEN_REVOKED;

    case NGX_TOKEN_REVOCATION_UNAVAILABLE:
        return NGX_HTTP_TOKEN_UNAVAILABLE;

    default: /* NGX_TOKEN_REVOCATION_CLEAR */
        return ctx->token_status;
    }
}


/*
 * RFC 6750, 3.1: a request that has no token at all is told no error.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_challenge(ngx_http_request_t *r,
    ngx_uint_t invalid)
{
    ngx_str_t         name, value;
    ngx_table_elt_t  *h;

    ngx_str_set(&name, "WWW-Authenticate");

    if (invalid) {
        ngx_str_set(&value, "Bearer error=\"invalid_token\"");

    } else {
        ngx_str_set(&value, "Bearer");
    }

    h = ngx_http_compat_push_header(r, &name, &value);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.www_authenticate = h;

    return NGX_HTTP_UNAUTHORIZED;
}


ngx_int_t
ngx_http_ratelimit_redis_token_revoke(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_uint_t                             level;
    ngx_token_revocation_t                *revocation;
    ngx_http_ratelimit_redis_ctx_t        *ctx;
    ngx_http_ratelimit_redis_loc_conf_t   *rlcf;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    /* a subrequest is made by a configuration, not by whom the token is of */

    if (r->method != NGX_HTTP_POST || r != r->main) {
        return ngx_http_ratelimit_redis_token_allow(r);
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);

    if (ctx == NULL
        || ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->token_status = ctx->token.status;
    ctx->token_verdict = ctx->token.verdict;

    if (ctx->token.status != NGX_HTTP_TOKEN_OK) {
        rc = ngx_http_ratelimit_redis_token_challenge(r,
                                    ctx->token.status != NGX_HTTP_TOKEN_NONE);
        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_api_problem_send(r, rc, &rmcf->unauthorized);
    }

    revocation = ngx_http_ratelimit_redis_token_revocation(r, ctx, rlcf, 1);

    if (revocation == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (revocation->nkeys == 0) {
        level = ngx_http_seldom(&ngx_http_ratelimit_redis_token_keyless, 1,
                                NGX_LOG_ERR);

        ngx_log_error(level, r->connection->log, 0,
                      "the token cannot be revoked, no "
                      "\"token_blacklist_key\" has a value");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    revocation->handler = ngx_http_ratelimit_redis_token_revoke_handler;
    revocation->data = ctx;

    rc = ngx_token_revocation_revoke(revocation);

    ctx->revocation = revocation;

    if (rc != NGX_AGAIN) {
        return ngx_http_ratelimit_redis_token_revoked(r, ctx);
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        ngx_token_revocation_abandon(revocation);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_allow(ngx_http_request_t *r)
{
    ngx_str_t                              name, value;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    ngx_str_set(&name, "Allow");
    ngx_str_set(&value, "POST");

    if (ngx_http_compat_push_header(r, &name, &value) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_problem_send(r, NGX_HTTP_NOT_ALLOWED,
                                     &rmcf->not_allowed);
}


static void
ngx_http_ratelimit_redis_token_revoke_handler(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    rc = (rc == NGX_OK) ? ngx_http_ratelimit_redis_token_revoked(r, ctx)
                        : NGX_HTTP_INTERNAL_SERVER_ERROR;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ratelimit_redis_token_revoked(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t                             level;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    ctx->token_status = NGX_HTTP_TOKEN_REVOKED;

    if (ctx->revocation->result == NGX_TOKEN_REVOCATION_CLEAR) {
        return NGX_HTTP_NO_CONTENT;
    }

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    level = ngx_http_seldom(&ngx_http_ratelimit_redis_token_here_only, 1,
                            NGX_LOG_ERR);

    ngx_log_error(level, r->connection->log, 0,
                  "redis has not taken it, the token is revoked on this host "
                  "only");

    ngx_http_ratelimit_redis_soon(ctx);

    return ngx_http_api_problem_send(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     &rmcf->unavailable);
}


ngx_int_t
ngx_http_ratelimit_redis_token_init_process(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_token_watch_t  *watch;

    ngx_http_ratelimit_redis_token_watcher = NULL;

    if (ngx_http_ratelimit_redis_token_postgres_start(cycle, rmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rmcf->token_watch == NULL) {
        return NGX_OK;
    }

    watch = ngx_token_watch_create(cycle,
                         (ngx_slab_pool_t *) rmcf->token_watch->shm.addr,
                         rmcf->token_zone.shpool, rmcf->token_zone.kept,
                         rmcf->token_zone.table, rmcf->redis,
                         rmcf->token_prefixes.elts,
                         rmcf->token_prefixes.nelts);
    if (watch == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ratelimit_redis_token_watcher = watch;

    return NGX_OK;
}


void
ngx_http_ratelimit_redis_token_exit_process(void)
{
    ngx_http_ratelimit_redis_token_postgres_stop();

    if (ngx_http_ratelimit_redis_token_watcher) {
        ngx_token_watch_close(ngx_http_ratelimit_redis_token_watcher);
        ngx_http_ratelimit_redis_token_watcher = NULL;
    }
}
