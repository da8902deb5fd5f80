
/*
 * Copyright (C) The Optcache authors
 */


/*
 * base64url as JOSE writes it (RFC 7515, 2): no padding, no line breaks, and
 * no other way to write the same bytes.  nginx's own decoder stops at "=" and
 * ignores the bits that the last character has to spare.  Pure.
 */


#ifndef _NGX_TOKEN_BASE64_H_INCLUDED_
#define _NGX_TOKEN_BASE64_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* The most bytes that a text of so many characters is. */

#define ngx_token_base64_size(len)  ((len) / 4 * 3 + 2)


/*
 * Decodes "text" to dst->data, which has room for ngx_token_base64_size(), and
 * sets dst->len.  An empty text is no bytes.
 *
 * Returns NGX_OK, or NGX_ERROR if the text has another character, a length
 * that no bytes have, or spare bits that are not zero (RFC 4648, 3.5).
 */

ngx_int_t ngx_token_base64_decode(const ngx_str_t *text, ngx_str_t *dst);

/* Writes the text of "src", (src->len * 4 + 2) / 3 characters. */

void ngx_token_base64_encode(const ngx_str_t *src, u_char *text);


#endif /* _NGX_TOKEN_BASE64_H_INCLUDED_ */
