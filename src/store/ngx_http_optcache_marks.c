
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_rare.h"


static ngx_rare uint32_t ngx_http_optcache_marks_server(ngx_http_request_t *r);
static ngx_rare ngx_int_t ngx_http_optcache_marks_join(ngx_http_request_t *r,
    ngx_str_t *path, ngx_str_t *first, char *between, ngx_str_t *last);
static ngx_rare ngx_optcache_ledger_verdict_e
    ngx_http_optcache_marks_compare(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e, uint64_t now);
static void ngx_http_optcache_marks_of(ngx_optcache_entry_t *e,
    ngx_optcache_marks_t *marks);
static ngx_int_t ngx_http_optcache_marks_asked(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e,
    ngx_optcache_marks_t *marks);
static ngx_uint_t ngx_http_optcache_marks_several(
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e);
static ngx_uint_t ngx_http_optcache_marks_other(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e, ngx_optcache_marks_t *marks);


ngx_often ngx_int_t
ngx_http_optcache_marks_origin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->origin.host) {
        return NGX_OK;
    }

    if (ngx_http_optcache_marks_path(r, &ctx->path) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->origin.uri = ngx_optcache_mark_uri(&ctx->path);
    ctx->origin.host = ngx_rarely(r->headers_in.server.len == 0)
                       ? ngx_http_optcache_marks_server(r)
                       : ngx_optcache_mark_host(&r->headers_in.server);

    return NGX_OK;
}


/* A request that names no host is for that of the server, as $host tells. */

static uint32_t
ngx_http_optcache_marks_server(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return ngx_optcache_mark_host(&cscf->server_name);
}


ngx_often ngx_int_t
ngx_http_optcache_marks_path(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char     *p;
    ngx_str_t   empty;

    ngx_str_set(&empty, "");

    if (r != r->main) {
        return ngx_http_optcache_marks_join(r, path, &r->uri,
                                            r->args.len ? "?" : "", &r->args);
    }

    *path = r->unparsed_uri;

    p = memchr(path->data, '#', path->len);
    if (p) {
        path->len = p - path->data;
    }

    if (path->len && path->data[0] == '/') {
        return NGX_OK;
    }

    /* of a URI in absolute form that has no path, nginx leaves the rest */

    return ngx_http_optcache_marks_join(r, path, &empty, "/", path);
}


static ngx_int_t
ngx_http_optcache_marks_join(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *first, char *between, ngx_str_t *last)
{
    size_t   len;
    u_char  *p;

    len = first->len + ngx_strlen(between) + last->len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V%s%V", first, between, last);

    path->data = p;
    path->len = len;

    return NGX_OK;
}


void
ngx_http_optcache_marks_moment(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    ngx_optcache_ledger_now(omcf->ledger, &ctx->moment);
}


ngx_int_t
ngx_http_optcache_marks_set(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e)
{
    if (ngx_http_optcache_marks_origin(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    e->origin = ctx->origin;
    e->moment = ctx->moment;

    /* not that of the entry which this one was made of */

    e->compared = NULL;

    return NGX_OK;
}


ngx_often ngx_optcache_ledger_verdict_e
ngx_http_optcache_marks_check(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e)
{
    ngx_optcache_moment_t           now;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    ngx_optcache_ledger_now(omcf->ledger, &now);

    return (now.clock == e->moment.clock)
           ? NGX_OPTCACHE_LEDGER_VALID
           : ngx_http_optcache_marks_compare(r, ctx, e, now.clock);
}


/* Something was invalidated since the entry was last compared: "now". */

static ngx_optcache_ledger_verdict_e
ngx_http_optcache_marks_compare(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e, uint64_t now)
{
    uint64_t                        clock, since;
    ngx_optcache_marks_t            marks;
    ngx_optcache_ledger_verdict_e   verdict, other;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ngx_http_optcache_marks_asked(r, ctx, e, &marks) != NGX_OK) {
        return NGX_OPTCACHE_LEDGER_GONE;
    }

    clock = e->moment.clock;
    verdict = ngx_optcache_ledger_check(omcf->ledger, &marks, &clock);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache ledger, clock:%uL of %uL verdict:%ui",
                   e->moment.clock, now, (ngx_uint_t) verdict);

    if (ngx_http_optcache_marks_several(ctx, e)) {

        /* the clock stays: it is to be compared for other URIs since then */

        if (ngx_http_optcache_marks_other(ctx, e, &marks)) {
            since = e->moment.clock;
            other = ngx_optcache_ledger_check(omcf->ledger, &marks, &since);
            verdict = ngx_max(verdict, other);
        }

        return verdict;
    }

    if (clock != e->moment.clock) {
        ngx_optcache_l1_compared(e, clock);
    }

    return verdict;
}


ngx_optcache_ledger_verdict_e
ngx_http_optcache_marks_check_l2(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e)
{
    ngx_optcache_marks_t            marks;
    ngx_optcache_moment_t           now;
    ngx_optcache_position_t         position;
    ngx_optcache_ledger_verdict_e   verdict, other;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    position = e->moment.position;

    /* before the comparison, which holds for what was before that */

    ngx_optcache_ledger_now(omcf->ledger, &now);

    e->moment = now;

    if (ngx_http_optcache_marks_asked(r, ctx, e, &marks) != NGX_OK) {
        return NGX_OPTCACHE_LEDGER_GONE;
    }

    verdict = ngx_optcache_ledger_check_l2(omcf->ledger, &marks, position);

    if (!ngx_http_optcache_marks_several(ctx, e)) {
        ctx->apart = 0;
        return verdict;
    }

    /* L1 knows the clock only, which is later than what others may ask of */

    ctx->apart = ngx_optcache_ledger_uris(omcf->ledger, position);

    if (ngx_http_optcache_marks_other(ctx, e, &marks)) {
        other = ngx_optcache_ledger_check_l2(omcf->ledger, &marks, position);
        verdict = ngx_max(verdict, other);
    }

    return verdict;
}


ngx_optcache_ledger_verdict_e
ngx_http_optcache_marks_renew(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *zone, ngx_optcache_entry_t *e)
{
    uint64_t                        clock;
    ngx_optcache_marks_t            marks;
    ngx_optcache_moment_t           now;
    ngx_optcache_ledger_verdict_e   verdict;

    ngx_optcache_ledger_now(omcf->ledger, &now);

    ngx_http_optcache_marks_of(e, &marks);

    clock = e->moment.clock;

    if (now.clock != clock
        && (zone->several || ngx_optcache_key_searched(&e->key)))
    {
        /* another URI may have been invalidated that it is found by */
        return NGX_OPTCACHE_LEDGER_GONE;
    }

    verdict = ngx_optcache_ledger_check(omcf->ledger, &marks, &clock);

    if (verdict == NGX_OPTCACHE_LEDGER_VALID) {
        e->moment = now;
    }

    return verdict;
}


/* What an entry says itself. */

static void
ngx_http_optcache_marks_of(ngx_optcache_entry_t *e,
    ngx_optcache_marks_t *marks)
{
    u_char  *user;

    user = ngx_optcache_key_user(&e->key);

    marks->origin = e->origin;
    marks->user = user ? ngx_optcache_mark_user(user) : 0;
    marks->tags = e->tags;
    marks->ntags = e->ntags;

    ngx_str_null(&marks->path);
}


/* What it was of is known if it is asked for by the same URI. */

static ngx_int_t
ngx_http_optcache_marks_asked(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e,
    ngx_optcache_marks_t *marks)
{
    if (ngx_http_optcache_marks_origin(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_optcache_marks_of(e, marks);

    if (e->origin.uri == ctx->origin.uri) {
        marks->path = ctx->path;
    }

    return NGX_OK;
}


/*
 * By No-Vary-Search, or by a key that does not have all of the URI, of whatever
 * location with this zone; or it was when it was stored.
 */

static ngx_uint_t
ngx_http_optcache_marks_several(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e)
{
    return ctx->zone->several
           || e->origin.uri != ctx->origin.uri
           || e->origin.host != ctx->origin.host
           || ngx_optcache_key_searched(&e->key);
}


/*
 * Whether an entry of several URIs was stored for another one than it is asked
 * for by; then the marks are what that one is of.
 */

static ngx_uint_t
ngx_http_optcache_marks_other(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e, ngx_optcache_marks_t *marks)
{
    if (e->origin.uri == ctx->origin.uri && e->origin.host == ctx->origin.host)
    {
        return 0;
    }

    marks->origin = ctx->origin;
    marks->path = ctx->path;
    marks->ntags = 0;

    return 1;
}


ngx_often void
ngx_http_optcache_marks_forget(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (!ctx->held
        || ngx_http_optcache_marks_check(r, ctx, &ctx->entry)
           != NGX_OPTCACHE_LEDGER_GONE)
    {
        return;
    }

    ngx_memzero(&ctx->entry, sizeof(ngx_optcache_entry_t));

    ctx->held = 0;
    ctx->refused = 0;

    ctx->miss = NGX_HTTP_OPTCACHE_MISS_INVALIDATED;

    if (ctx->status == NGX_HTTP_OPTCACHE_EXPIRED) {
        ctx->status = NGX_HTTP_OPTCACHE_NONE;
    }
}
