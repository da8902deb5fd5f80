
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The token of a request: read, looked up among the revoked ones, revoked.
 *
 * Reading and looking up are two steps.  What a token says of itself is to be
 * verified between them, in ngx_http_ratelimit_redis_token_start(): a verdict
 * on the token's status, which _verdict() then turns into a response.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_wait.h"
#include "ngx_token_source.h"


static ngx_int_t ngx_http_ratelimit_redis_token_read(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_uint_t ngx_http_ratelimit_redis_token_ambiguous(
    ngx_http_request_t *r, ngx_str_t *source, ngx_str_t *text);
static ngx_token_revocation_t *ngx_http_ratelimit_redis_token_revocation(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_http_token_status_e ngx_http_ratelimit_redis_token_outcome(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_token_challenge(
    ngx_http_request_t *r, ngx_uint_t invalid);
static ngx_int_t ngx_http_ratelimit_redis_token_allow(ngx_http_request_t *r);
static void ngx_http_ratelimit_redis_token_revoke_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_token_revoked(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx);


static ngx_str_t  ngx_http_ratelimit_redis_token_statuses[] = {
    ngx_null_string,
    ngx_string("none"),
    ngx_string("malformed"),
    ngx_string("ok"),
    ngx_string("revoked"),
    ngx_string("unavailable")
};


ngx_int_t
ngx_http_ratelimit_redis_token_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_token_revocation_pt handler)
{
    ngx_int_t                             rc;
    ngx_token_revocation_t               *revocation;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ctx->conf;

    if (!rlcf->token_required && !rlcf->token_blacklist) {
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a signature would be verified here */

    if (ctx->token.status != NGX_HTTP_TOKEN_OK || !rlcf->token_blacklist) {
        return NGX_OK;
    }

    revocation = ngx_http_ratelimit_redis_token_revocation(r, ctx, rlcf);
    if (revocation == NULL) {
        return NGX_ERROR;
    }

    if (ctx->revocation
        && ngx_token_revocation_answers(ctx->revocation, revocation))
    {
        return NGX_OK;
    }

    revocation->handler = handler;
    revocation->data = ctx;

    rc = ngx_token_revocation_ask(revocation);

    ctx->revocation = revocation;

    return rc;
}


/* Sets the status, as far as the token itself tells it, and the text. */

static ngx_int_t
ngx_http_ratelimit_redis_token_read(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_int_t         rc;
    ngx_http_token_t  token;

    ngx_memzero(&token, sizeof(ngx_http_token_t));

    token.source = rlcf->token_source ? (void *) rlcf->token_source
                                      : &ngx_http_ratelimit_redis_module;

    if (rlcf->token_source == NULL) {

        /* nginx refuses a request that has two */

        rc = r->headers_in.authorization
             ? ngx_token_source_bearer(&r->headers_in.authorization->value,
                                       &token.text)
             : NGX_DECLINED;

    } else if (ngx_http_complex_value(r, rlcf->token_source, &token.text)
               == NGX_OK)
    {
        rc = token.text.len ? NGX_OK : NGX_DECLINED;

        if (!ngx_token_source_plain(&token.text)
            || ngx_http_ratelimit_redis_token_ambiguous(r,
                                                  &rlcf->token_source->value,
                                                  &token.text))
        {
            rc = NGX_ERROR;
        }

    } else {
        return NGX_ERROR;
    }

    if (rc == NGX_OK && !ngx_token_source_canonical(&token.text)) {
        rc = NGX_ERROR;
    }

    switch (rc) {

    case NGX_OK:
        token.status = NGX_HTTP_TOKEN_OK;
        break;

    case NGX_DECLINED:
        token.status = NGX_HTTP_TOKEN_NONE;
        ngx_str_null(&token.text);
        break;

    default: /* NGX_ERROR */
        token.status = NGX_HTTP_TOKEN_MALFORMED;
        ngx_str_null(&token.text);
    }

    ctx->token = token;

    return NGX_OK;
}


/*
 * Whether an argument or a cookie that a token is taken from is there more
 * often than nginx saw: another may be the one that the backend takes.
 */

static ngx_uint_t
ngx_http_ratelimit_redis_token_ambiguous(ngx_http_request_t *r,
    ngx_str_t *source, ngx_str_t *text)
{
    ngx_str_t         name;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    name = *source;

    if (name.len > 2 && name.data[1] == '{') {
        /* ${name} */
        name.data++;
        name.len -= 2;
    }

    if (name.len > 5 && ngx_strncmp(name.data + 1, "arg_", 4) == 0) {
        name.data += 5;
        name.len -= 5;

        n = ngx_token_source_args(&r->args, &name);

        return n > 1 || (n == 1 && text->len == 0);
    }

    if (name.len <= 8 || ngx_strncmp(name.data + 1, "cookie_", 7) != 0) {
        return 0;
    }

    n = 0;
    name.data += 8;
    name.len -= 8;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("Cookie") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Cookie",
                                   sizeof("Cookie") - 1)
                   == 0)
            {
                n += ngx_token_source_cookies(&h[i].value, &name);
            }
        }
    }

    return n > 1 || (n == 1 && text->len == 0);
}


/* A question or a revocation, with the keys of the token; NULL: no memory. */

static ngx_token_revocation_t *
ngx_http_ratelimit_redis_token_revocation(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t                              key;
    ngx_uint_t                             i;
    ngx_array_t                           *keys;
    ngx_token_revocation_t                *revocation;
    ngx_http_complex_value_t              *cv;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    revocation = ngx_pcalloc(r->pool, sizeof(ngx_token_revocation_t));
    if (revocation == NULL) {
        return NULL;
    }

    keys = rlcf->token_keys ? rlcf->token_keys : rmcf->token_keys;
    cv = keys->elts;

    for (i = 0; i < keys->nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &key) != NGX_OK) {
            return NULL;
        }

        if (key.len) {
            revocation->keys[revocation->nkeys++] = key;
        }
    }

    revocation->zone = &rmcf->token_zone;
    revocation->client = ngx_http_ratelimit_redis_client();
    revocation->ttl = rlcf->token_revoke_ttl;
    revocation->log = r->connection->log;

    return revocation;
}


ngx_int_t
ngx_http_ratelimit_redis_token_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (!ctx->conf->token_required && !ctx->conf->token_blacklist) {
        return NGX_DECLINED;
    }

    ctx->token_status = ngx_http_ratelimit_redis_token_outcome(ctx);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "ratelimit redis token: \"%V\"",
                   &ngx_http_ratelimit_redis_token_statuses[
                                                         ctx->token_status]);

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    switch (ctx->token_status) {

    case NGX_HTTP_TOKEN_NONE:

        if (!ctx->conf->token_required) {
            return NGX_DECLINED;
        }

        break;

    case NGX_HTTP_TOKEN_MALFORMED:
    case NGX_HTTP_TOKEN_REVOKED:
        break;

    case NGX_HTTP_TOKEN_UNAVAILABLE:

        if (!ctx->conf->token_deny) {
            return NGX_DECLINED;
        }

        ctx->retry = ngx_limiter_local_now() + 1000;
        *body = rmcf->unavailable;

        return NGX_HTTP_SERVICE_UNAVAILABLE;

    default: /* NGX_HTTP_TOKEN_OK */
        return NGX_DECLINED;
    }

    *body = rmcf->unauthorized;

    return ngx_http_ratelimit_redis_token_challenge(r,
                                    ctx->token_status != NGX_HTTP_TOKEN_NONE);
}


static ngx_http_token_status_e
ngx_http_ratelimit_redis_token_outcome(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    if (ctx->token.status != NGX_HTTP_TOKEN_OK
        || !ctx->conf->token_blacklist)
    {
        return ctx->token.status;
    }

    switch (ctx->revocation->result) {

    case NGX_TOKEN_REVOCATION_REVOKED:
        return NGX_HTTP_TOKEN_REVOKED;

    case NGX_TOKEN_REVOCATION_UNAVAILABLE:
        return NGX_HTTP_TOKEN_UNAVAILABLE;

    default: /* NGX_TOKEN_REVOCATION_CLEAR */
        return ctx->token.status;
    }
}


/*
 * RFC 6750, 3.1: a request that has no token at all is told no error.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_challenge(ngx_http_request_t *r,
    ngx_uint_t invalid)
{
    ngx_str_t         name, value;
    ngx_table_elt_t  *h;

    ngx_str_set(&name, "WWW-Authenticate");

    if (invalid) {
        ngx_str_set(&value, "Bearer error=\"invalid_token\"");

    } else {
        ngx_str_set(&value, "Bearer");
    }

    h = ngx_http_compat_push_header(r, &name, &value);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.www_authenticate = h;

    return NGX_HTTP_UNAUTHORIZED;
}


ngx_int_t
ngx_http_ratelimit_redis_token_revoke(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_token_revocation_t                *revocation;
    ngx_http_ratelimit_redis_ctx_t        *ctx;
    ngx_http_ratelimit_redis_loc_conf_t   *rlcf;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    /* a subrequest is made by a configuration, not by whom the token is of */

    if (r->method != NGX_HTTP_POST || r != r->main) {
        return ngx_http_ratelimit_redis_token_allow(r);
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);

    if (ctx == NULL
        || ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->token_status = ctx->token.status;

    if (ctx->token.status != NGX_HTTP_TOKEN_OK) {
        rc = ngx_http_ratelimit_redis_token_challenge(r,
                                    ctx->token.status != NGX_HTTP_TOKEN_NONE);
        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_api_problem_send(r, rc, &rmcf->unauthorized);
    }

    revocation = ngx_http_ratelimit_redis_token_revocation(r, ctx, rlcf);

    if (revocation == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (revocation->nkeys == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the token cannot be revoked, no "
                      "\"token_blacklist_key\" has a value");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    revocation->handler = ngx_http_ratelimit_redis_token_revoke_handler;
    revocation->data = ctx;

    rc = ngx_token_revocation_revoke(revocation);

    ctx->revocation = revocation;

    if (rc != NGX_AGAIN) {
        return ngx_http_ratelimit_redis_token_revoked(r, ctx);
    }

    if (ngx_http_wait_begin(r) != NGX_OK) {
        ngx_token_revocation_abandon(revocation);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_allow(ngx_http_request_t *r)
{
    ngx_str_t                              name, value;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    ngx_str_set(&name, "Allow");
    ngx_str_set(&value, "POST");

    if (ngx_http_compat_push_header(r, &name, &value) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_problem_send(r, NGX_HTTP_NOT_ALLOWED,
                                     &rmcf->not_allowed);
}


static void
ngx_http_ratelimit_redis_token_revoke_handler(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    rc = (rc == NGX_OK) ? ngx_http_ratelimit_redis_token_revoked(r, ctx)
                        : NGX_HTTP_INTERNAL_SERVER_ERROR;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ratelimit_redis_token_revoked(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    ctx->token_status = NGX_HTTP_TOKEN_REVOKED;

    if (ctx->revocation->result == NGX_TOKEN_REVOCATION_CLEAR) {
        return NGX_HTTP_NO_CONTENT;
    }

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "redis does not answer, the token is revoked on this host "
                  "only");

    ctx->retry = ngx_limiter_local_now() + 1000;

    return ngx_http_api_problem_send(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     &rmcf->unavailable);
}


ngx_int_t
ngx_http_ratelimit_redis_token_digest_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    void                                 *source;
    ngx_str_t                            *digest;
    ngx_http_token_t                     *token;
    ngx_http_ratelimit_redis_ctx_t       *ctx;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    token = &ctx->token;
    digest = &token->digest;

    source = rlcf->token_source ? (void *) rlcf->token_source
                                : &ngx_http_ratelimit_redis_module;

    if ((token->status == NGX_HTTP_TOKEN_UNREAD || token->source != source)
        && ngx_http_ratelimit_redis_token_read(r, ctx, rlcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (token->text.len && digest->len == 0) {

        digest->data = ngx_pnalloc(r->pool, NGX_TOKEN_DIGEST_HEX);
        if (digest->data == NULL) {
            return NGX_ERROR;
        }

        digest->len = NGX_TOKEN_DIGEST_HEX;
        ngx_token_digest_hex(&token->text, digest->data);
    }

    if (digest->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = digest->data;
    v->len = digest->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_ratelimit_redis_token_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                       *status;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 0);

    if (ctx == NULL || ctx->token_status == NGX_HTTP_TOKEN_UNREAD) {
        v->not_found = 1;
        return NGX_OK;
    }

    status = &ngx_http_ratelimit_redis_token_statuses[ctx->token_status];

    v->data = status->data;
    v->len = status->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
