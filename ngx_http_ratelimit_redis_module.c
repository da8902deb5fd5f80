
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

#include "ngx_http_ratelimit_redis.h"
#include "ngx_limiter_headers.h"


static ngx_int_t ngx_http_ratelimit_redis_access_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_ratelimit_redis_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static void ngx_http_ratelimit_redis_answer_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_decide(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static void ngx_http_ratelimit_redis_cleanup(void *data);
static ngx_int_t ngx_http_ratelimit_redis_header_filter(
    ngx_http_request_t *r);

static ngx_int_t ngx_http_ratelimit_redis_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ratelimit_redis_number_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_ratelimit_redis_add_variables(ngx_conf_t *cf);
static void *ngx_http_ratelimit_redis_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_ratelimit_redis_init_main_conf(ngx_conf_t *cf,
    void *conf);
static ngx_int_t ngx_http_ratelimit_redis_init_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static void *ngx_http_ratelimit_redis_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_ratelimit_redis_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_ratelimit_redis_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ratelimit_redis_init_process(ngx_cycle_t *cycle);
static void ngx_http_ratelimit_redis_exit_process(ngx_cycle_t *cycle);


/* a word with the value NGX_CONF_UNSET_UINT is not supported yet */

static ngx_conf_enum_t  ngx_http_ratelimit_redis_headers[] = {
    { ngx_string("off"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_OFF },
    { ngx_string("x"), NGX_HTTP_RATELIMIT_REDIS_HEADERS_X },
    { ngx_string("ietf"), NGX_CONF_UNSET_UINT },
    { ngx_string("all"), NGX_CONF_UNSET_UINT },
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

    { ngx_string("token_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_token_conf_size,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("token_source"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_source),
      NULL },

    { ngx_string("token_required"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
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

    { ngx_string("token_blacklist_on_error"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ratelimit_redis_conf_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ratelimit_redis_loc_conf_t, token_deny),
      &ngx_http_ratelimit_redis_token_on_error },

    { ngx_string("token_revoke"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ratelimit_redis_token_conf_revoke,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
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
    ngx_http_ratelimit_redis_add_variables,    /* preconfiguration */
    ngx_http_ratelimit_redis_init,             /* postconfiguration */

    ngx_http_ratelimit_redis_create_main_conf, /* create main configuration */
    ngx_http_ratelimit_redis_init_main_conf,   /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ratelimit_redis_create_loc_conf,  /* create location conf */
    ngx_http_ratelimit_redis_merge_loc_conf    /* merge location conf */
};


ngx_module_t  ngx_http_ratelimit_redis_module = {
    NGX_MODULE_V1,
    &ngx_http_ratelimit_redis_module_ctx,  /* module context */
    ngx_http_ratelimit_redis_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_ratelimit_redis_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ratelimit_redis_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


#define NGX_HTTP_RATELIMIT_REDIS_VAR_STATUS     0
#define NGX_HTTP_RATELIMIT_REDIS_VAR_ZONE       1
#define NGX_HTTP_RATELIMIT_REDIS_VAR_LIMIT      2
#define NGX_HTTP_RATELIMIT_REDIS_VAR_REMAINING  3
#define NGX_HTTP_RATELIMIT_REDIS_VAR_RESET      4


static ngx_http_variable_t  ngx_http_ratelimit_redis_vars[] = {

    { ngx_string("ratelimit_redis_status"), NULL,
      ngx_http_ratelimit_redis_text_variable,
      NGX_HTTP_RATELIMIT_REDIS_VAR_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_zone"), NULL,
      ngx_http_ratelimit_redis_text_variable,
      NGX_HTTP_RATELIMIT_REDIS_VAR_ZONE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_limit"), NULL,
      ngx_http_ratelimit_redis_number_variable,
      NGX_HTTP_RATELIMIT_REDIS_VAR_LIMIT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_remaining"), NULL,
      ngx_http_ratelimit_redis_number_variable,
      NGX_HTTP_RATELIMIT_REDIS_VAR_REMAINING, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ratelimit_redis_reset"), NULL,
      ngx_http_ratelimit_redis_number_variable,
      NGX_HTTP_RATELIMIT_REDIS_VAR_RESET, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_digest"), NULL,
      ngx_http_ratelimit_redis_token_digest_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("token_status"), NULL,
      ngx_http_ratelimit_redis_token_status_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_str_t  ngx_http_ratelimit_redis_statuses[] = {
    ngx_null_string,
    ngx_string("PASSED"),
    ngx_string("LOCAL_PASSED"),
    ngx_string("SKIPPED"),
    ngx_string("REJECTED_DRY_RUN"),
    ngx_string("LOCAL_REJECTED_DRY_RUN"),
    ngx_string("REJECTED"),
    ngx_string("LOCAL_REJECTED")
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;

/* of this worker, and of nobody else: set when the process starts */

static ngx_limiter_redis_t  ngx_http_ratelimit_redis_shared;


static ngx_int_t
ngx_http_ratelimit_redis_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                             rc;
    ngx_http_ratelimit_redis_ctx_t       *ctx;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if (rlcf->rules->nelts == 0
        && !rlcf->token_blacklist
        && !rlcf->token_required)
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->state == NGX_HTTP_RATELIMIT_REDIS_IDLE) {
        ctx->conf = rlcf;

        rc = ngx_http_ratelimit_redis_start(r, ctx);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ctx->state == NGX_HTTP_RATELIMIT_REDIS_WAITING) {
        return NGX_AGAIN;
    }

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_IDLE;

    return ngx_http_ratelimit_redis_decide(r, ctx);
}


/*
 * All questions leave together.  A request that is refused by what is known
 * here asks none.
 */

static ngx_int_t
ngx_http_ratelimit_redis_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->pending = 0;

    rc = ngx_http_ratelimit_redis_limits_start(r, ctx,
                                     ngx_http_ratelimit_redis_answer_handler);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        ctx->pending++;
    }

    if (ctx->check.result == NGX_LIMITER_CHECK_PASSED) {

        rc = ngx_http_ratelimit_redis_token_start(r, ctx,
                                     ngx_http_ratelimit_redis_answer_handler);

        if (rc == NGX_ERROR) {
            ngx_http_ratelimit_redis_cleanup(ctx);
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            ctx->pending++;
        }
    }

    if (ctx->pending == 0) {
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_wait(r) != NGX_OK) {
        ngx_http_ratelimit_redis_cleanup(ctx);
        return NGX_ERROR;
    }

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_WAITING;

    return NGX_OK;
}


static void
ngx_http_ratelimit_redis_answer_handler(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (--ctx->pending) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_ANSWERED;

    if (ngx_http_ratelimit_redis_wake(r) == NGX_OK) {
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);

    } else {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Never NGX_OK, which would end the phase for whoever comes after, or grant
 * access under "satisfy any".  A refusal is sent here, not returned, since
 * "satisfy any" would take a 401 or 403 for one opinion among others.
 */

static ngx_int_t
ngx_http_ratelimit_redis_decide(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_ratelimit_redis_limits_verdict(r, ctx, &body);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_ratelimit_redis_token_verdict(r, ctx, &body);
    }

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, ngx_http_api_problem_send(r, rc, &body));

    return NGX_DONE;
}


ngx_http_ratelimit_redis_ctx_t *
ngx_http_ratelimit_redis_get_ctx(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ratelimit_redis_module);

    if (ctx) {
        return ctx;
    }

    if (r->internal || r->filter_finalize) {

        /* r->ctx was wiped by an internal redirect */

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_ratelimit_redis_cleanup) {
                ngx_http_set_ctx(r, cln->data,
                                 ngx_http_ratelimit_redis_module);
                return cln->data;
            }
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_ratelimit_redis_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_ratelimit_redis_ctx_t));
    ctx->request = r;

    cln->handler = ngx_http_ratelimit_redis_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_ratelimit_redis_module);

    return ctx;
}


/* Nobody waits any more: the request ends, now or with an error to come. */

static void
ngx_http_ratelimit_redis_cleanup(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_limiter_check_abandon(&ctx->check);

    if (ctx->revocation) {
        ngx_token_revocation_abandon(ctx->revocation);
    }
}


ngx_int_t
ngx_http_ratelimit_redis_wait(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    rev = r->connection->read;

    /* a client that has left already is noticed, too */

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


ngx_int_t
ngx_http_ratelimit_redis_wake(ngx_http_request_t *r)
{
    ngx_http_set_log_request(r->connection->log, r);

    r->read_event_handler = ngx_http_block_reading;

    return ngx_handle_read_event(r->connection->read, 0);
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

    now = ngx_limiter_local_now();

    if (ctx->headers
        && ctx->shown.zone
        && ngx_limiter_headers_add(r, &ctx->shown, now) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->retry
        && ngx_limiter_headers_retry(r, ctx->retry, now) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_ratelimit_redis_text_variable(ngx_http_request_t *r,
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
        text = &ngx_http_ratelimit_redis_statuses[ctx->status];

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
ngx_http_ratelimit_redis_number_variable(ngx_http_request_t *r,
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


static ngx_int_t
ngx_http_ratelimit_redis_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ratelimit_redis_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static void *
ngx_http_ratelimit_redis_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rmcf->nzones = 0;
     *     rmcf->redis = NULL;
     *     rmcf->prefix = { 0, NULL };
     *     rmcf->token_used = 0;
     *     rmcf->token_zone = { NULL, NULL };
     *     rmcf->token_keys = NULL;
     */

    rmcf->token_size = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&rmcf->rules, cf->pool, 4,
                       sizeof(ngx_http_ratelimit_redis_rule_t))
        != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


static char *
ngx_http_ratelimit_redis_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t *rmcf = conf;

    char  *rv;

    if (rmcf->prefix.data == NULL) {
        ngx_str_set(&rmcf->prefix, "rl:");
    }

    ngx_limiter_script_init(&rmcf->script);

    if (ngx_http_ratelimit_redis_init_bodies(cf, rmcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_ratelimit_redis_conf_check(cf, rmcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_ratelimit_redis_token_conf_init(cf, rmcf);
}


static ngx_int_t
ngx_http_ratelimit_redis_init_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_http_api_problem_t  problem;

    ngx_memzero(&problem, sizeof(ngx_http_api_problem_t));

    problem.type = NGX_HTTP_API_PROBLEM_CAPACITY;
    problem.title = "Request cannot be satisfied due to temporary server "
                    "capacity constraints";
    problem.status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (ngx_http_api_problem_encode(&problem, cf->pool, &rmcf->unavailable)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* without a type the title is the status's phrase (RFC 9457, 4.2.1) */

    problem.type = NULL;
    problem.title = "Unauthorized";
    problem.status = NGX_HTTP_UNAUTHORIZED;

    if (ngx_http_api_problem_encode(&problem, cf->pool, &rmcf->unauthorized)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    problem.title = "Method Not Allowed";
    problem.status = NGX_HTTP_NOT_ALLOWED;

    return ngx_http_api_problem_encode(&problem, cf->pool,
                                       &rmcf->not_allowed);
}


static void *
ngx_http_ratelimit_redis_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_loc_conf_t));
    if (rlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rlcf->bodies = NULL;
     *     rlcf->token_source = NULL;
     */

    rlcf->rules = NGX_CONF_UNSET_PTR;
    rlcf->status = NGX_CONF_UNSET_UINT;
    rlcf->headers = NGX_CONF_UNSET_UINT;
    rlcf->on_error = NGX_CONF_UNSET_UINT;
    rlcf->log_level = NGX_CONF_UNSET_UINT;
    rlcf->dry_run = NGX_CONF_UNSET;

    rlcf->token_required = NGX_CONF_UNSET;
    rlcf->token_blacklist = NGX_CONF_UNSET;
    rlcf->token_keys = NGX_CONF_UNSET_PTR;
    rlcf->token_deny = NGX_CONF_UNSET_UINT;
    rlcf->token_revoke_ttl = NGX_CONF_UNSET;

    return rlcf;
}


static char *
ngx_http_ratelimit_redis_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_ratelimit_redis_loc_conf_t *prev = parent;
    ngx_http_ratelimit_redis_loc_conf_t *conf = child;

    if (conf->rules == NGX_CONF_UNSET_PTR) {

        if (prev->rules == NGX_CONF_UNSET_PTR) {
            prev->rules = ngx_array_create(cf->pool, 1,
                                      sizeof(ngx_http_ratelimit_redis_rule_t));
            if (prev->rules == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        conf->rules = prev->rules;
    }

    ngx_conf_merge_uint_value(conf->status, prev->status,
                              NGX_HTTP_TOO_MANY_REQUESTS);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_RATELIMIT_REDIS_HEADERS_X);
    ngx_conf_merge_uint_value(conf->on_error, prev->on_error,
                              NGX_LIMITER_ON_ERROR_LOCAL);
    ngx_conf_merge_uint_value(conf->log_level, prev->log_level, NGX_LOG_ERR);
    ngx_conf_merge_value(conf->dry_run, prev->dry_run, 0);

    if (conf->token_source == NULL) {
        conf->token_source = prev->token_source;
    }

    ngx_conf_merge_value(conf->token_required, prev->token_required, 0);
    ngx_conf_merge_value(conf->token_blacklist, prev->token_blacklist, 0);
    ngx_conf_merge_ptr_value(conf->token_keys, prev->token_keys, NULL);
    ngx_conf_merge_uint_value(conf->token_deny, prev->token_deny, 1);
    ngx_conf_merge_value(conf->token_revoke_ttl, prev->token_revoke_ttl,
                         30 * 24 * 60 * 60);

    if (prev->bodies
        && conf->rules == prev->rules
        && conf->status == prev->status)
    {
        conf->bodies = prev->bodies;
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_conf_bodies(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
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

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ratelimit_redis_access_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ratelimit_redis_header_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_init_process(ngx_cycle_t *cycle)
{
    ngx_limiter_redis_t                   *shared;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_ratelimit_redis_module);
    if (rmcf == NULL) {
        return NGX_OK;
    }

    shared = &ngx_http_ratelimit_redis_shared;

    ngx_memzero(shared, sizeof(ngx_limiter_redis_t));

    shared->script = &rmcf->script;
    shared->prefix = rmcf->prefix;

    if (rmcf->redis == NULL) {
        return NGX_OK;
    }

    shared->client = ngx_redis_client_create(cycle, rmcf->redis);

    return shared->client ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_ratelimit_redis_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_ratelimit_redis_shared.client) {
        ngx_redis_client_close(ngx_http_ratelimit_redis_shared.client);
        ngx_http_ratelimit_redis_shared.client = NULL;
    }
}
