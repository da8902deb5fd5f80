
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "ngx_token_ecdsa.h"
#include "ngx_token_key.h"


static EVP_PKEY_CTX *ngx_token_key_context(ngx_token_key_t *key,
    ngx_token_alg_e alg);
static EVP_MD_CTX *ngx_token_key_mac(ngx_token_key_t *key,
    ngx_token_alg_e alg);
static ngx_int_t ngx_token_key_verify_mac(ngx_token_key_t *key,
    ngx_token_alg_e alg, const ngx_str_t *input, const ngx_str_t *signature);
static ngx_int_t ngx_token_key_verify_eddsa(ngx_token_key_t *key,
    const ngx_str_t *input, const ngx_str_t *signature);
static ngx_int_t ngx_token_key_verify_hash(ngx_token_key_t *key,
    ngx_token_alg_e alg, const ngx_str_t *input, const ngx_str_t *signature);


ngx_int_t
ngx_token_key_prepare(ngx_token_key_t *key)
{
    ngx_uint_t  alg;

    for (alg = 0; alg < NGX_TOKEN_ALGS; alg++) {

        if (!(key->algorithms & ngx_token_alg_bit(alg))
            || alg == NGX_TOKEN_ALG_ED25519)
        {
            continue;
        }

        if (ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_HS) {
            key->mac[alg] = ngx_token_key_mac(key, alg);

        } else {
            key->verify[alg] = ngx_token_key_context(key, alg);
        }

        if (key->mac[alg] == NULL && key->verify[alg] == NULL) {
            ERR_clear_error();
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static EVP_PKEY_CTX *
ngx_token_key_context(ngx_token_key_t *key, ngx_token_alg_e alg)
{
    const EVP_MD  *md;
    EVP_PKEY_CTX  *ctx;

    md = ngx_token_alg_md(alg);

    ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    if (ctx == NULL) {
        return NULL;
    }

    if (EVP_PKEY_verify_init(ctx) != 1) {
        goto failed;
    }

    if ((ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_RS)
        && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
    {
        goto failed;
    }

    /* RFC 7518, 3.5: the same hash for MGF1, a salt as long as it */

    if ((ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_PS)
        && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1
            || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) != 1
            || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST)
               != 1))
    {
        goto failed;
    }

    if (EVP_PKEY_CTX_set_signature_md(ctx, md) != 1) {
        goto failed;
    }

    return ctx;

failed:

    EVP_PKEY_CTX_free(ctx);

    return NULL;
}


static EVP_MD_CTX *
ngx_token_key_mac(ngx_token_key_t *key, ngx_token_alg_e alg)
{
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NULL;
    }

    if (EVP_DigestSignInit(ctx, NULL, ngx_token_alg_md(alg), NULL, key->pkey)
        != 1)
    {
        EVP_MD_CTX_free(ctx);
        return NULL;
    }

    return ctx;
}


void
ngx_token_key_free(ngx_token_key_t *key)
{
    ngx_uint_t  alg;

    for (alg = 0; alg < NGX_TOKEN_ALGS; alg++) {
        EVP_PKEY_CTX_free(key->verify[alg]);
        EVP_MD_CTX_free(key->mac[alg]);
    }

    EVP_PKEY_free(key->pkey);

    ngx_memzero(key, sizeof(ngx_token_key_t));
}


ngx_int_t
ngx_token_key_verify(ngx_token_key_t *key, ngx_token_alg_e alg,
    const ngx_str_t *input, const ngx_str_t *signature)
{
    u_char      der[NGX_TOKEN_ECDSA_DER_MAX];
    ngx_int_t   rc;
    ngx_str_t   sequence;
    ngx_uint_t  starved;

    if (!(key->algorithms & ngx_token_alg_bit(alg))) {
        return NGX_DECLINED;
    }

    ERR_clear_error();

    if (ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_HS) {
        rc = ngx_token_key_verify_mac(key, alg, input, signature);

    /* OpenSSL itself would take a PSS signature without its leading zeros */

    } else if (signature->len != key->signature) {
        rc = NGX_DECLINED;

    } else if (alg == NGX_TOKEN_ALG_ED25519) {
        rc = ngx_token_key_verify_eddsa(key, input, signature);

    } else if (ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_ES) {

        sequence.data = der;

        rc = ngx_token_ecdsa_der(alg, signature, &sequence) == NGX_OK
             ? ngx_token_key_verify_hash(key, alg, input, &sequence)
             : NGX_DECLINED;

    } else {
        rc = ngx_token_key_verify_hash(key, alg, input, signature);
    }

    /* or nginx would tell of it at the next error of a TLS connection */

    starved = ngx_token_key_starved();

    return (rc == NGX_DECLINED && starved) ? NGX_ERROR : rc;
}


static ngx_int_t
ngx_token_key_verify_mac(ngx_token_key_t *key, ngx_token_alg_e alg,
    const ngx_str_t *input, const ngx_str_t *signature)
{
    u_char       mac[EVP_MAX_MD_SIZE];
    size_t       len;
    ngx_int_t    rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    len = EVP_MAX_MD_SIZE;

    if (EVP_MD_CTX_copy_ex(ctx, key->mac[alg]) != 1
        || EVP_DigestSign(ctx, mac, &len, input->data, input->len) != 1)
    {
        rc = NGX_ERROR;

    } else {
        rc = (signature->len == len
              && CRYPTO_memcmp(mac, signature->data, len) == 0)
             ? NGX_OK : NGX_DECLINED;
    }

    EVP_MD_CTX_free(ctx);
    OPENSSL_cleanse(mac, sizeof(mac));

    return rc;
}


/* A context of this kind can neither be used twice nor, in 1.1.1, copied. */

static ngx_int_t
ngx_token_key_verify_eddsa(ngx_token_key_t *key, const ngx_str_t *input,
    const ngx_str_t *signature)
{
    u_char       hash[EVP_MAX_MD_SIZE];
    ngx_int_t    rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) != 1) {
        rc = NGX_ERROR;

    } else if (EVP_DigestVerify(ctx, signature->data, signature->len,
                                input->data, input->len)
               == 1)
    {
        rc = NGX_OK;

    } else {
        /* that it has no memory for its own hash it does not say */

        rc = (EVP_Digest(signature->data, 0, hash, NULL, EVP_sha512(), NULL)
              == 1)
             ? NGX_DECLINED : NGX_ERROR;
    }

    EVP_MD_CTX_free(ctx);

    return rc;
}


static ngx_int_t
ngx_token_key_verify_hash(ngx_token_key_t *key, ngx_token_alg_e alg,
    const ngx_str_t *input, const ngx_str_t *signature)
{
    int           rc;
    u_char        hash[EVP_MAX_MD_SIZE];
    unsigned int  len;

    if (EVP_Digest(input->data, input->len, hash, &len,
                   ngx_token_alg_md(alg), NULL)
        != 1)
    {
        return NGX_ERROR;
    }

    rc = EVP_PKEY_verify(key->verify[alg], signature->data, signature->len,
                         hash, len);

    /*
     * A sequence of two numbers that are in range is right or wrong: there was
     * no memory, which OpenSSL does not always say of P-521, as on arm64.
     */

    if (rc < 0 && (ngx_token_alg_bit(alg) & NGX_TOKEN_ALG_ES)) {
        return NGX_ERROR;
    }

    return (rc == 1) ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_token_key_starved(void)
{
    ngx_uint_t     starved;
    unsigned long  error;

    starved = 0;

    while ((error = ERR_get_error()) != 0) {
        starved |= (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE);
    }

    return starved;
}
