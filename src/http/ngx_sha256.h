
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_SHA256_H_INCLUDED_
#define _NGX_SHA256_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_SHA256_LEN  32


/* Writes the NGX_SHA256_LEN bytes of the SHA-256 of a text (FIPS 180-4). */

void ngx_sha256(const ngx_str_t *text, u_char *digest);


#endif /* _NGX_SHA256_H_INCLUDED_ */
