
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_head.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_nobody.h"
#include "ngx_http_optcache_public.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_rules.h"
#include "ngx_http_rfc9110_date.h"
#include "ngx_rare.h"


static void ngx_http_optcache_response_public(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp);
static ngx_often ngx_int_t ngx_http_optcache_response_storage(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp);
static void ngx_http_optcache_response_asked(ngx_table_elt_t *h, void *data);
static ngx_often void ngx_http_optcache_response_lifetime(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp);
static time_t ngx_http_optcache_response_date(ngx_str_t *value);
static void ngx_http_optcache_response_modified(ngx_table_elt_t *h,
    void *data);
static ngx_uint_t ngx_http_optcache_response_stale(
    ngx_http_optcache_response_t *resp);
static void ngx_http_optcache_response_type(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp);


ngx_often ngx_int_t
ngx_http_optcache_response_read(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_uint_t merged)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    ngx_memzero(resp, offsetof(ngx_http_optcache_response_t, fields));

    ngx_http_rfc9111_freshness_init(&resp->freshness);

    resp->shared = ctx->key.shared;
    resp->merged = merged;
    resp->given = &ctx->given;

    ngx_http_optcache_response_fields(r, resp);
    ngx_http_optcache_response_type(r, resp);

    ctx->unmarked = !resp->x_cache;

    /* what the origin says; what a targeted field says is added */

    resp->no_transform = resp->freshness.cc.no_transform;

    if (ngx_rarely(r->headers_out.override_charset != NULL)) {
        /* X-Accel-Charset: a hit would not be of it */
        resp->invalid = 1;
    }

    if (ngx_rarely(resp->hops) && ngx_http_optcache_head_misnamed(r)) {
        resp->invalid = 1;
    }

    if (resp->streaming || resp->invalid) {
        ctx->refusal = resp->invalid ? NGX_HTTP_OPTCACHE_REFUSED_FIELD
                                     : NGX_HTTP_OPTCACHE_REFUSED_STREAM;
        return NGX_DECLINED;
    }

    if (resp->part && r->headers_in.range) {
        /* the part one asked for, whatever its status is */
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_RANGE;
        return NGX_DECLINED;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    resp->personal = resp->varies
                     && ngx_http_optcache_public_varies(&resp->vary);

    resp->marked |= resp->personal && resp->vary_hidden;

    if (olcf->ignore != NGX_HTTP_OPTCACHE_IGNORE_UNSET) {
        ngx_http_optcache_rules_ignore(olcf, resp);
    }

    if (resp->targeted
        && !(olcf->ignore & NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL)
        && ngx_http_optcache_targeted_read(r, resp) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_optcache_response_public(r, olcf, ctx, resp);

    if (ngx_http_optcache_rules_left(r, olcf, &resp->left) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_rarely(resp->left <= 0)) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_UNTIL;
        return NGX_DECLINED;
    }

    resp->lifetime = ngx_min(resp->lifetime, resp->age + resp->left);

    resp->keep_cookie = (olcf->set_cookie == NGX_HTTP_OPTCACHE_COOKIE_KEEP);

    return ngx_http_optcache_response_storage(r, ctx, resp);
}


/*
 * Whose it is, and so how long it is fresh.  What is stale when it comes nobody
 * would find in the shared partition: it is of use in that of its user.
 */

static void
ngx_http_optcache_response_public(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp)
{
    if (ngx_http_optcache_public_response(r, olcf, ctx, resp)) {
        resp->public = 1;
        resp->shared = 1;
    }

    ngx_http_optcache_response_lifetime(r, ctx, resp);

    if (resp->public
        && (resp->freshness.cc.no_cache || resp->lifetime <= resp->age))
    {
        resp->public = 0;
        resp->shared = 0;
        resp->explicit_lifetime = 0;

        ngx_http_optcache_response_lifetime(r, ctx, resp);
    }
}


/* RFC 9111, 3: whether it may be stored, now that all of it has been read. */

static ngx_int_t
ngx_http_optcache_response_storage(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    ngx_http_rfc9111_storage_t     storage;
    ngx_http_rfc9111_storage_e     reason;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    ngx_memzero(&storage, sizeof(ngx_http_rfc9111_storage_t));

    storage.cc = resp->freshness.cc;
    storage.asked_no_store = ngx_http_optcache_response_no_store(r, ctx);
    storage.status = r->headers_out.status;
    storage.lifetime = resp->lifetime - resp->age;
    storage.shared = resp->shared;
    storage.unknown = (resp->lifetime <= 0 && !resp->explicit_lifetime);

    /* a POST is not validated: RFC 9110, 13.2.1, leaves conditions to GET */

    storage.validator = (olcf->revalidate && resp->validator
                         && ngx_http_rfc9111_validated_status(storage.status)
                         && ctx->body.len == 0)
                        || ngx_http_optcache_response_stale(resp);
    storage.authorization = (r->headers_in.authorization != NULL);
    storage.cookie = resp->shared
                     && ngx_http_optcache_nobody_unknown(r, ctx, olcf);
    storage.set_cookie = (resp->set_cookie
                          && olcf->set_cookie
                             == NGX_HTTP_OPTCACHE_COOKIE_REFUSE);
    storage.vary = resp->vary.any;

    reason = ngx_http_rfc9111_storage(&storage);

    /* who that is is asked last, when nothing else would keep it from all */

    if (reason == NGX_HTTP_RFC9111_STORE
        && storage.shared
        && !ngx_http_rfc9111_storage_for_all(&storage)
        && ngx_http_optcache_nobody_nameless(r, olcf))
    {
        reason = NGX_HTTP_RFC9111_COOKIE;
    }

    ngx_log_debug7(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache verdict:%ui status:%ui shared:%d "
                   "authorization:%d vary:%d lifetime:%L age:%L",
                   (ngx_uint_t) reason, storage.status, storage.shared,
                   storage.authorization, storage.vary, resp->lifetime,
                   resp->age);

    if (reason == NGX_HTTP_RFC9111_STORE) {
        return NGX_OK;
    }

    ctx->public = storage.cc.pub || storage.cc.s_maxage != -1;

    ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED + reason
                   - NGX_HTTP_RFC9111_STATUS;

    return NGX_DECLINED;
}


/* RFC 5861: what is stale when it comes may be of use for a while. */

static ngx_uint_t
ngx_http_optcache_response_stale(ngx_http_optcache_response_t *resp)
{
    int64_t                      window;
    ngx_http_rfc9111_control_t  *cc;

    cc = &resp->freshness.cc;
    window = ngx_max(cc->stale_while_revalidate, cc->stale_if_error);

    return resp->explicit_lifetime
           && resp->age - resp->lifetime < window
           && !ngx_http_rfc9111_never_stale(cc, resp->shared);
}


/* RFC 9111, 5.2.1.5: a client may ask that nothing be stored, too */

ngx_uint_t
ngx_http_optcache_response_no_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_rfc9111_control_t  request;

    if (ctx->heard) {
        return ctx->asked && ctx->asked->no_store;
    }

    ngx_http_rfc9111_control_init(&request);
    ngx_http_optcache_response_each(&r->headers_in.headers,
                                    ngx_http_optcache_response_asked,
                                    &request);
    return request.no_store;
}


static void
ngx_http_optcache_response_asked(ngx_table_elt_t *h, void *data)
{
    ngx_http_rfc9111_control_t *request = data;

    if (ngx_optcache_field_id(&h->key) == NGX_OPTCACHE_FIELD_CACHE_CONTROL) {
        ngx_http_rfc9111_control_parse(&h->value, request);
    }
}


static void
ngx_http_optcache_response_lifetime(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    time_t                         now;
    ngx_http_optcache_loc_conf_t  *olcf;

    now = ngx_time();

    if (resp->date.len) {
        /* NGX_ERROR is -1: no date */
        resp->freshness.date = ngx_http_optcache_response_date(&resp->date);
    }

    resp->age = ngx_http_rfc9111_initial_age(&resp->freshness, ctx->requested,
                                             now);

    resp->lifetime = ngx_http_rfc9111_lifetime(&resp->freshness,
                                               resp->shared, now);
    if (resp->lifetime != -1) {
        resp->explicit_lifetime = 1;
        return;
    }

    /* the response says nothing: what the configuration says counts from now */

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    resp->lifetime = ngx_http_file_cache_valid(olcf->valid,
                                               r->headers_out.status);
    if (resp->lifetime) {
        resp->lifetime += resp->age;
        return;
    }

    /* RFC 9110, 9.3.3: a response to POST has to say it */

    if (olcf->valid == NULL && ctx->body.len == 0) {
        ngx_http_optcache_response_each(&r->headers_out.headers,
                                        ngx_http_optcache_response_modified,
                                        resp);
        resp->lifetime = ngx_http_rfc9111_heuristic(&resp->freshness,
                                                    r->headers_out.status,
                                                    now);
    }
}


/* It is mostly this very second. */

static time_t
ngx_http_optcache_response_date(ngx_str_t *value)
{
    if (value->len == ngx_cached_http_time.len
        && ngx_memcmp(value->data, ngx_cached_http_time.data, value->len) == 0)
    {
        return ngx_time();
    }

    return ngx_http_rfc9110_date(value);
}


static void
ngx_http_optcache_response_modified(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_response_t *resp = data;

    if (ngx_optcache_field_id(&h->key) == NGX_OPTCACHE_FIELD_LAST_MODIFIED) {
        ngx_http_rfc9111_last_modified(&resp->freshness, &h->value);
    }
}


ngx_often ngx_int_t
ngx_http_optcache_response_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e)
{
    int64_t                      stale;
    ngx_http_rfc9111_control_t  *cc;

    static ngx_str_t  field = ngx_string("Last-Modified");

    cc = &resp->freshness.cc;

    e->status = r->headers_out.status;
    e->date = ngx_time();
    e->last_modified = ngx_http_optcache_response_omits(resp, &field)
                       ? -1 : r->headers_out.last_modified_time;
    e->age = (uint32_t) resp->age;

    /* RFC 9111, 5.2.2.4: no-cache is never fresh */

    e->lifetime = cc->no_cache ? 0
                  : (uint32_t) ngx_min(ngx_max(resp->lifetime, 0),
                                       NGX_HTTP_RFC9111_DELTA_MAX);

    /* optcache_until: nor may it be used then when it is stale */

    stale = resp->left + resp->age - (int64_t) e->lifetime;
    stale = ngx_min(ngx_max(stale, 0), NGX_HTTP_RFC9111_DELTA_MAX);

    e->max_stale = ngx_http_rfc9111_never_stale(cc, ctx->key.shared)
                   ? 0 : (uint32_t) stale;

    e->stale_while_revalidate =
                             (uint32_t) ngx_max(cc->stale_while_revalidate, 0);
    e->stale_if_error = (uint32_t) ngx_max(cc->stale_if_error, 0);

    if (ngx_http_optcache_marks_set(r, ctx, e) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_optcache_head_write(r, resp, &e->head);
}


/*
 * A stream of events has no end worth waiting for.  What a call of gRPC came to
 * is told behind its body, by trailers, which are not stored; with gRPC-Web, a
 * type of its own, they are part of the body.
 */

static void
ngx_http_optcache_response_type(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp)
{
    ngx_str_t  *type;

    static ngx_str_t  stream = ngx_string("text/event-stream");
    static ngx_str_t  grpc = ngx_string("application/grpc");

    type = &r->headers_out.content_type;

    resp->streaming = (type->len >= stream.len
                       && ngx_strncasecmp(type->data, stream.data, stream.len)
                          == 0)
                      || (type->len >= grpc.len
                          && ngx_strncasecmp(type->data, grpc.data, grpc.len)
                             == 0
                          && (type->len == grpc.len
                              || type->data[grpc.len] != '-'));
}
