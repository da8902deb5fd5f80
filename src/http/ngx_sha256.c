
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A key is short: to look up an algorithm, or to make room for its state, costs
 * OpenSSL 3 several times what the hash itself does.  These functions do
 * neither, are in all libraries like it, and are deprecated only in favour of
 * those that do.
 */

#define OPENSSL_SUPPRESS_DEPRECATED

#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/opensslconf.h>
#include <openssl/sha.h>

#include "ngx_sha256.h"


void
ngx_sha256(const ngx_str_t *text, u_char *digest)
{
#ifdef OPENSSL_NO_DEPRECATED_3_0

    (void) SHA256(text->data, text->len, digest);

#else

    SHA256_CTX  ctx;

    (void) SHA256_Init(&ctx);
    (void) SHA256_Update(&ctx, text->data, text->len);
    (void) SHA256_Final(digest, &ctx);

#endif
}
