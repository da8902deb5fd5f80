
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The precontent phase: after access control, before the content handler.  A
 * request that waits, for Redis or for who asks upstream already, comes back
 * here as often as it is woken.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_body.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_fetch.h"
#include "ngx_http_optcache_interim.h"
#include "ngx_http_optcache_invalidate.h"
#include "ngx_http_optcache_lease.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_nobody.h"
#include "ngx_http_optcache_public.h"
#include "ngx_http_optcache_purge.h"
#include "ngx_http_optcache_request.h"
#include "ngx_http_optcache_rules.h"
#include "ngx_http_optcache_search.h"
#include "ngx_http_optcache_stale.h"
#include "ngx_rare.h"


static ngx_uint_t ngx_http_optcache_applies(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);
static ngx_int_t ngx_http_optcache_look(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);
static ngx_int_t ngx_http_optcache_begin(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);
static ngx_int_t ngx_http_optcache_start(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);
static ngx_int_t ngx_http_optcache_identify(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_find(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);


ngx_often ngx_int_t
ngx_http_optcache_handler(ngx_http_request_t *r)
{
    ngx_http_optcache_ctx_t       *ctx;
    ngx_http_optcache_loc_conf_t  *olcf;

    if (r->internal) {
        ctx = ngx_http_optcache_stale_kept(r);

        if (ctx) {
            return ngx_http_optcache_stale_send(r, ctx);
        }

        if (ngx_http_optcache_invalidate_left(r) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (ngx_http_optcache_purge_wanted(r, olcf)) {
        return ngx_http_optcache_purge_handler(r);
    }

    if (ngx_rarely(olcf->tries) || !ngx_http_optcache_applies(r, olcf)) {
        return NGX_DECLINED;
    }

    return ngx_http_optcache_look(r, olcf);
}


ngx_int_t
ngx_http_optcache_tried_handler(ngx_http_request_t *r)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (ngx_mostly(!olcf->tries) || !ngx_http_optcache_applies(r, olcf)) {
        return NGX_DECLINED;
    }

    return ngx_http_optcache_look(r, olcf);
}


/*
 * An error page under a status that is not its own is nobody's content.  One
 * that a filter asks for, as image_filter and If-Match do, has to be there when
 * the filter returns: nginx closes the connection of a request that waits then.
 */

static ngx_uint_t
ngx_http_optcache_applies(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    return olcf->zone && r->err_status == 0 && !r->filter_finalize;
}


static ngx_int_t
ngx_http_optcache_look(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_int_t                 rc;
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL) {
        rc = ngx_http_optcache_begin(r, olcf);

        if (rc != NGX_OK) {
            return rc;
        }

        ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);
    }

    if (ctx->waiting) {
        return NGX_AGAIN;
    }

    rc = ngx_http_optcache_public_lookup(r, olcf, ctx);

    if (rc != NGX_OK) {
        return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
    }

    if (ngx_rarely(ctx->background) && !ctx->fetched
        && ngx_http_optcache_lookup(r, ctx) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (!ctx->found
        && !ctx->background
        && ctx->body.len == 0
        && ngx_http_optcache_stale_updating(r, ctx)
        && ngx_http_optcache_update(r, ctx) == NGX_OK)
    {
        ctx->status = NGX_HTTP_OPTCACHE_UPDATING;
        ctx->found = 1;
    }

    if (!ctx->found) {
        rc = ngx_http_optcache_lock(r, ctx);

        if (rc != NGX_OK) {
            return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
        }
    }

    if (!ctx->found || ctx->lease) {
        rc = ngx_http_optcache_lease(r, ctx);

        if (rc != NGX_OK) {
            return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
        }
    }

    if (!ctx->found) {
        return ngx_http_optcache_ask(r, ctx);
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, ctx->background
                                 ? NGX_OK : ngx_http_optcache_send(r, ctx));
    return NGX_DONE;
}


/*
 * Once for a request, when its body is there: NGX_OK: go on with the context;
 * else what the phase returns.
 */

static ngx_int_t
ngx_http_optcache_begin(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_int_t                 rc;
    ngx_http_optcache_ctx_t  *ctx;

    rc = ngx_http_optcache_body_read(r, olcf);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_optcache_start(r, olcf);

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx && !ctx->found && ngx_http_optcache_count_watch(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED && ctx->invalidate
        && ngx_http_optcache_interim(r, ctx) != NGX_OK)
    {
        /* it is the final response that tells whether anything was changed */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


/*
 * NGX_OK: go on with the context; NGX_AGAIN: come back; NGX_DECLINED: not for
 * the cache at all.
 */

static ngx_int_t
ngx_http_optcache_start(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_int_t                 rc;
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_optcache_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->request = r;
    ctx->zone = olcf->zone;
    ctx->conf = olcf;
    ctx->status = NGX_HTTP_OPTCACHE_BYPASS;

    ngx_http_set_ctx(r, ctx, ngx_http_optcache_module);

    if (r->internal) {
        ngx_http_optcache_count_again(r);

        if (r == r->main) {
            ngx_http_optcache_unlock_left(r);
        }
    }

    if (r->request_body
        && ngx_http_optcache_body_digest(r, olcf, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->invalidate = olcf->invalidate_on_write
                      && ngx_http_optcache_request_unsafe(r)
                      && !(r->method & olcf->methods);

    if (ngx_rarely(ctx->invalidate) && r != r->main
        && ngx_http_optcache_marks_origin(r, ctx) != NGX_OK)
    {
        /* the URI of a subrequest is not known any more after a redirect */
        return NGX_ERROR;
    }

    rc = ngx_http_optcache_identify(r, olcf, ctx);

    return (rc == NGX_OK) ? ngx_http_optcache_find(r, olcf, ctx) : rc;
}


/* What it would be stored as: NGX_OK, or as above. */

static ngx_int_t
ngx_http_optcache_identify(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_rules_never(r, olcf);

    if (rc != NGX_DECLINED) {
        /* nothing asks for its key */
        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

    rc = ngx_http_optcache_request_key(r, olcf, &ctx->key);

    if (rc != NGX_OK) {
        ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_KEY;
        return rc;
    }

    ctx->base = ctx->key.identity;

    if (!ctx->key.shared && ngx_http_optcache_nobody_decided(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_optcache_l1_expect(ctx->zone, &ctx->key.identity, &ctx->absent);

    return ngx_http_optcache_request_cacheable(r, olcf, ctx) ? NGX_OK
                                                             : NGX_DECLINED;
}


/* What is stored for it, if it may be asked for. */

static ngx_int_t
ngx_http_optcache_find(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_CONFIGURED;
    ctx->store = !ngx_http_optcache_request_two_hosts(r);
    ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_HOST;

    switch (ngx_http_captures_predicates(r, olcf->bypass)) {

    case NGX_ERROR:
        return NGX_ERROR;

    case NGX_DECLINED:
        return NGX_OK;

    default: /* NGX_OK */
        break;
    }

    if (ngx_http_optcache_request_control(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->status = NGX_HTTP_OPTCACHE_NONE;

    if (ctx->zone->slot == NULL) {
        ngx_optcache_l1_attach_late(ctx->zone, r->connection->log);
    }

    if (ngx_http_optcache_search_select(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_optcache_lookup(r, ctx);
}
