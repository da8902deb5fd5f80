
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The keys of the blacklist that are those of a token: the values of
 * token_blacklist_key.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_token_source.h"
#include "ngx_token_template.h"


/* what tells whose a key is */

typedef enum {
    NGX_HTTP_TOKEN_KEY_OWN = 0,          /* of this token, session or user */
    NGX_HTTP_TOKEN_KEY_COMMON,           /* of many tokens */
    NGX_HTTP_TOKEN_KEY_UNKNOWN,          /* of a map, a cookie, ... */
    NGX_HTTP_TOKEN_KEY_KINDS
} ngx_http_token_key_e;


/* what a key is made of */

typedef struct {
    ngx_http_request_t       *request;
    ngx_str_t                *token;
    ngx_uint_t                lacks[NGX_HTTP_TOKEN_KEY_KINDS];
    ngx_uint_t                has[NGX_HTTP_TOKEN_KEY_KINDS];
} ngx_http_token_key_t;


static ngx_int_t ngx_http_ratelimit_redis_token_text_keys(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_array_t *values, ngx_token_revocation_t *revocation,
    ngx_uint_t revoke);
static ngx_int_t ngx_http_ratelimit_redis_token_shared(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *value,
    ngx_uint_t *shared);
static ngx_int_t ngx_http_ratelimit_redis_token_made_of(void *data,
    ngx_str_t *name, ngx_str_t *value);
static ngx_http_token_key_e ngx_http_ratelimit_redis_token_kind(
    ngx_str_t *name);
static ngx_uint_t ngx_http_ratelimit_redis_token_listed(ngx_str_t *names,
    ngx_str_t *name);
static ngx_uint_t ngx_http_ratelimit_redis_token_has(
    ngx_token_revocation_t *revocation, ngx_str_t *key);
static ngx_int_t ngx_http_ratelimit_redis_token_twins(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_str_t *twins, ngx_uint_t *n);
static ngx_int_t ngx_http_ratelimit_redis_token_twin_keys(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_array_t *values, ngx_token_revocation_t *revocation,
    ngx_str_t *twin);


ngx_int_t
ngx_http_ratelimit_redis_token_keys(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf,
    ngx_token_revocation_t *revocation, ngx_uint_t revoke)
{
    ngx_str_t                              twins[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t                             i, n;
    ngx_array_t                           *values;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    n = 0;

    if (!revoke
        && ngx_http_ratelimit_redis_token_twins(r, &ctx->token, twins, &n)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    values = rlcf->token_keys ? rlcf->token_keys : rmcf->token_keys;

    /* and the one that holds a time */

    revocation->keys = ngx_palloc(r->pool, ((1 + n) * values->nelts + 1)
                                           * sizeof(ngx_str_t));

    if (revocation->keys == NULL
        || ngx_http_ratelimit_redis_token_text_keys(r, ctx, values, revocation,
                                                    revoke)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_ratelimit_redis_token_twin_keys(r, ctx, values,
                                                     revocation, &twins[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The keys of the text that the token has now. */

static ngx_int_t
ngx_http_ratelimit_redis_token_text_keys(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_array_t *values,
    ngx_token_revocation_t *revocation, ngx_uint_t revoke)
{
    ngx_str_t                  key;
    ngx_uint_t                 i, shared;
    ngx_http_complex_value_t  *cv;

    cv = values->elts;
    shared = 0;

    for (i = 0; i < values->nelts; i++) {

        if (ngx_http_captures_value(r, &cv[i], &key) != NGX_OK
            || (revoke
                && ngx_http_ratelimit_redis_token_shared(r, ctx, &cv[i].value,
                                                         &shared)
                   != NGX_OK))
        {
            return NGX_ERROR;
        }

        if (key.len
            && !shared
            && !ngx_http_ratelimit_redis_token_has(revocation, &key))
        {
            revocation->keys[revocation->nkeys++] = key;
        }
    }

    return NGX_OK;
}


/*
 * Whether a key lacks what would tell this token from others: "jti:" is that
 * of all tokens without a jti, and whoever has one would revoke them all.  One
 * that has no variables was meant so.
 *
 * Where nothing is empty that would be the token's own, a value of which it is
 * not known whose it is will do, as that of a map.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_shared(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *value, ngx_uint_t *shared)
{
    ngx_int_t             rc;
    ngx_str_t             text;
    ngx_http_captures_t   kept;
    ngx_http_token_key_t  key;

    ngx_memzero(&key, sizeof(ngx_http_token_key_t));

    key.request = r;
    key.token = &ctx->token.text;

    if (ngx_http_captures_keep(r, &kept) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_token_template_expand(r->pool, value,
                                   ngx_http_ratelimit_redis_token_made_of,
                                   &key, &text);

    ngx_http_captures_back(r, &kept);

    *shared = !key.has[NGX_HTTP_TOKEN_KEY_OWN]
              && (key.lacks[NGX_HTTP_TOKEN_KEY_OWN]
                  || ((key.lacks[NGX_HTTP_TOKEN_KEY_COMMON]
                       || key.lacks[NGX_HTTP_TOKEN_KEY_UNKNOWN])
                      && !key.has[NGX_HTTP_TOKEN_KEY_UNKNOWN]));

    return rc;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_made_of(void *data, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_http_token_key_t *key = data;

    ngx_http_token_key_e        kind;
    ngx_http_variable_value_t  *vv;

    /* a value, as nothing ends the others */

    ngx_str_set(value, "-");

    if (name->data[0] >= '1' && name->data[0] <= '9') {
        /* of a regular expression */
        return NGX_OK;
    }

    vv = ngx_http_get_variable(key->request, name,
                               ngx_hash_key(name->data, name->len));
    if (vv == NULL) {
        return NGX_ERROR;
    }

    kind = ngx_http_ratelimit_redis_token_kind(name);

    if (vv->not_found || vv->len == 0) {
        key->lacks[kind] = 1;
        return NGX_OK;
    }

    if (vv->len == key->token->len
        && ngx_memcmp(vv->data, key->token->data, vv->len) == 0)
    {
        /* the token itself */
        kind = NGX_HTTP_TOKEN_KEY_OWN;
    }

    key->has[kind] = 1;

    return NGX_OK;
}


/* Of the claims those of a token, its session, or its user are its own. */

static ngx_http_token_key_e
ngx_http_ratelimit_redis_token_kind(ngx_str_t *name)
{
    static ngx_str_t  claim = ngx_string("token_claim_");

    static ngx_str_t  owns[] = {
        ngx_string("token_digest"),
        ngx_string("token_sub"),
        ngx_string("token_user"),
        ngx_string("token_claim_jti"),
        ngx_string("token_claim_sid"),
        ngx_string("token_claim_session_state"),
        ngx_string("token_claim_sub"),
        ngx_string("token_claim_uid"),
        ngx_string("token_claim_user_id"),
        ngx_null_string
    };

    static ngx_str_t  commons[] = {
        ngx_string("token_exp"),
        ngx_string("token_status"),
        ngx_string("host"),
        ngx_string("http_host"),
        ngx_string("hostname"),
        ngx_string("scheme"),
        ngx_string("https"),
        ngx_string("server_addr"),
        ngx_string("server_name"),
        ngx_string("server_port"),
        ngx_string("server_protocol"),
        ngx_string("request_method"),
        ngx_string("uri"),
        ngx_string("document_uri"),
        ngx_string("request_uri"),
        ngx_null_string
    };

    if (ngx_http_ratelimit_redis_token_listed(owns, name)) {
        return NGX_HTTP_TOKEN_KEY_OWN;
    }

    if (ngx_http_ratelimit_redis_token_listed(commons, name)
        || (name->len > claim.len
            && ngx_memcmp(name->data, claim.data, claim.len) == 0))
    {
        return NGX_HTTP_TOKEN_KEY_COMMON;
    }

    return NGX_HTTP_TOKEN_KEY_UNKNOWN;
}


static ngx_uint_t
ngx_http_ratelimit_redis_token_listed(ngx_str_t *names, ngx_str_t *name)
{
    for ( /* void */ ; names->len; names++) {
        if (name->len == names->len
            && ngx_memcmp(name->data, names->data, names->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_ratelimit_redis_token_has(ngx_token_revocation_t *revocation,
    ngx_str_t *key)
{
    ngx_uint_t  i;

    for (i = 0; i < revocation->nkeys; i++) {
        if (revocation->keys[i].len == key->len
            && ngx_memcmp(revocation->keys[i].data, key->data, key->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* The other texts of the token, if there are any. */

static ngx_int_t
ngx_http_ratelimit_redis_token_twins(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_str_t *twins, ngx_uint_t *n)
{
    *n = 0;

    if (token->memo && token->memo->single) {
        return NGX_OK;
    }

    if (ngx_token_source_twin(&token->text)
        && ngx_token_jwt_twins(r->pool, &token->text, twins, n) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (token->memo && *n == 0) {
        token->memo->single = 1;
    }

    return NGX_OK;
}


/* Asked for while the token is the twin. */

static ngx_int_t
ngx_http_ratelimit_redis_token_twin_keys(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_array_t *values,
    ngx_token_revocation_t *revocation, ngx_str_t *twin)
{
    ngx_int_t         rc;
    ngx_http_token_t  token;

    token = ctx->token;

    ctx->token.text = *twin;
    ctx->token.memo = NULL;
    ngx_str_null(&ctx->token.hex);

    rc = ngx_http_ratelimit_redis_token_text_keys(r, ctx, values, revocation,
                                                  0);

    ctx->token = token;

    return rc;
}
