
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


#endif /* _NGX_HTTP_RFC9110_ENCODING_H_INCLUDED_ */
