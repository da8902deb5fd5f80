
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether a response has come to its end (RFC 9112, 6.3 and 8):
 *
 *     Content-Length           as many bytes have passed
 *     chunked                  nginx has seen the last chunk
 *     FastCGI, gRPC            they say themselves when they have finished
 *     the connection's end     only with optcache_close_delimited
 *     made within nginx        its last buffer is the last
 */


#ifndef _NGX_HTTP_OPTCACHE_WHOLE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_WHOLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * Whether the header of a response, before it is sent, tells already that it
 * will not be known to be whole, since it ends with its connection, and that
 * does not count: "closed" is what optcache_close_delimited says.
 */

ngx_uint_t ngx_http_optcache_whole_never(ngx_http_request_t *r,
    ngx_uint_t closed);

/*
 * Whether what was captured is known to be all of the response, and to be in
 * no transfer coding any more (RFC 9111, 3.3; RFC 9112, 6.1 and 6.3).  To be
 * called with the last buffer, or when as many bytes as "expected" are here.
 */

ngx_uint_t ngx_http_optcache_whole(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap);


#endif /* _NGX_HTTP_OPTCACHE_WHOLE_H_INCLUDED_ */
