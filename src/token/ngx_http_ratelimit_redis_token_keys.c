
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


/* what a key is made of */

typedef struct {
    ngx_http_request_t       *request;
    ngx_uint_t                lacks;     /* 1: a variable is empty */
    ngx_uint_t                own;       /* 1: another one tells whose it is */
} ngx_http_token_key_t;


static ngx_int_t ngx_http_ratelimit_redis_token_shared(ngx_http_request_t *r,
    ngx_str_t *value, ngx_uint_t *shared);
static ngx_int_t ngx_http_ratelimit_redis_token_made_of(void *data,
    ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_ratelimit_redis_token_own(ngx_str_t *name);
static ngx_uint_t ngx_http_ratelimit_redis_token_has(
    ngx_token_revocation_t *revocation, ngx_str_t *key);


ngx_int_t
ngx_http_ratelimit_redis_token_keys(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf,
    ngx_token_revocation_t *revocation, ngx_uint_t revoke)
{
    ngx_str_t                              key;
    ngx_uint_t                             i, shared;
    ngx_array_t                           *keys;
    ngx_http_complex_value_t              *cv;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    keys = rlcf->token_keys ? rlcf->token_keys : rmcf->token_keys;
    cv = keys->elts;
    shared = 0;

    for (i = 0; i < keys->nelts; i++) {

        if (ngx_http_captures_value(r, &cv[i], &key) != NGX_OK
            || (revoke
                && ngx_http_ratelimit_redis_token_shared(r, &cv[i].value,
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
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_shared(ngx_http_request_t *r, ngx_str_t *value,
    ngx_uint_t *shared)
{
    ngx_int_t             rc;
    ngx_str_t             text;
    ngx_http_captures_t   kept;
    ngx_http_token_key_t  key;

    key.request = r;
    key.lacks = 0;
    key.own = 0;

    if (ngx_http_captures_keep(r, &kept) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_token_template_expand(r->pool, value,
                                   ngx_http_ratelimit_redis_token_made_of,
                                   &key, &text);

    ngx_http_captures_back(r, &kept);

    *shared = key.lacks && !key.own;

    return rc;
}


/* Most claims are not of one token, nor do they tell its session or user. */

static ngx_int_t
ngx_http_ratelimit_redis_token_made_of(void *data, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_http_token_key_t *key = data;

    ngx_http_variable_value_t  *vv;

    /* a value, as nothing ends the others */

    ngx_str_set(value, "-");

    if (name->data[0] >= '1' && name->data[0] <= '9') {
        /* of a regular expression */
        key->own = 1;
        return NGX_OK;
    }

    vv = ngx_http_get_variable(key->request, name,
                               ngx_hash_key(name->data, name->len));
    if (vv == NULL) {
        return NGX_ERROR;
    }

    if (vv->not_found || vv->len == 0) {
        key->lacks = 1;

    } else if (ngx_http_ratelimit_redis_token_own(name)) {
        key->own = 1;
    }

    return NGX_OK;
}


/* What is no claim counts, too. */

static ngx_uint_t
ngx_http_ratelimit_redis_token_own(ngx_str_t *name)
{
    ngx_str_t  *own;

    static ngx_str_t  claim = ngx_string("token_claim_");

    static ngx_str_t  owns[] = {
        ngx_string("token_claim_jti"),
        ngx_string("token_claim_sid"),
        ngx_string("token_claim_session_state"),
        ngx_string("token_claim_sub"),
        ngx_string("token_claim_uid"),
        ngx_string("token_claim_user_id"),
        ngx_null_string
    };

    if (name->len < claim.len
        || ngx_memcmp(name->data, claim.data, claim.len) != 0)
    {
        return 1;
    }

    for (own = owns; own->len; own++) {
        if (name->len == own->len
            && ngx_memcmp(name->data, own->data, own->len) == 0)
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


/* Asked for while the token is the twin. */

ngx_int_t
ngx_http_ratelimit_redis_token_twin(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf,
    ngx_token_revocation_t *revocation)
{
    ngx_int_t          rc;
    ngx_str_t          twin;
    ngx_token_memo_t  *memo;
    ngx_http_token_t   token;

    memo = ctx->token.memo;

    if (memo && memo->single) {
        return NGX_OK;
    }

    rc = ngx_token_source_twin(&ctx->token.text)
         ? ngx_token_jwt_twin(r->pool, &ctx->token.text, &twin)
         : NGX_DECLINED;

    if (rc == NGX_DECLINED) {

        if (memo) {
            memo->single = 1;
        }

        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    token = ctx->token;

    ctx->token.text = twin;
    ctx->token.memo = NULL;
    ngx_str_null(&ctx->token.hex);

    rc = ngx_http_ratelimit_redis_token_keys(r, rlcf, revocation, 0);

    ctx->token = token;

    return rc;
}
