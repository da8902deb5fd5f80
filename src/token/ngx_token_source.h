
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
 * NGX_ERROR if it is of this one and has no token, or what is no b64token; or
 * if it has a control character, or the word where another reader may find a
 * token behind it, which we would not have looked at.
 */

ngx_int_t ngx_token_source_bearer(const ngx_str_t *field, ngx_str_t *token);

/* The same in two steps: what follows the scheme, and whether it is one. */

ngx_int_t ngx_token_source_scheme(const ngx_str_t *field, ngx_str_t *token);
ngx_uint_t ngx_token_source_b64token(const ngx_str_t *token);

/*
 * Whether the value of token_source can be read in one way only.  Whitespace,
 * quotes, backslashes, percent signs and what is not ASCII are not: one
 * backend takes them as they are and another decodes, trims or unquotes them,
 * and would accept a revoked token in a form whose digest nobody revoked.
 */

ngx_uint_t ngx_token_source_plain(const ngx_str_t *token);


/*
 * Whether there is no other way to write the same token.  One of three parts
 * between dots or more, the first of which may be an object, is taken for a JWS
 * or JWE in compact form (RFC 7515, 7.1; RFC 7516, 7.1).  It has three parts,
 * or five if its header has a member "enc"; they are base64url without padding,
 * and the bits that the last character of a part does not need are zero (RFC
 * 4648, 3.5).  Else a revoked token would be another one to us, and the same to
 * a decoder that is not so strict.  Of other tokens nothing is known: they are
 * taken as they are.
 *
 * Returns NGX_OK if so, NGX_DECLINED if not, NGX_ERROR if there is no memory.
 * The pool is used for five parts only.
 */

ngx_int_t ngx_token_source_canonical(ngx_pool_t *pool, const ngx_str_t *token);


/*
 * Whether a text may be a JWS or JWE of which there is another text, by the
 * signature or encrypted key alone: of 64, 96 or 132 bytes, as a signature of
 * ECDSA has (RFC 7518, 3.4), or what RSA makes, of 576 to 16384 bits, with
 * leading zeros, also with more than belong to it, or without them, see
 * ngx_token_jwt.h.  Cheap, and not exact.
 */

ngx_uint_t ngx_token_source_twin(const ngx_str_t *text);


#endif /* _NGX_TOKEN_SOURCE_H_INCLUDED_ */
