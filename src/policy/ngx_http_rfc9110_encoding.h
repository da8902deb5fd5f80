
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9110_ENCODING_H_INCLUDED_
#define _NGX_HTTP_RFC9110_ENCODING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Whether a request with this Accept-Encoding field value takes a content
 * coding (RFC 9110, 12.5.3).  A coding is taken when it, an alias of it
 * ("x-gzip") or "*" is listed with a weight above 0; what names the coding
 * goes before "*".  "line" is NULL when the field is absent: then nothing but
 * identity is taken, although the RFC would allow more.  "coding" is in lower
 * case.  Pure.
 */

ngx_uint_t ngx_http_rfc9110_accepts(ngx_str_t *line, ngx_str_t *coding);

/*
 * Whether such a request takes what has no coding: unless it says "identity",
 * or else "*", with a weight of 0.  Pure.
 */

ngx_uint_t ngx_http_rfc9110_accepts_identity(ngx_str_t *line);

/*
 * Whether a response with this Content-Encoding field value may be sent to
 * such a client: it takes all codings of the list that are commonly known.
 * One that is not would be asked for by nobody; who got it got the only form
 * there is.  Where the response "varies" on Accept-Encoding, there are others,
 * and it has been asked for.  Pure.
 */

ngx_uint_t ngx_http_rfc9110_acceptable(ngx_str_t *line, ngx_str_t *codings,
    ngx_uint_t varies);


#endif /* _NGX_HTTP_RFC9110_ENCODING_H_INCLUDED_ */
