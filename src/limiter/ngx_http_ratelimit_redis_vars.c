
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
static ngx_int_t ngx_http_ratelimit_redis_vars_addr(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
#if (NGX_HAVE_INET6)
static size_t ngx_http_ratelimit_redis_vars_addr6(struct sockaddr_in6 *sin6,
    u_char *p);
#endif


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

    { ngx_string("ratelimit_redis_addr"), NULL,
      ngx_http_ratelimit_redis_vars_addr,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_ratelimit_redis_vars_statuses[] = {
    ngx_null_string,
    ngx_string("PASSED"),
    ngx_string("LOCAL_PASSED"),
    ngx_string("SKIPPED"),
    ngx_string("DELAYED_DRY_RUN"),
    ngx_string("LOCAL_DELAYED_DRY_RUN"),
    ngx_string("DELAYED"),
    ngx_string("LOCAL_DELAYED"),
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

    return ngx_http_ratelimit_redis_token_vars_add(cf);
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

    if (ctx == NULL
        || ctx->noted.zone == NULL
        || (data == NGX_HTTP_RATELIMIT_REDIS_VAR_RESET
            && ctx->noted.end == NGX_LIMITER_NEVER))
    {
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


/*
 * Whom an address stands for.  An IPv6 host has a /64 to choose from (RFC 4291,
 * 2.5.1; RFC 6177), so that is who is limited; an IPv4 address in IPv6 is the
 * same host as without.  realip has changed r->connection->sockaddr by now.
 */

static ngx_int_t
ngx_http_ratelimit_redis_vars_addr(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_connection_t  *c;

    c = r->connection;

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

#if (NGX_HAVE_INET6)

    if (c->sockaddr->sa_family == AF_INET6) {

        v->data = ngx_pnalloc(r->pool, NGX_INET6_ADDRSTRLEN + 3);
        if (v->data == NULL) {
            return NGX_ERROR;
        }

        v->len = ngx_http_ratelimit_redis_vars_addr6(
                               (struct sockaddr_in6 *) c->sockaddr, v->data);
        return NGX_OK;
    }

#endif

    v->data = c->addr_text.data;
    v->len = c->addr_text.len;

    return NGX_OK;
}


#if (NGX_HAVE_INET6)

static size_t
ngx_http_ratelimit_redis_vars_addr6(struct sockaddr_in6 *sin6, u_char *p)
{
    size_t           len;
    struct in6_addr  net;

    if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
        return ngx_inet_ntop(AF_INET, &sin6->sin6_addr.s6_addr[12], p,
                             NGX_INET_ADDRSTRLEN);
    }

    net = sin6->sin6_addr;
    ngx_memzero(&net.s6_addr[8], 8);

    len = ngx_inet6_ntop(net.s6_addr, p, NGX_INET6_ADDRSTRLEN);

    ngx_memcpy(p + len, "/64", 3);

    return len + 3;
}

#endif
