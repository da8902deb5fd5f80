
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Where a token is found in what a client sent.  Pure.
 */


#ifndef _NGX_TOKEN_SOURCE_H_INCLUDED_
#define _NGX_TOKEN_SOURCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Finds the token in the value of an Authorization field (RFC 6750, 2.1; the
 * scheme in any case, as RFC 9110, 11.1, says).  "token" points into "field".
 *
 * Returns NGX_OK; NGX_DECLINED if the field is of another scheme or empty;
 * NGX_ERROR if it is of this one and has no token, or what is no b64token.
 */

ngx_int_t ngx_token_source_bearer(const ngx_str_t *field, ngx_str_t *token);


#endif /* _NGX_TOKEN_SOURCE_H_INCLUDED_ */
