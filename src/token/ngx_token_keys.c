
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "ngx_token_keys.h"


static ngx_int_t ngx_token_keys_parse_json(ngx_token_keys_t *keys,
    ngx_pool_t *pool, const ngx_str_t *bytes, ngx_uint_t allowed,
    ngx_str_t *err);
static ngx_int_t ngx_token_keys_add_jwks(ngx_token_keys_t *keys,
    ngx_pool_t *pool, ngx_pool_t *temp, const ngx_input_json_t *json,
    ngx_uint_t allowed, ngx_str_t *err);
static ngx_int_t ngx_token_keys_parse_pem(ngx_token_keys_t *keys,
    const ngx_str_t *bytes, ngx_uint_t allowed, ngx_str_t *err);
static ngx_int_t ngx_token_keys_add(ngx_token_keys_t *keys,
    ngx_uint_t allowed, const char *reason);
static ngx_int_t ngx_token_keys_none(ngx_token_keys_t *keys,
    ngx_pool_t *pool, ngx_str_t *err);
static void ngx_token_keys_identify(ngx_token_keys_t *keys,
    const ngx_str_t *bytes, ngx_uint_t allowed);
static void ngx_token_keys_cleanup(void *data);
static ngx_uint_t ngx_token_keys_has(const ngx_token_key_t *key,
    const ngx_str_t *kid);


static ngx_input_json_limits_t  ngx_token_keys_limits = {
    NGX_TOKEN_KEYS_FILE, NGX_TOKEN_KEYS_MAX * 32, NGX_TOKEN_KEYS_MAX * 64
};


ngx_token_keys_t *
ngx_token_keys_parse(ngx_pool_t *pool, const ngx_str_t *bytes,
    ngx_uint_t allowed, ngx_str_t *err)
{
    u_char              *p, *last;
    ngx_int_t            rc;
    ngx_token_keys_t    *keys;
    ngx_pool_cleanup_t  *cln;

    ngx_str_null(err);

    if (bytes->len == 0) {
        ngx_str_set(err, "it is empty");
        return NULL;
    }

    if (bytes->len > NGX_TOKEN_KEYS_FILE) {
        ngx_str_set(err, "more than 1 megabyte");
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_token_keys_t));
    if (cln == NULL) {
        return NULL;
    }

    keys = cln->data;
    ngx_memzero(keys, sizeof(ngx_token_keys_t));

    keys->elts = ngx_pcalloc(pool,
                             NGX_TOKEN_KEYS_MAX * sizeof(ngx_token_key_t));
    if (keys->elts == NULL) {
        return NULL;
    }

    cln->handler = ngx_token_keys_cleanup;

    if (allowed == 0) {
        allowed = NGX_TOKEN_ALG_ALL;
    }

    ERR_clear_error();

    p = bytes->data;
    last = p + bytes->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    rc = (p < last && *p == '{')
         ? ngx_token_keys_parse_json(keys, pool, bytes, allowed, err)
         : ngx_token_keys_parse_pem(keys, bytes, allowed, err);

    ERR_clear_error();

    if (rc != NGX_OK || ngx_token_keys_none(keys, pool, err) != NGX_OK) {
        return NULL;
    }

    ngx_token_keys_identify(keys, bytes, allowed);

    return keys;
}


static ngx_int_t
ngx_token_keys_parse_json(ngx_token_keys_t *keys, ngx_pool_t *pool,
    const ngx_str_t *bytes, ngx_uint_t allowed, ngx_str_t *err)
{
    ngx_int_t          rc;
    ngx_pool_t        *temp;
    ngx_input_json_t  *json;

    temp = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, pool->log);
    if (temp == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_input_json_parse(temp, bytes, &ngx_token_keys_limits, &json);

    if (rc == NGX_OK) {
        rc = ngx_token_keys_add_jwks(keys, pool, temp, json, allowed, err);

    } else if (rc == NGX_DECLINED) {
        ngx_str_set(err, "not valid JSON, or two members have one name, or "
                         "it is too deep");
        rc = NGX_ERROR;
    }

    ngx_destroy_pool(temp);

    return rc;
}


static ngx_int_t
ngx_token_keys_add_jwks(ngx_token_keys_t *keys, ngx_pool_t *pool,
    ngx_pool_t *temp, const ngx_input_json_t *json, ngx_uint_t allowed,
    ngx_str_t *err)
{
    ngx_uint_t               private;
    const char              *reason;
    ngx_token_key_t         *key;
    const ngx_input_json_t  *set, *jwk;

    set = ngx_input_json_member(json, "keys");

    if (ngx_input_json_type(set) == NGX_INPUT_JSON_ARRAY) {
        jwk = ngx_input_json_first(set);

    } else if (set == NULL && ngx_input_json_member(json, "kty")) {
        jwk = json;

    } else {
        ngx_str_set(err, "there is no array \"keys\" in it");
        return NGX_ERROR;
    }

    for ( /* void */ ; jwk; jwk = ngx_input_json_next(jwk)) {

        if (keys->nelts + keys->skipped == NGX_TOKEN_KEYS_MAX) {
            ngx_str_set(err, "more than 64 keys");
            return NGX_ERROR;
        }

        key = &keys->elts[keys->nelts];
        reason = ngx_token_keys_jwk(pool, temp, jwk, key, &private);

        switch (ngx_token_keys_add(keys, allowed, reason)) {

        case NGX_OK:
            keys->private += private;
            break;

        case NGX_DECLINED:
            break;

        default: /* NGX_ERROR */
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_token_keys_parse_pem(ngx_token_keys_t *keys, const ngx_str_t *bytes,
    ngx_uint_t allowed, ngx_str_t *err)
{
    BIO              *bio;
    EVP_PKEY         *pkey;
    ngx_int_t         rc;
    const char       *reason;
    ngx_token_key_t  *key;

    bio = BIO_new_mem_buf(bytes->data, (int) bytes->len);
    if (bio == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {

        rc = ngx_token_keys_pem(bio, &pkey, &reason);

        if (rc == NGX_DONE) {
            rc = NGX_OK;
            break;
        }

        if (rc == NGX_ERROR) {

            if (reason != ngx_token_key_no_memory) {
                err->data = (u_char *) reason;
                err->len = ngx_strlen(reason);
            }

            break;
        }

        if (keys->nelts + keys->skipped == NGX_TOKEN_KEYS_MAX) {
            EVP_PKEY_free(pkey);
            ngx_str_set(err, "more than 64 keys");
            rc = NGX_ERROR;
            break;
        }

        key = &keys->elts[keys->nelts];

        if (pkey) {
            reason = ngx_token_key_pkey(key, pkey);
        }

        rc = ngx_token_keys_add(keys, allowed, reason);

        if (rc == NGX_ERROR) {
            break;
        }
    }

    BIO_free(bio);

    return rc;
}


/*
 * Takes the key after the last one, or leaves it out, for a reason or because
 * it is for nothing that is allowed.  NGX_OK, NGX_DECLINED, or NGX_ERROR.
 */

static ngx_int_t
ngx_token_keys_add(ngx_token_keys_t *keys, ngx_uint_t allowed,
    const char *reason)
{
    ngx_token_key_t  *key;

    key = &keys->elts[keys->nelts];

    if (reason == NULL) {
        key->algorithms &= allowed;

        if (key->algorithms == 0) {
            reason = "it is for no algorithm that is allowed";
        }
    }

    if (reason == ngx_token_key_no_memory) {
        /* a set without it would refuse good tokens until the next reload */
        ngx_token_key_free(key);
        return NGX_ERROR;
    }

    if (reason) {
        ngx_token_key_free(key);

        if (keys->reason == NULL) {
            keys->reason = reason;
            keys->position = keys->nelts + keys->skipped + 1;
        }

        keys->skipped++;

        return NGX_DECLINED;
    }

    if (ngx_token_key_prepare(key) != NGX_OK) {
        ngx_token_key_free(key);
        return NGX_ERROR;
    }

    keys->nelts++;

    return NGX_OK;
}


static ngx_int_t
ngx_token_keys_none(ngx_token_keys_t *keys, ngx_pool_t *pool, ngx_str_t *err)
{
    size_t  len;

    if (keys->nelts) {
        return NGX_OK;
    }

    if (keys->reason == NULL) {
        ngx_str_set(err, "no key in it, a JWKS or PEM was expected");
        return NGX_ERROR;
    }

    len = sizeof("no key of it can be used; key : ") - 1 + NGX_INT_T_LEN
          + ngx_strlen(keys->reason);

    err->data = ngx_pnalloc(pool, len);
    if (err->data == NULL) {
        return NGX_ERROR;
    }

    err->len = ngx_sprintf(err->data, "no key of it can be used; key %ui: %s",
                           keys->position, keys->reason)
               - err->data;

    return NGX_ERROR;
}


static void
ngx_token_keys_identify(ngx_token_keys_t *keys, const ngx_str_t *bytes,
    ngx_uint_t allowed)
{
    u_char     buf[NGX_TOKEN_DIGEST + NGX_INT_T_LEN];
    ngx_str_t  text;

    ngx_token_digest(bytes, buf);

    text.data = buf;
    text.len = ngx_sprintf(buf + NGX_TOKEN_DIGEST, "%ui", allowed) - buf;

    ngx_token_digest(&text, keys->id);
}


static void
ngx_token_keys_cleanup(void *data)
{
    ngx_token_keys_t *keys = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_TOKEN_KEYS_MAX; i++) {
        ngx_token_key_free(&keys->elts[i]);
    }
}


ngx_token_verdict_e
ngx_token_keys_verify(ngx_token_keys_t *keys, const ngx_str_t *kid,
    ngx_token_alg_e alg, const ngx_str_t *input, const ngx_str_t *signature)
{
    ngx_str_t             none;
    ngx_uint_t            i, named;
    ngx_token_key_t      *key;
    ngx_token_verdict_e   verdict;

    ngx_str_null(&none);
    named = 0;

    for (i = 0; kid->data && i < keys->nelts; i++) {
        named |= ngx_token_keys_has(&keys->elts[i], kid);
    }

    if (kid->data && !named) {
        kid = &none;
        named = 1;
    }

    verdict = NGX_TOKEN_VERDICT_KEY;

    for (i = 0; i < keys->nelts; i++) {
        key = &keys->elts[i];

        if (named && !ngx_token_keys_has(key, kid)) {
            continue;
        }

        if (!(key->algorithms & ngx_token_alg_bit(alg))) {

            if (verdict == NGX_TOKEN_VERDICT_KEY) {
                verdict = NGX_TOKEN_VERDICT_ALGORITHM;
            }

            continue;
        }

        switch (ngx_token_key_verify(key, alg, input, signature)) {

        case NGX_OK:
            return NGX_TOKEN_VERDICT_OK;

        case NGX_DECLINED:

            if (verdict != NGX_TOKEN_VERDICT_ERROR) {
                verdict = NGX_TOKEN_VERDICT_SIGNATURE;
            }

            break;

        default: /* NGX_ERROR */
            verdict = NGX_TOKEN_VERDICT_ERROR;
        }
    }

    return verdict;
}


static ngx_uint_t
ngx_token_keys_has(const ngx_token_key_t *key, const ngx_str_t *kid)
{
    if (key->kid.data == NULL || kid->data == NULL) {
        return key->kid.data == kid->data;
    }

    return key->kid.len == kid->len
           && ngx_memcmp(key->kid.data, kid->data, kid->len) == 0;
}
