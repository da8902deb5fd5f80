
/*
 * Copyright (C) The Optcache authors
 */


/*
 * SHA-256, by which tokens and long keys are known outside of a request.
 * Pure.
 */


#ifndef _NGX_TOKEN_DIGEST_H_INCLUDED_
#define _NGX_TOKEN_DIGEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TOKEN_DIGEST      32
#define NGX_TOKEN_DIGEST_HEX  64


/* Writes NGX_TOKEN_DIGEST bytes. */

void ngx_token_digest(const ngx_str_t *text, u_char *digest);

/* Writes NGX_TOKEN_DIGEST_HEX lower case digits. */

void ngx_token_digest_hex(const ngx_str_t *text, u_char *hex);


#endif /* _NGX_TOKEN_DIGEST_H_INCLUDED_ */
