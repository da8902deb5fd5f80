
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "ngx_token_keys.h"


static EVP_PKEY *ngx_token_keys_pem_decode(const char *name,
    const u_char *data, long len, const char **reason);
static EVP_PKEY *ngx_token_keys_pem_key(const char *name, const u_char *data,
    long len);
static EVP_PKEY *ngx_token_keys_pem_certificate(const u_char **p, long len);


ngx_int_t
ngx_token_keys_pem(BIO *bio, EVP_PKEY **pkey, const char **reason)
{
    long            len;
    char           *name, *header;
    u_char         *data;
    unsigned long   error;

    ERR_clear_error();

    if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
        error = ERR_peek_last_error();

        *reason = ngx_token_key_refused("a block of PEM is broken");

        return (ERR_GET_LIB(error) == ERR_LIB_PEM
                && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) ? NGX_DONE
                                                                 : NGX_ERROR;
    }

    *reason = NULL;
    *pkey = ngx_token_keys_pem_decode(name, data, len, reason);

    ERR_clear_error();

    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, len);

    return NGX_OK;
}


static EVP_PKEY *
ngx_token_keys_pem_decode(const char *name, const u_char *data, long len,
    const char **reason)
{
    EVP_PKEY    *pkey;
    ngx_uint_t   n;

    if (ngx_strcmp(name, "PUBLIC KEY") != 0
        && ngx_strcmp(name, "RSA PUBLIC KEY") != 0
        && ngx_strcmp(name, "CERTIFICATE") != 0)
    {
        *reason = "neither a public key nor a certificate";
        return NULL;
    }

    pkey = NULL;

    for (n = 0; n < 2 && pkey == NULL; n++) {
        pkey = ngx_token_keys_pem_key(name, data, len);
    }

    if (pkey == NULL) {
        *reason = ngx_token_key_refused("not a key");
    }

    return pkey;
}


static EVP_PKEY *
ngx_token_keys_pem_key(const char *name, const u_char *data, long len)
{
    EVP_PKEY      *pkey;
    const u_char  *p;

    p = data;

    if (ngx_strcmp(name, "PUBLIC KEY") == 0) {
        pkey = d2i_PUBKEY(NULL, &p, len);

    } else if (ngx_strcmp(name, "RSA PUBLIC KEY") == 0) {
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);

    } else {
        pkey = ngx_token_keys_pem_certificate(&p, len);
    }

    if (pkey && p != data + len) {
        EVP_PKEY_free(pkey);
        return NULL;
    }

    return pkey;
}


static EVP_PKEY *
ngx_token_keys_pem_certificate(const u_char **p, long len)
{
    X509      *x509;
    EVP_PKEY  *pkey;

    x509 = d2i_X509(NULL, p, len);
    if (x509 == NULL) {
        return NULL;
    }

    pkey = X509_get_pubkey(x509);

    X509_free(x509);

    return pkey;
}
