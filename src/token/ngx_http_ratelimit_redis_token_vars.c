
/*
 * Copyright (C) The Optcache authors
 */


/*
 * $token_...: found out when they are asked for, in any phase, as the location
 * of that moment says; empty unless the token was verified, but for the digest
 * and the status.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"


#define NGX_HTTP_TOKEN_VAR_SUB   0
#define NGX_HTTP_TOKEN_VAR_USER  1
#define NGX_HTTP_TOKEN_VAR_EXP   2


static ngx_int_t ngx_http_ratelimit_redis_token_vars_failed(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_lost(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_digest(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_elsewhere(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_status(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_said(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_claim(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_token(
    ngx_http_request_t *r, ngx_http_token_t **token);
static ngx_int_t ngx_http_ratelimit_redis_token_vars_claims(
    ngx_http_request_t *r, ngx_token_claims_t **claims);
static void ngx_http_ratelimit_redis_token_vars_set(
    ngx_http_variable_value_t *v, ngx_str_t *text);


static ngx_http_variable_t  ngx_http_ratelimit_redis_token_vars[] = {

    { ngx_string("token_digest"), NULL,
      ngx_http_ratelimit_redis_token_vars_digest,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_elsewhere"), NULL,
      ngx_http_ratelimit_redis_token_vars_elsewhere,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_status"), NULL,
      ngx_http_ratelimit_redis_token_vars_status,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_sub"), NULL,
      ngx_http_ratelimit_redis_token_vars_said,
      NGX_HTTP_TOKEN_VAR_SUB, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_user"), NULL,
      ngx_http_ratelimit_redis_token_vars_said,
      NGX_HTTP_TOKEN_VAR_USER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_exp"), NULL,
      ngx_http_ratelimit_redis_token_vars_said,
      NGX_HTTP_TOKEN_VAR_EXP, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_failed"), NULL,
      ngx_http_ratelimit_redis_token_vars_lost,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_claim_"), NULL,
      ngx_http_ratelimit_redis_token_vars_claim,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_ratelimit_redis_token_vars_statuses[] = {
    ngx_null_string,
    ngx_string("none"),
    ngx_string("malformed"),
    ngx_null_string,                   /* what its verdict is */
    ngx_string("ok"),
    ngx_string("revoked"),
    ngx_string("unavailable")
};


ngx_int_t
ngx_http_ratelimit_redis_token_vars_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    static ngx_str_t  failed = ngx_string("token_failed");

    for (v = ngx_http_ratelimit_redis_token_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    /* room in each request, see ngx_http_captures.h */

    return (ngx_http_get_variable_index(cf, &failed) == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}


/* the token as the location of now reads it */

static ngx_int_t
ngx_http_ratelimit_redis_token_vars_token(ngx_http_request_t *r,
    ngx_http_token_t **token)
{
    ngx_http_ratelimit_redis_ctx_t       *ctx;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);

    if (ctx == NULL
        || ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *token = &ctx->token;

    return NGX_OK;
}


/* What it says if it was verified, or NULL: no token is looked for then. */

static ngx_int_t
ngx_http_ratelimit_redis_token_vars_claims(ngx_http_request_t *r,
    ngx_token_claims_t **claims)
{
    ngx_http_token_t                     *token;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    *claims = NULL;

    if (rlcf->token_jwt == NULL) {
        /* nothing is verified here: $token_exp is asked for by each answer */
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_token_vars_token(r, &token) != NGX_OK) {
        return NGX_ERROR;
    }

    *claims = ngx_http_ratelimit_redis_token_claims(r, token);

    return NGX_OK;
}


/*
 * There was no memory.  nginx takes what cannot be told for empty, which is no
 * key of a list, no limit, and nobody: nothing goes on from here.  It would
 * remember it, too, unless told not to.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_vars_failed(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    v->no_cacheable = 1;

    /* there may be no memory for the context: it asks when it is made */

    ngx_http_captures_lose(r);

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);

    if (ctx) {
        ctx->token_failed = 1;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_vars_lost(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    static ngx_str_t  one = ngx_string("1");

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL || !ctx->token_failed) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_ratelimit_redis_token_vars_set(v, &one);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_vars_digest(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_token_t  *token;

    if (ngx_http_ratelimit_redis_token_vars_token(r, &token) != NGX_OK
        || ngx_http_ratelimit_redis_token_hex(r, token) != NGX_OK)
    {
        return ngx_http_ratelimit_redis_token_vars_failed(r, v);
    }

    ngx_http_ratelimit_redis_token_vars_set(v, &token->hex);

    return NGX_OK;
}


/*
 * What it says may be unknown, and is of one that is malformed to us: a backend
 * may take that.  It is no secret to a cache that Authorization has one.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_vars_elsewhere(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_token_t                     *token;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    static ngx_str_t  one = ngx_string("1");

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if (rlcf->token_source == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_token_vars_token(r, &token) != NGX_OK) {
        return ngx_http_ratelimit_redis_token_vars_failed(r, v);
    }

    if (token->status == NGX_HTTP_TOKEN_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_ratelimit_redis_token_vars_set(v, &one);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_vars_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                       *status;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    status = &ngx_http_ratelimit_redis_token_vars_statuses[ctx->token_status];

    if (ctx->token_status == NGX_HTTP_TOKEN_INVALID) {
        status = ngx_token_verdict_text(ctx->token_verdict);
    }

    ngx_http_ratelimit_redis_token_vars_set(v, status);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_vars_said(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char              *p;
    ngx_str_t            text;
    ngx_token_claims_t  *claims;

    if (ngx_http_ratelimit_redis_token_vars_claims(r, &claims) != NGX_OK) {
        return ngx_http_ratelimit_redis_token_vars_failed(r, v);
    }

    ngx_str_null(&text);

    if (claims == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_TOKEN_VAR_SUB:
        text = claims->sub;
        break;

    case NGX_HTTP_TOKEN_VAR_USER:

        if (ngx_token_claims_user(r->pool, claims, &text) != NGX_OK) {
            return ngx_http_ratelimit_redis_token_vars_failed(r, v);
        }

        break;

    default: /* NGX_HTTP_TOKEN_VAR_EXP */

        if (claims->has_exp) {

            p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
            if (p == NULL) {
                return ngx_http_ratelimit_redis_token_vars_failed(r, v);
            }

            text.data = p;
            text.len = ngx_sprintf(p, "%L", claims->exp) - p;
        }
    }

    ngx_http_ratelimit_redis_token_vars_set(v, &text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_vars_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  *name = (ngx_str_t *) data;

    ngx_str_t            rest, text;
    ngx_token_claims_t  *claims;

    if (ngx_http_ratelimit_redis_token_vars_claims(r, &claims) != NGX_OK) {
        return ngx_http_ratelimit_redis_token_vars_failed(r, v);
    }

    if (claims == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    rest.data = name->data + sizeof("token_claim_") - 1;
    rest.len = name->len - (sizeof("token_claim_") - 1);

    if (ngx_token_claims_variable(r->pool, claims, &rest, &text) != NGX_OK) {
        return ngx_http_ratelimit_redis_token_vars_failed(r, v);
    }

    ngx_http_ratelimit_redis_token_vars_set(v, &text);

    return NGX_OK;
}


static void
ngx_http_ratelimit_redis_token_vars_set(ngx_http_variable_value_t *v,
    ngx_str_t *text)
{
    if (text->len == 0) {
        v->not_found = 1;
        return;
    }

    v->data = text->data;
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}
