
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


#define NGX_HTTP_RATELIMIT_REDIS_VAR_STATUS     0
#define NGX_HTTP_RATELIMIT_REDIS_VAR_ZONE       1
#define NGX_HTTP_RATELIMIT_REDIS_VAR_LIMIT      2
#define NGX_HTTP_RATELIMIT_REDIS_VAR_REMAINING  3
#define NGX_HTTP_RATELIMIT_REDIS_VAR_RESET      4


static ngx_int_t ngx_http_ratelimit_redis_vars_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_vars_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_ratelimit_redis_vars_list[] = {

    { ngx_string("ratelimit_redis_status"), NULL,
      ngx_http_ratelimit_redis_vars_text,
      NGX_HTTP_RATELIMIT_REDIS_VAR_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_zone"), NULL,
      ngx_http_ratelimit_redis_vars_text,
      NGX_HTTP_RATELIMIT_REDIS_VAR_ZONE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_limit"), NULL,
      ngx_http_ratelimit_redis_vars_number,
      NGX_HTTP_RATELIMIT_REDIS_VAR_LIMIT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_remaining"), NULL,
      ngx_http_ratelimit_redis_vars_number,
      NGX_HTTP_RATELIMIT_REDIS_VAR_REMAINING, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_reset"), NULL,
      ngx_http_ratelimit_redis_vars_number,
      NGX_HTTP_RATELIMIT_REDIS_VAR_RESET, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_digest"), NULL,
      ngx_http_ratelimit_redis_token_digest_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_status"), NULL,
      ngx_http_ratelimit_redis_token_status_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_ratelimit_redis_vars_statuses[] = {
    ngx_null_string,
    ngx_string("PASSED"),
    ngx_string("LOCAL_PASSED"),
    ngx_string("SKIPPED"),
    ngx_string("REJECTED_DRY_RUN"),
    ngx_string("LOCAL_REJECTED_DRY_RUN"),
    ngx_string("REJECTED"),
    ngx_string("LOCAL_REJECTED")
};


ngx_int_t
ngx_http_ratelimit_redis_vars_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ratelimit_redis_vars_list; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_vars_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                       *text;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL || ctx->status == NGX_HTTP_RATELIMIT_REDIS_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (data == NGX_HTTP_RATELIMIT_REDIS_VAR_STATUS) {
        text = &ngx_http_ratelimit_redis_vars_statuses[ctx->status];

    } else if (ctx->noted.zone) {
        text = &ctx->noted.zone->name;

    } else {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = text->data;
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_vars_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    uint64_t                         n;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL || ctx->noted.zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_RATELIMIT_REDIS_VAR_LIMIT:
        n = ctx->noted.limit;
        break;

    case NGX_HTTP_RATELIMIT_REDIS_VAR_REMAINING:
        n = ctx->noted.remaining;
        break;

    default: /* NGX_HTTP_RATELIMIT_REDIS_VAR_RESET */
        n = ngx_limiter_report_reset(&ctx->noted, ngx_limiter_local_now());
    }

    v->data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(v->data, "%uL", n) - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
