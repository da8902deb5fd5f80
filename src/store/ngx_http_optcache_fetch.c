
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_fetch.h"
#include "ngx_http_optcache_interim.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_stale.h"
#include "ngx_rare.h"


static ngx_int_t ngx_http_optcache_fetch(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_fetch_given(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare void ngx_http_optcache_fetch_cleared(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_fetch_past(ngx_http_request_t *r);
static ngx_rare void ngx_http_optcache_fetch_apart(
    ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_fetch_whole(ngx_http_request_t *r);
static ngx_rare ngx_int_t ngx_http_optcache_fetch_headers(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_fetch_drops(ngx_table_elt_t *h,
    ngx_uint_t background);
static ngx_rare ngx_int_t ngx_http_optcache_fetch_validators(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_fetch_validator(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_field_e id, ngx_str_t *name,
    ngx_str_t *lowcase);
static ngx_rare ngx_http_request_t *ngx_http_optcache_update_request(
    ngx_http_request_t *r);


/* the conditions of a request; a background update has none of them */

static ngx_str_t  ngx_http_optcache_fetch_names[] = {
    ngx_string("if-none-match"),
    ngx_string("if-modified-since"),
    ngx_null_string
};

static ngx_str_t  ngx_http_optcache_fetch_more[] = {
    ngx_string("if-match"),
    ngx_string("if-unmodified-since"),
    ngx_string("if-range"),
    ngx_string("range"),
    ngx_null_string
};


ngx_int_t
ngx_http_optcache_ask(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_marks_forget(r, ctx);

    ctx->decided = 1;

    /* the answer may say what it depends on for the first time */

    ctx->varied = (ctx->vary.data != NULL);

    if (ngx_rarely(ctx->asked != NULL) && ctx->asked->no_cache) {
        ctx->status = NGX_HTTP_OPTCACHE_BYPASS;

    } else if (ctx->status == NGX_HTTP_OPTCACHE_NONE) {
        ctx->status = NGX_HTTP_OPTCACHE_MISS;
    }

    if (ngx_rarely(ctx->asked != NULL) && ctx->asked->only_if_cached) {
        /* RFC 9111, 5.2.1.7 */
        return NGX_HTTP_GATEWAY_TIME_OUT;
    }

    ngx_http_optcache_fetch_given(r, ctx);

    if (ngx_http_optcache_fetch(r, ctx) != NGX_OK
        || ngx_http_optcache_interim(r, ctx) != NGX_OK
        || (ngx_rarely(ctx->held || ctx->hidden || ctx->background)
            && ngx_http_optcache_stale_keep(r, ctx) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/*
 * What nginx has taken over from who redirected to here (X-Accel-Redirect,
 * error_page), or a module has added by now, is of this client's response, and
 * each of those that follow has its own.
 */

static void
ngx_http_optcache_fetch_given(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_list_part_t            *part;
    ngx_table_elt_t            *h;
    ngx_http_optcache_given_t  *given;

    given = &ctx->given;

    given->n = 0;
    given->type = r->headers_out.content_type;
    given->type_len = r->headers_out.content_type_len;
    given->charset = r->headers_out.charset;
    given->upstream = r->upstream;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        given->n += part->nelts;
    }

    if (given->n) {
        h = r->headers_out.headers.part.elts;
        given->first = h->key.data;
    }
}


/* Before a 103 is read, nginx clears all that was there. */

static void
ngx_http_optcache_fetch_cleared(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_out.headers.part;
    h = part->elts;

    if (part->nelts == 0 || h->key.data != ctx->given.first) {
        ctx->given.n = 0;
    }
}


/*
 * Makes a request ready for upstream.  Where its answer may be stored, the
 * client's If-None-Match and If-Modified-Since are put aside, or else a 304
 * that is of no use to anybody else would come; where an entry is held they
 * are replaced by its validators (RFC 9111, 4.3.1), then ctx->conditional is
 * set.  A background update asks for all of it, whatever its client wanted.
 * A worker of before a reload stores nothing of it, and nobody waits for that.
 */

static ngx_int_t
ngx_http_optcache_fetch(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t  validate;

    ctx->fetched = 1;
    ctx->requested = ngx_time();

    ngx_http_optcache_marks_moment(r, ctx);

    if (ngx_rarely(ngx_http_optcache_fetch_past(r))) {
        ngx_http_optcache_fetch_apart(ctx);
    }

    if (ctx->background) {
        ngx_metrics_count(ctx->zone->requests, NGX_HTTP_OPTCACHE_UPDATES);
    }

    if (!ctx->store || r->method != NGX_HTTP_GET) {
        return NGX_OK;
    }

    if (!ctx->background
        && ngx_rarely(r->headers_in.if_match
                      || r->headers_in.if_unmodified_since))
    {
        /* RFC 9110, 13.2.2: these are the origin's to evaluate */
        return NGX_OK;
    }

    validate = ctx->held && ctx->conf->revalidate
               && ngx_optcache_entry_validator(&ctx->entry);

    if (!validate && !ctx->background && !ngx_http_optcache_fetch_whole(r)) {
        return NGX_OK;
    }

    if (ngx_http_optcache_fetch_headers(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!validate) {
        return NGX_OK;
    }

    ctx->conditional = 1;

    return ngx_http_optcache_fetch_validators(r, ctx);
}


/* To be asked behind the moment. */

static ngx_uint_t
ngx_http_optcache_fetch_past(ngx_http_request_t *r)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    return ngx_optcache_ledger_past(omcf->ledger);
}


/*
 * What was stored by rules of before a reload is purged once they are known to
 * be wrong.  Nothing may be stored by them after that, so whoever waits for
 * this answer asks by itself.
 */

static void
ngx_http_optcache_fetch_apart(ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->store) {
        ctx->store = 0;
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_RELOAD;
    }

    ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_FAILED);
}


/* Whether there is something to put aside, and all of the answer is wanted. */

static ngx_uint_t
ngx_http_optcache_fetch_whole(ngx_http_request_t *r)
{
    return (r->headers_in.if_none_match || r->headers_in.if_modified_since)
           && r->headers_in.range == NULL;
}


/*
 * A list of its own: upstream modules send all that is in the list, whatever
 * its hash is, and pointers into the old one are kept.
 */

static ngx_int_t
ngx_http_optcache_fetch_headers(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_list_part_t             *part;
    ngx_table_elt_t             *from, *h;
    ngx_http_optcache_hidden_t  *hidden;

    hidden = ngx_palloc(r->pool, sizeof(ngx_http_optcache_hidden_t));
    if (hidden == NULL) {
        return NGX_ERROR;
    }

    hidden->headers = r->headers_in.headers;
    hidden->if_none_match = r->headers_in.if_none_match;
    hidden->if_modified_since = r->headers_in.if_modified_since;

    if (ngx_list_init(&r->headers_in.headers, r->pool, 16,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        r->headers_in.headers = hidden->headers;
        return NGX_ERROR;
    }

    ctx->hidden = hidden;

    r->headers_in.if_none_match = NULL;
    r->headers_in.if_modified_since = NULL;

    if (ctx->background) {
        r->headers_in.if_match = NULL;
        r->headers_in.if_unmodified_since = NULL;
        r->headers_in.if_range = NULL;
        r->headers_in.range = NULL;
    }

    for (part = &hidden->headers.part; part; part = part->next) {
        from = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_optcache_fetch_drops(&from[i], ctx->background)) {
                continue;
            }

            h = ngx_list_push(&r->headers_in.headers);
            if (h == NULL) {
                return NGX_ERROR;
            }

            *h = from[i];
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_optcache_fetch_drops(ngx_table_elt_t *h, ngx_uint_t background)
{
    ngx_str_t  *name;

    for (name = ngx_http_optcache_fetch_names; name->len; name++) {

        if (h->key.len == name->len
            && ngx_strncasecmp(h->key.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    if (!background) {
        return 0;
    }

    for (name = ngx_http_optcache_fetch_more; name->len; name++) {

        if (h->key.len == name->len
            && ngx_strncasecmp(h->key.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * nginx is not told about them by its pointers: it would make a 304 of a whole
 * answer that has not changed, and that is to be stored.
 */

static ngx_int_t
ngx_http_optcache_fetch_validators(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    static ngx_str_t  etag = ngx_string("If-None-Match");
    static ngx_str_t  date = ngx_string("If-Modified-Since");

    if (ngx_http_optcache_fetch_validator(r, ctx, NGX_OPTCACHE_FIELD_ETAG,
                                          &etag,
                                          &ngx_http_optcache_fetch_names[0])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_optcache_fetch_validator(r, ctx,
                                          NGX_OPTCACHE_FIELD_LAST_MODIFIED,
                                          &date,
                                          &ngx_http_optcache_fetch_names[1]);
}


static ngx_int_t
ngx_http_optcache_fetch_validator(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_field_e id, ngx_str_t *name,
    ngx_str_t *lowcase)
{
    ngx_table_elt_t       *h;
    ngx_optcache_field_t   field;

    if (ngx_optcache_entry_field(&ctx->entry, id, &field) != NGX_OK) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = ngx_hash_key(lowcase->data, lowcase->len);
    h->key = *name;
    h->lowcase_key = lowcase->data;
    h->value = field.value;

    return NGX_OK;
}


void
ngx_http_optcache_fetched(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_hidden_t  *hidden;

    if (ngx_rarely(ctx->given.n)) {
        ngx_http_optcache_fetch_cleared(r, ctx);
    }

    hidden = ctx->hidden;

    if (ngx_mostly(hidden == NULL)) {
        return;
    }

    ctx->hidden = NULL;

    r->headers_in.headers = hidden->headers;
    r->headers_in.if_none_match = hidden->if_none_match;
    r->headers_in.if_modified_since = hidden->if_modified_since;

    if (r->headers_in.if_none_match) {
        /* RFC 9110, 13.1.3: it is ignored then; nginx would look at both */
        r->headers_in.if_modified_since = NULL;
    }

    /* upstream has not evaluated them */

    r->disable_not_modified = 0;
}


ngx_int_t
ngx_http_optcache_update(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_request_t       *sr;
    ngx_http_optcache_ctx_t  *update;

    if (ngx_http_optcache_fetch_past(r)) {
        /* what is stale is updated when it is asked for elsewhere */
        return NGX_OK;
    }

    if (ngx_http_optcache_marks_origin(r, ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    update = ngx_pcalloc(r->pool, sizeof(ngx_http_optcache_ctx_t));
    if (update == NULL) {
        return NGX_DECLINED;
    }

    update->zone = ctx->zone;
    update->background = 1;

    if (ngx_http_optcache_count_watch(r, update) != NGX_OK) {
        return NGX_DECLINED;
    }

    sr = ngx_http_optcache_update_request(r);
    if (sr == NULL) {
        return NGX_DECLINED;
    }

    update->request = sr;
    update->conf = ctx->conf;
    update->key = ctx->key;
    update->base = ctx->base;
    update->vary = ctx->vary;
    update->rule = ctx->rule;
    update->begun = ctx->begun;
    update->origin = ctx->origin;
    update->path = ctx->path;
    update->status = NGX_HTTP_OPTCACHE_EXPIRED;
    update->store = ctx->store;

    ngx_http_set_ctx(sr, update, ngx_http_optcache_module);

    return NGX_OK;
}


/*
 * What is remembered of this response from now on is not of the one that
 * upstream gives, nor the other way round.  Captures that are of both nginx
 * puts memory in place of that has anything in it, up to 1.31.2, when a
 * regular expression does not match.  NULL when out of memory.
 */

static ngx_http_request_t *
ngx_http_optcache_update_request(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  count;
    ngx_http_request_t         *sr;
    ngx_http_captures_t         captures;
    ngx_http_variable_value_t  *variables;

    variables = ngx_http_captures_variables(r);

    if (variables == NULL || ngx_http_captures_keep(r, &captures) != NGX_OK) {
        return NULL;
    }

    count = r->main->count;

    rc = ngx_http_subrequest(r, &r->uri, &r->args, &sr, NULL,
                             NGX_HTTP_SUBREQUEST_CLONE
                             |NGX_HTTP_SUBREQUEST_BACKGROUND);

    ngx_http_captures_back(r, &captures);

    if (rc != NGX_OK) {
        /* it may have been counted, and there was no memory to begin it */
        r->main->count = count;

        return NULL;
    }

    sr->variables = variables;

#if (NGX_PCRE)
    /* it has the copy */
    sr->realloc_captures = 0;
#endif

    if (r->method == NGX_HTTP_HEAD) {
        /* what is stored is the answer to a GET */
        sr->method = NGX_HTTP_GET;
        sr->method_name = ngx_http_core_get_method;
    }

    return sr;
}


/*
 * What is buffered waits for its turn to be sent, and a background request has
 * none: a file would take what buffers do not, but there may be no file.
 */

void
ngx_http_optcache_update_unbuffered(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && !u->cacheable && !u->store) {
        u->buffering = 0;
    }
}
