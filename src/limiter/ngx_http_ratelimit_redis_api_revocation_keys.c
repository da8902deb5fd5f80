
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The keys of a revocation are the values of token_blacklist_key and
 * token_blacklist_since_key, in which what is to be revoked takes the place of
 * variables: there is no request that has the token.
 *
 * A token is refused by any of its keys, so of each list of them that some
 * location checks one is enough, and none must not be: that would say of
 * a token that it is revoked while it is accepted there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis_api_revocation.h"
#include "ngx_token_template.h"


typedef ngx_http_ratelimit_redis_api_revocation_t  ngx_http_api_revocation_t;


static ngx_int_t ngx_http_ratelimit_redis_api_revocation_token(
    ngx_http_request_t *r, ngx_http_api_revocation_t *rev);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_blacklist(
    ngx_http_request_t *r, ngx_http_api_revocation_t *rev,
    ngx_token_revocation_t *revocation);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_list(
    ngx_http_api_revocation_t *rev, ngx_array_t *list,
    ngx_token_revocation_t *revocation, ngx_uint_t *n);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_since(
    ngx_http_request_t *r, ngx_http_api_revocation_t *rev,
    ngx_token_revocation_t *revocation);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_add(
    ngx_http_api_revocation_t *rev, ngx_token_revocation_t *revocation,
    ngx_str_t *key);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_named(void *data,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_claimed(
    ngx_http_api_revocation_t *rev, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_user(void *data,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_no(
    ngx_http_api_revocation_t *rev, const char *detail);


#define ngx_http_api_revocation_is(name, text)                                \
    ((name)->len == sizeof(text) - 1                                          \
     && ngx_memcmp((name)->data, text, sizeof(text) - 1) == 0)


ngx_int_t
ngx_http_ratelimit_redis_api_revocation_keys(ngx_http_request_t *r,
    ngx_http_api_revocation_t *rev, ngx_token_revocation_t *revocation)
{
    ngx_int_t                              rc;
    ngx_http_ratelimit_redis_loc_conf_t   *rlcf;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if (rmcf->token_lists.nelts == 0) {
        return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               "no location has \"token_blacklist on\"");
    }

    revocation->ttl = rev->ttl ? rev->ttl : rlcf->token_revoke_ttl;

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_USER
        || rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_SUB)
    {

        /* those that were issued in this second, too */

        revocation->before = ngx_time() + 1;

        return ngx_http_ratelimit_redis_api_revocation_since(r, rev,
                                                             revocation);
    }

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_TOKEN) {

        rc = ngx_http_ratelimit_redis_api_revocation_token(r, rev);

        if (rc != NGX_OK) {
            return rc;
        }

        if (rev->ttl) {
            revocation->ttl = rev->ttl;
        }
    }

    return ngx_http_ratelimit_redis_api_revocation_blacklist(r, rev,
                                                             revocation);
}


/*
 * What is known of a token: what it says, if it can be verified here, and how
 * long it has to be revoked for.  Of its own "exp" nothing but that depends,
 * so that counts without a signature: nobody gains by a longer life of a key.
 */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_token(ngx_http_request_t *r,
    ngx_http_api_revocation_t *rev)
{
    time_t                                ttl;
    ngx_token_jwt_t                      *jwt;
    ngx_token_claims_t                   *claims;
    ngx_token_verdict_e                   verdict;
    ngx_http_token_jwt_t                 *judge;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);
    judge = rlcf->token_jwt;

    ngx_token_digest_hex(&rev->value, rev->hex);

    jwt = ngx_palloc(rev->pool, sizeof(ngx_token_jwt_t)
                                + sizeof(ngx_token_claims_t));
    if (jwt == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    claims = (ngx_token_claims_t *) (jwt + 1);

    if (judge) {
        verdict = ngx_token_claims_judge(rev->pool, &rev->value, judge->keys,
                                         &judge->rules, ngx_time(), jwt,
                                         claims);

        if (verdict == NGX_TOKEN_VERDICT_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (verdict == NGX_TOKEN_VERDICT_OK) {
            rev->claims = claims;
        }
    }

    if (rev->ttl
        || (rev->claims == NULL
            && (ngx_token_jwt_parse(rev->pool, &rev->value, jwt)
                != NGX_TOKEN_VERDICT_OK
                || ngx_token_claims_parse(rev->pool, jwt, claims)
                   != NGX_TOKEN_VERDICT_OK)))
    {
        return NGX_OK;
    }

    if (claims->has_exp) {
        ttl = (time_t) ngx_min(claims->exp - ngx_time(),
                               NGX_HTTP_TOKEN_REVOKE_MAX)
              + rev->leeway;

        ttl = ngx_min(ttl, NGX_HTTP_TOKEN_REVOKE_MAX);

        if (ttl > rlcf->token_revoke_ttl) {
            rev->ttl = ttl;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_blacklist(ngx_http_request_t *r,
    ngx_http_api_revocation_t *rev, ngx_token_revocation_t *revocation)
{
    ngx_int_t                               rc;
    ngx_uint_t                              i, n, nlists;
    ngx_array_t                           **lists;
    ngx_http_ratelimit_redis_loc_conf_t    *rlcf;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if (rlcf->api_keys) {
        lists = &rlcf->api_keys;
        nlists = 1;

    } else {
        lists = rmcf->token_lists.elts;
        nlists = rmcf->token_lists.nelts;
    }

    for (i = 0; i < nlists; i++) {

        rc = ngx_http_ratelimit_redis_api_revocation_list(rev, lists[i],
                                                          revocation, &n);
        if (rc != NGX_OK) {
            return rc;
        }

        if (n == 0 && rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_TOKEN) {
            return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               "no \"token_blacklist_key\" can be made of the "
                               "token, or it is not verified here");
        }
    }

    if (revocation->nkeys == 0) {
        return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               "no \"token_blacklist_key\" is made of "
                               "$token_claim_jti alone");
    }

    return NGX_OK;
}


/* Adds those of a list that can be told, and says how many there are. */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_list(ngx_http_api_revocation_t *rev,
    ngx_array_t *list, ngx_token_revocation_t *revocation, ngx_uint_t *n)
{
    ngx_int_t                  rc;
    ngx_str_t                  key;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    cv = list->elts;
    *n = 0;

    for (i = 0; i < list->nelts; i++) {

        rev->own = 0;

        rc = ngx_token_template_expand(rev->pool, &cv[i].value,
                                 ngx_http_ratelimit_redis_api_revocation_named,
                                 rev, &key);
        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* a key of many tokens would revoke them all */

        if (rc == NGX_DECLINED || !rev->own) {
            continue;
        }

        rc = ngx_http_ratelimit_redis_api_revocation_add(rev, revocation,
                                                         &key);
        if (rc != NGX_OK) {
            return rc;
        }

        (*n)++;
    }

    return NGX_OK;
}


/* All have to be of one variable: it is not known which of two a user is. */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_since(ngx_http_request_t *r,
    ngx_http_api_revocation_t *rev, ngx_token_revocation_t *revocation)
{
    ngx_int_t                               rc;
    ngx_str_t                               key, *values;
    ngx_uint_t                              i, n;
    ngx_http_ratelimit_redis_loc_conf_t    *rlcf;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    if (rlcf->api_since) {
        values = &rlcf->api_since->value;
        n = 1;

    } else {
        values = rmcf->token_sinces.elts;
        n = rmcf->token_sinces.nelts;
    }

    for (i = 0; i < n; i++) {

        rev->own = 0;

        rc = ngx_token_template_expand(rev->pool, &values[i],
                                 ngx_http_ratelimit_redis_api_revocation_user,
                                 rev, &key);
        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_DECLINED || !rev->own) {
            return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_SUB)
                               ? "\"token_blacklist_since_key\" is not made "
                                 "of $token_sub alone"
                               : "\"token_blacklist_since_key\" is not made "
                                 "of one variable");
        }

        rc = ngx_http_ratelimit_redis_api_revocation_add(rev, revocation,
                                                         &key);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (revocation->nkeys == 0) {
        return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               "there is no \"token_blacklist_since_key\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_add(ngx_http_api_revocation_t *rev,
    ngx_token_revocation_t *revocation, ngx_str_t *key)
{
    ngx_uint_t  i;

    for (i = 0; i < revocation->nkeys; i++) {
        if (revocation->keys[i].len == key->len
            && ngx_memcmp(revocation->keys[i].data, key->data, key->len) == 0)
        {
            return NGX_OK;
        }
    }

    if (revocation->nkeys == NGX_HTTP_RATELIMIT_REDIS_API_KEYS) {
        return ngx_http_ratelimit_redis_api_revocation_no(rev,
                               "there are too many keys, the location needs "
                               "its own");
    }

    revocation->keys[revocation->nkeys++] = *key;

    return NGX_OK;
}


/* what the token is, or what its jti says of it */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_named(void *data, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_http_api_revocation_t *rev = data;

    ngx_uint_t  jti;

    jti = ngx_http_api_revocation_is(name, "token_claim_jti");

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_JTI) {

        if (!jti) {
            return NGX_DECLINED;
        }

        rev->own = 1;
        *value = rev->value;

        return NGX_OK;
    }

    if (ngx_http_api_revocation_is(name, "token_digest")) {
        rev->own = 1;
        value->data = rev->hex;
        value->len = NGX_TOKEN_DIGEST_HEX;

        return NGX_OK;
    }

    if (rev->claims == NULL) {
        return NGX_DECLINED;
    }

    if (jti) {
        rev->own = 1;
    }

    return ngx_http_ratelimit_redis_api_revocation_claimed(rev, name, value);
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_claimed(ngx_http_api_revocation_t *rev,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_str_t  rest;

    static ngx_str_t  claim = ngx_string("token_claim_");

    if (ngx_http_api_revocation_is(name, "token_sub")) {
        *value = rev->claims->sub;
        return NGX_OK;
    }

    if (ngx_http_api_revocation_is(name, "token_user")) {
        return ngx_token_claims_user(rev->pool, rev->claims, value);
    }

    if (name->len <= claim.len
        || ngx_memcmp(name->data, claim.data, claim.len) != 0)
    {
        return NGX_DECLINED;
    }

    rest.data = name->data + claim.len;
    rest.len = name->len - claim.len;

    return ngx_token_claims_variable(rev->pool, rev->claims, &rest, value);
}


/*
 * Whatever the one variable is, a user is told by what it is for them.  Of
 * a subject it is known what it is: issuers have others of the same name.
 */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_user(void *data, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_http_api_revocation_t *rev = data;

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_SUB
        && !ngx_http_api_revocation_is(name, "token_sub"))
    {
        return NGX_DECLINED;
    }

    if (rev->name.len == 0) {
        rev->name = *name;
    }

    if (rev->name.len != name->len
        || ngx_memcmp(rev->name.data, name->data, name->len) != 0)
    {
        return NGX_DECLINED;
    }

    rev->own = 1;
    *value = rev->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_no(ngx_http_api_revocation_t *rev,
    const char *detail)
{
    rev->detail = detail;

    return NGX_HTTP_RATELIMIT_REDIS_API_UNPROCESSABLE;
}
