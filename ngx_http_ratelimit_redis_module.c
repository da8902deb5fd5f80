
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Limits and revoked tokens, in the access phase: one question to Redis, or
 * to shared memory, for each request.  This file has the directives and the
 * hooks; src/limiter and src/token have the work.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_ratelimit_redis_advice.h"
#include "ngx_http_ratelimit_redis_api.h"
#include "ngx_limiter_headers.h"
#include "ngx_redis_memory.h"


static ngx_int_t ngx_http_ratelimit_redis_access_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_ratelimit_redis_precontent_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_ratelimit_redis_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ratelimit_redis_header_filter(
    ngx_http_request_t *r);

static ngx_int_t ngx_http_ratelimit_redis_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ratelimit_redis_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_ratelimit_redis_init_process(ngx_cycle_t *cycle);
static void ngx_http_ratelimit_redis_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_ratelimit_redis_headers[] = {
    { ngx_string("off"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_OFF },
    { ngx_string("x"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_X },
    { ngx_string("ietf"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF },
    { ngx_string("all"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_X
                         |NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_ratelimit_redis_on_error[] = {
    { ngx_string("local"), NGX_LIMITER_ON_ERROR_LOCAL },
    { ngx_string("allow"), NGX_LIMITER_ON_ERROR_ALLOW },
    { ngx_string("deny"), NGX_LIMITER_ON_ERROR_DENY },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_ratelimit_redis_log_levels[] = {
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_ratelimit_redis_token_on_error[] = {
    { ngx_string("deny"), 1 },
    { ngx_string("allow"), 0 },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_ratelimit_redis_commands[] = {

    { ngx_string("ratelimit_redis_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_ratelimit_redis_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ratelimit_redis_server"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ratelimit_redis_conf_server,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ratelimit_redis_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_main_conf_t, prefix),
      NULL },

    { ngx_string("ratelimit_redis"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ratelimit_redis_conf_rule,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ratelimit_redis_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ratelimit_redis_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, headers),
      &ngx_http_ratelimit_redis_headers },

    { ngx_string("ratelimit_redis_on_error"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, on_error),
      &ngx_http_ratelimit_redis_on_error },

    { ngx_string("ratelimit_redis_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, dry_run),
      NULL },

    { ngx_string("ratelimit_redis_log_level"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, log_level),
      &ngx_http_ratelimit_redis_log_levels },

    { ngx_string("ratelimit_redis_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_ratelimit_redis_api_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, api),
      NULL },

    { ngx_string("token_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_size,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_source"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_source,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_source),
      NULL },

    { ngx_string("token_required"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_ratelimit_redis_token_conf_required,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_required),
      NULL },

    { ngx_string("token_blacklist"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_ratelimit_redis_token_conf_blacklist,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_blacklist),
      NULL },

    { ngx_string("token_blacklist_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_blacklist_since_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_since,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_since),
      NULL },

    { ngx_string("token_jwt_keys"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_jwt_conf_keys,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_jwt),
      NULL },

    { ngx_string("token_jwt_algorithms"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ratelimit_redis_token_jwt_conf_algorithms,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_jwt_require"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ratelimit_redis_token_jwt_conf_require,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_jwt_leeway"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_jwt_conf_leeway,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_blacklist_on_error"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_deny),
      &ngx_http_ratelimit_redis_token_on_error },

    { ngx_string("token_blacklist_postgres"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ratelimit_redis_token_postgres_conf,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_revoke"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ratelimit_redis_token_conf_revoke,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_revoke),
      NULL },

    { ngx_string("token_revoke_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_ttl,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ratelimit_redis_module_ctx = {
    ngx_http_ratelimit_redis_vars_add,    /* preconfiguration */
    ngx_http_ratelimit_redis_init,             /* postconfiguration */

    ngx_http_ratelimit_redis_conf_create_main, /* create main configuration */
    ngx_http_ratelimit_redis_conf_init_main,   /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ratelimit_redis_conf_create_loc,  /* create location conf */
    ngx_http_ratelimit_redis_conf_merge_loc    /* merge location conf */
};


ngx_module_t  ngx_http_ratelimit_redis_module = {
    NGX_MODULE_V1,
    &ngx_http_ratelimit_redis_module_ctx,  /* module context */
    ngx_http_ratelimit_redis_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_ratelimit_redis_init_module,  /* init module */
    ngx_http_ratelimit_redis_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ratelimit_redis_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;

/* of this worker, and of nobody else: set when the process starts */

static ngx_limiter_redis_t  ngx_http_ratelimit_redis_shared;


static ngx_int_t
ngx_http_ratelimit_redis_access_handler(ngx_http_request_t *r)
{
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    if (r->post_action) {

        /* the client's request has ended, and its upstream is still there */

        (void) ngx_http_ratelimit_redis_log_handler(r);

        return NGX_DECLINED;
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if ((rlcf->stages & NGX_HTTP_RATELIMIT_REDIS_ACCESS) == 0
        && !rlcf->token_blacklist
        && !rlcf->token_required
        && !rlcf->token_jwt)
    {
        return NGX_DECLINED;
    }

    return ngx_http_ratelimit_redis_round(r, rlcf,
                                          NGX_HTTP_RATELIMIT_REDIS_ACCESS);
}


/* Subrequests come here too, without an access phase: they are not counted. */

static ngx_int_t
ngx_http_ratelimit_redis_precontent_handler(ngx_http_request_t *r)
{
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if ((rlcf->stages & NGX_HTTP_RATELIMIT_REDIS_PRECONTENT) == 0
        || r != r->main)
    {
        return NGX_DECLINED;
    }

    return ngx_http_ratelimit_redis_round(r, rlcf,
                                      NGX_HTTP_RATELIMIT_REDIS_PRECONTENT);
}


/* What a request cost is known now; it comes here however it ended. */

static ngx_int_t
ngx_http_ratelimit_redis_log_handler(ngx_http_request_t *r)
{
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx) {
        ngx_http_ratelimit_redis_policy_charge(r, ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_header_filter(ngx_http_request_t *r)
{
    uint64_t                         now;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    now = (ngx_current_msec == ctx->msec) ? ctx->now : ngx_limiter_local_now();

    if ((ctx->headers & NGX_HTTP_RATELIMIT_REDIS_HEADERS_X)
        && ctx->shown.zone
        && ngx_limiter_headers_x(r, &ctx->shown, now) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if ((ctx->headers & NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF)
        && ctx->policies
        && ngx_limiter_headers_ietf(r, &ctx->shown, ctx->policies->elts,
                                    ctx->policies->nelts, now)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if ((ctx->retry || ctx->refused)
        && ngx_limiter_headers_retry(r, ctx->retry, now) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


ngx_redis_client_t *
ngx_http_ratelimit_redis_client(void)
{
    return ngx_http_ratelimit_redis_shared.client;
}


ngx_limiter_redis_t *
ngx_http_ratelimit_redis_worker(void)
{
    return &ngx_http_ratelimit_redis_shared;
}


static ngx_int_t
ngx_http_ratelimit_redis_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                   *h;
    ngx_http_core_loc_conf_t              *clcf;
    ngx_http_core_main_conf_t             *cmcf;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (rmcf->redis
        && clcf->resolver
        && clcf->resolver->connections.nelts)
    {
        ngx_redis_conf_resolver(rmcf->redis, clcf->resolver,
              (clcf->resolver_timeout == NGX_CONF_UNSET_MSEC)
                  ? 30000 : clcf->resolver_timeout);
    }

    ngx_http_ratelimit_redis_advice(cf, rmcf);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ratelimit_redis_access_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ratelimit_redis_precontent_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ratelimit_redis_log_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ratelimit_redis_header_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_init_module(ngx_cycle_t *cycle)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_ratelimit_redis_module);
    if (rmcf) {
        ngx_http_ratelimit_redis_advice_summary(cycle, rmcf);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                              i;
    ngx_limiter_zone_t                    **zones;
    ngx_limiter_redis_t                    *shared;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_ratelimit_redis_module);
    if (rmcf == NULL) {
        return NGX_OK;
    }

    ngx_http_captures_init_process(cycle);

    zones = rmcf->zones.elts;

    for (i = 0; i < rmcf->zones.nelts; i++) {
        ngx_limiter_local_enter(zones[i]);
    }

    shared = &ngx_http_ratelimit_redis_shared;

    ngx_memzero(shared, sizeof(ngx_limiter_redis_t));

    shared->scripts = &rmcf->scripts;
    shared->prefix = rmcf->prefix;
    shared->log = cycle->log;

    ngx_http_ratelimit_redis_metrics_start(&rmcf->metrics, cycle->log);

    if (rmcf->redis == NULL) {
        return NGX_OK;
    }

    shared->client = ngx_redis_client_create(cycle, rmcf->redis);

    if (shared->client == NULL
        || ngx_redis_memory_watch(cycle, shared->client, rmcf->redis,
                                  NGX_REDIS_MEMORY_KEEP)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_redis_client_metrics(shared->client, rmcf->metrics.redis);
    ngx_http_ratelimit_redis_health_start(rmcf, shared);

    if (ngx_http_ratelimit_redis_token_init_process(cycle, rmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_ratelimit_redis_fleet_start(cycle, rmcf, shared);
}


static void
ngx_http_ratelimit_redis_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    ngx_http_ratelimit_redis_token_exit_process();
    ngx_http_ratelimit_redis_fleet_stop(&ngx_http_ratelimit_redis_shared);

    if (ngx_http_ratelimit_redis_shared.client) {
        ngx_redis_client_close(ngx_http_ratelimit_redis_shared.client);
        ngx_http_ratelimit_redis_shared.client = NULL;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_ratelimit_redis_module);

    if (rmcf) {
        ngx_http_ratelimit_redis_metrics_stop(&rmcf->metrics);
    }
}
