
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include "ngx_token_base64.h"
#include "ngx_token_keys.h"


static const char *ngx_token_keys_jwk_material(ngx_pool_t *temp,
    const ngx_input_json_t *json, ngx_token_key_t *key);
static const char *ngx_token_keys_jwk_secret(ngx_pool_t *temp,
    const ngx_input_json_t *json, ngx_token_key_t *key);
static const char *ngx_token_keys_jwk_bytes(ngx_pool_t *temp,
    const ngx_input_json_t *json, const char *name, const char *missing,
    ngx_str_t *bytes);
static const char *ngx_token_keys_jwk_purpose(const ngx_input_json_t *json);
static const char *ngx_token_keys_jwk_algorithm(const ngx_input_json_t *json,
    ngx_token_key_t *key);
static const char *ngx_token_keys_jwk_kid(ngx_pool_t *pool,
    const ngx_input_json_t *json, ngx_token_key_t *key);


const char *
ngx_token_keys_jwk(ngx_pool_t *pool, ngx_pool_t *temp,
    const ngx_input_json_t *json, ngx_token_key_t *key, ngx_uint_t *private)
{
    const char  *err;

    *private = 0;

    if (ngx_input_json_type(json) != NGX_INPUT_JSON_OBJECT) {
        return "not an object";
    }

    err = ngx_token_keys_jwk_purpose(json);
    if (err) {
        return err;
    }

    err = ngx_token_keys_jwk_material(temp, json, key);
    if (err) {
        return err;
    }

    err = ngx_token_keys_jwk_algorithm(json, key);
    if (err) {
        return err;
    }

    /* RFC 7518, 6: in all types of keys that have two parts */

    *private = (ngx_input_json_member(json, "d") != NULL);

    return ngx_token_keys_jwk_kid(pool, json, key);
}


static const char *
ngx_token_keys_jwk_material(ngx_pool_t *temp, const ngx_input_json_t *json,
    ngx_token_key_t *key)
{
    ngx_str_t    kty, crv, one, two;
    const char  *err;

    if (ngx_input_json_string(ngx_input_json_member(json, "kty"), &kty)
        != NGX_OK)
    {
        return "no \"kty\"";
    }

    if (ngx_strcmp(kty.data, "oct") == 0) {
        return ngx_token_keys_jwk_secret(temp, json, key);
    }

    if (ngx_strcmp(kty.data, "RSA") == 0) {

        err = ngx_token_keys_jwk_bytes(temp, json, "n",
                                       "no \"n\", in base64url", &one);
        if (err) {
            return err;
        }

        err = ngx_token_keys_jwk_bytes(temp, json, "e",
                                       "no \"e\", in base64url", &two);
        if (err) {
            return err;
        }

        return ngx_token_key_rsa(key, &one, &two);
    }

    if (ngx_strcmp(kty.data, "EC") != 0 && ngx_strcmp(kty.data, "OKP") != 0) {
        return "an unknown \"kty\"";
    }

    if (ngx_input_json_string(ngx_input_json_member(json, "crv"), &crv)
        != NGX_OK)
    {
        return "no \"crv\"";
    }

    err = ngx_token_keys_jwk_bytes(temp, json, "x",
                                   "no \"x\", in base64url", &one);
    if (err) {
        return err;
    }

    if (kty.len == 3) {
        return ngx_token_key_okp(key, &crv, &one);
    }

    err = ngx_token_keys_jwk_bytes(temp, json, "y",
                                   "no \"y\", in base64url", &two);
    if (err) {
        return err;
    }

    return ngx_token_key_ec(key, &crv, &one, &two);
}


/* A secret is wiped from where it passed through. */

static const char *
ngx_token_keys_jwk_secret(ngx_pool_t *temp, const ngx_input_json_t *json,
    ngx_token_key_t *key)
{
    ngx_str_t    secret, text;
    const char  *err;

    err = ngx_token_keys_jwk_bytes(temp, json, "k",
                                   "no \"k\", in base64url", &secret);
    if (err) {
        return err;
    }

    err = ngx_token_key_secret(key, &secret);

    (void) ngx_input_json_string(ngx_input_json_member(json, "k"), &text);

    OPENSSL_cleanse(secret.data, secret.len);
    OPENSSL_cleanse(text.data, text.len);

    return err;
}


/* NULL; or "missing", if there is no such member; or that there is no memory */

static const char *
ngx_token_keys_jwk_bytes(ngx_pool_t *temp, const ngx_input_json_t *json,
    const char *name, const char *missing, ngx_str_t *bytes)
{
    ngx_str_t  text;

    if (ngx_input_json_string(ngx_input_json_find(json, (u_char *) name,
                                                  ngx_strlen(name)),
                              &text)
        != NGX_OK)
    {
        return missing;
    }

    bytes->data = ngx_pnalloc(temp, ngx_token_base64_size(text.len));
    if (bytes->data == NULL) {
        return ngx_token_key_no_memory;
    }

    return (ngx_token_base64_decode(&text, bytes) == NGX_OK) ? NULL : missing;
}


/* RFC 7517, 4.2 and 4.3 */

static const char *
ngx_token_keys_jwk_purpose(const ngx_input_json_t *json)
{
    static ngx_str_t         sig = ngx_string("sig");
    static ngx_str_t         verify = ngx_string("verify");
    const ngx_input_json_t  *use, *ops, *op;

    use = ngx_input_json_member(json, "use");

    if (use && !ngx_input_json_is(use, &sig)) {
        return "its \"use\" is not \"sig\"";
    }

    ops = ngx_input_json_member(json, "key_ops");

    if (ops == NULL) {
        return NULL;
    }

    if (ngx_input_json_type(ops) == NGX_INPUT_JSON_ARRAY) {

        for (op = ngx_input_json_first(ops); op; op = ngx_input_json_next(op))
        {
            if (ngx_input_json_is(op, &verify)) {
                return NULL;
            }
        }
    }

    return "its \"key_ops\" have no \"verify\"";
}


/* RFC 7517, 4.4: if there is one, it is the only one */

static const char *
ngx_token_keys_jwk_algorithm(const ngx_input_json_t *json,
    ngx_token_key_t *key)
{
    ngx_str_t                name;
    ngx_token_alg_e          alg;
    const ngx_input_json_t  *value;

    value = ngx_input_json_member(json, "alg");

    if (value == NULL) {
        return NULL;
    }

    if (ngx_input_json_string(value, &name) != NGX_OK
        || ngx_token_alg_find(&name, &alg) != NGX_OK)
    {
        return "an unknown \"alg\"";
    }

    key->algorithms &= ngx_token_alg_bit(alg);

    return key->algorithms ? NULL : "its \"alg\" is not for such a key";
}


static const char *
ngx_token_keys_jwk_kid(ngx_pool_t *pool, const ngx_input_json_t *json,
    ngx_token_key_t *key)
{
    ngx_str_t                kid;
    const ngx_input_json_t  *value;

    value = ngx_input_json_member(json, "kid");

    if (value == NULL) {
        return NULL;
    }

    if (ngx_input_json_string(value, &kid) != NGX_OK
        || kid.len > NGX_TOKEN_KEYS_KID)
    {
        return "its \"kid\" is not a string of up to 256 bytes";
    }

    key->kid.len = kid.len;
    key->kid.data = ngx_pnalloc(pool, kid.len + 1);

    if (key->kid.data == NULL) {
        return ngx_token_key_no_memory;
    }

    ngx_memcpy(key->kid.data, kid.data, kid.len);

    return NULL;
}
