
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_sha256.h"
#include "ngx_token_digest.h"


void
ngx_token_digest(const ngx_str_t *text, u_char *digest)
{
    ngx_sha256(text, digest);
}


void
ngx_token_digest_hex(const ngx_str_t *text, u_char *hex)
{
    u_char  digest[NGX_TOKEN_DIGEST];

    ngx_token_digest(text, digest);

    (void) ngx_hex_dump(hex, digest, NGX_TOKEN_DIGEST);
}
