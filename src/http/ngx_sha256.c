
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "ngx_sha256.h"


/*
 * OpenSSL 3 looks its algorithms up by name whenever it is not given one that
 * was fetched, which costs more than hashing a key.  Of this process; never
 * freed.  The context keeps nothing of a text that is done.
 */

#if (OPENSSL_VERSION_NUMBER >= 0x30000000L)

static EVP_MD      *ngx_sha256_md;
static EVP_MD_CTX  *ngx_sha256_ctx;

#endif


void
ngx_sha256(const ngx_str_t *text, u_char *digest)
{
#if (OPENSSL_VERSION_NUMBER >= 0x30000000L)

    if (ngx_sha256_ctx == NULL) {
        ngx_sha256_ctx = EVP_MD_CTX_new();
    }

    if (ngx_sha256_md == NULL) {
        ngx_sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    }

    if (ngx_sha256_ctx
        && ngx_sha256_md
        && EVP_DigestInit_ex2(ngx_sha256_ctx, ngx_sha256_md, NULL)
        && EVP_DigestUpdate(ngx_sha256_ctx, text->data, text->len)
        && EVP_DigestFinal_ex(ngx_sha256_ctx, digest, NULL))
    {
        return;
    }

#endif

    (void) SHA256(text->data, text->len, digest);
}
