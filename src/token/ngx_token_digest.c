
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "ngx_token_digest.h"


/*
 * OpenSSL 3 looks its algorithms up by name whenever it is not given one that
 * was fetched, which costs more than hashing a key.  Of this process; never
 * freed.
 */

#if (OPENSSL_VERSION_NUMBER >= 0x30000000L)

static EVP_MD      *ngx_token_digest_md;
static EVP_MD_CTX  *ngx_token_digest_ctx;

#endif


void
ngx_token_digest(const ngx_str_t *text, u_char *digest)
{
#if (OPENSSL_VERSION_NUMBER >= 0x30000000L)

    if (ngx_token_digest_ctx == NULL) {
        ngx_token_digest_ctx = EVP_MD_CTX_new();
    }

    if (ngx_token_digest_md == NULL) {
        ngx_token_digest_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    }

    if (ngx_token_digest_ctx
        && ngx_token_digest_md
        && EVP_DigestInit_ex2(ngx_token_digest_ctx, ngx_token_digest_md, NULL)
        && EVP_DigestUpdate(ngx_token_digest_ctx, text->data, text->len)
        && EVP_DigestFinal_ex(ngx_token_digest_ctx, digest, NULL))
    {
        return;
    }

#endif

    (void) SHA256(text->data, text->len, digest);
}


void
ngx_token_digest_hex(const ngx_str_t *text, u_char *hex)
{
    u_char  digest[NGX_TOKEN_DIGEST];

    ngx_token_digest(text, digest);

    (void) ngx_hex_dump(hex, digest, NGX_TOKEN_DIGEST);
}
