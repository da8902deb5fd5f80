
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_response.h"
#include "ngx_http_optcache_purge.h"
#include "ngx_http_wait.h"
#include "ngx_optcache_teller.h"


typedef struct ngx_http_optcache_purge_ctx_s  ngx_http_optcache_purge_ctx_t;

typedef struct {
    ngx_http_optcache_purge_ctx_t  *ctx;
    ngx_optcache_telling_t         *telling;  /* NULL: not under way */
} ngx_http_optcache_purge_part_t;


struct ngx_http_optcache_purge_ctx_s {
    ngx_http_request_t             *request;
    ngx_uint_t                      n;
    ngx_uint_t                      waiting;  /* parts under way */
    unsigned                        told:1;   /* other hosts */
    unsigned                        pending:1;

    ngx_http_optcache_purge_part_t  parts[1];
};


static ngx_http_optcache_purge_ctx_t *ngx_http_optcache_purge_create(
    ngx_http_request_t *r, ngx_uint_t n);
static void ngx_http_optcache_purge_cleanup(void *data);
static void ngx_http_optcache_purge_tell(ngx_http_optcache_purge_part_t *part,
    ngx_optcache_teller_t *teller, ngx_optcache_event_t *event);
static void ngx_http_optcache_purge_told(void *data, ngx_int_t rc);
static ngx_int_t ngx_http_optcache_purge_answer(ngx_http_request_t *r,
    ngx_http_optcache_purge_ctx_t *ctx);


ngx_int_t
ngx_http_optcache_purge_add(ngx_http_optcache_purge_t *purge,
    ngx_optcache_target_t *target)
{
    if (purge->n == NGX_OPTCACHE_EVENT_MAX) {
        return NGX_DECLINED;
    }

    if (ngx_optcache_mark_event(target, &purge->events[purge->n]) != NGX_OK) {
        return NGX_DECLINED;
    }

    purge->n++;

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_purge(ngx_http_request_t *r,
    ngx_http_optcache_purge_t *purge)
{
    ngx_uint_t                      i;
    ngx_http_optcache_main_conf_t  *omcf;
    ngx_http_optcache_purge_ctx_t  *ctx;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    ctx = ngx_http_optcache_purge_create(r, purge->n);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < purge->n; i++) {
        ngx_http_optcache_purge_tell(&ctx->parts[i], omcf->teller,
                                     &purge->events[i]);
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "optcache: %ui purged", purge->n);

    if (ctx->waiting == 0) {
        return ngx_http_optcache_purge_answer(r, ctx);
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


/* What is under way when the request ends goes on without it. */

static ngx_http_optcache_purge_ctx_t *
ngx_http_optcache_purge_create(ngx_http_request_t *r, ngx_uint_t n)
{
    ngx_uint_t                      i;
    ngx_pool_cleanup_t             *cln;
    ngx_http_optcache_purge_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_optcache_purge_ctx_t)
                               + n * sizeof(ngx_http_optcache_purge_part_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->n = n;

    for (i = 0; i < n; i++) {
        ctx->parts[i].ctx = ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_optcache_purge_cleanup;
    cln->data = ctx;

    return ctx;
}


static void
ngx_http_optcache_purge_cleanup(void *data)
{
    ngx_http_optcache_purge_ctx_t *ctx = data;

    ngx_uint_t  i;

    for (i = 0; i < ctx->n; i++) {
        if (ctx->parts[i].telling) {
            ngx_optcache_telling_abandon(ctx->parts[i].telling);
            ctx->parts[i].telling = NULL;
        }
    }
}


static void
ngx_http_optcache_purge_tell(ngx_http_optcache_purge_part_t *part,
    ngx_optcache_teller_t *teller, ngx_optcache_event_t *event)
{
    ngx_http_optcache_purge_ctx_t  *ctx;

    ctx = part->ctx;

    if (teller == NULL) {
        /* there is no zone, and nothing in it */
        return;
    }

    switch (ngx_optcache_tell(teller, event, NULL,
                              ngx_http_optcache_purge_told, part,
                              &part->telling))
    {

    case NGX_OK:
        ctx->told = 1;
        ctx->waiting++;
        break;

    case NGX_DECLINED:
        break;

    default: /* NGX_ERROR */
        ctx->pending = 1;
    }
}


static void
ngx_http_optcache_purge_told(void *data, ngx_int_t rc)
{
    ngx_http_optcache_purge_part_t *part = data;

    ngx_connection_t               *c;
    ngx_http_request_t             *r;
    ngx_http_optcache_purge_ctx_t  *ctx;

    ctx = part->ctx;

    part->telling = NULL;

    if (rc != NGX_OK) {
        ctx->pending = 1;
    }

    if (--ctx->waiting) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    switch (ngx_http_wait_end(r)) {

    case NGX_DECLINED:
        return;

    case NGX_OK:
        rc = ngx_http_optcache_purge_answer(r, ctx);
        break;

    default: /* NGX_ERROR */
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_optcache_purge_answer(ngx_http_request_t *r,
    ngx_http_optcache_purge_ctx_t *ctx)
{
    ngx_str_t             body;
    ngx_uint_t            status;
    ngx_http_api_json_t  *json;

    static ngx_str_t  type = ngx_string("application/json");

    status = NGX_HTTP_OK;

    json = ngx_http_api_json_create(r->pool);

    ngx_http_api_json_number(json, "purged", ctx->n);

    if (ctx->pending) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "redis has not taken it, what was purged is purged "
                      "on this host, other hosts will be told");

        status = NGX_HTTP_ACCEPTED;

        ngx_http_api_json_text(json, "hosts", "this");
        ngx_http_api_json_flag(json, "pending", 1);

    } else {
        ngx_http_api_json_text(json, "hosts", ctx->told ? "all" : "this");
    }

    if (ngx_http_api_json_encode(json, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_response_send(r, status, &type, &body);
}
