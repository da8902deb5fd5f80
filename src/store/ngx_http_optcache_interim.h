
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_INTERIM_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_INTERIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * Makes a request that is going to "proxy_pass" ready for interim responses
 * (RFC 9110, 15.2), to be called before its content handler.  nginx takes
 * them for the response up to 1.28, and after that all but a 103.  They are
 * never stored: what follows them is.  A client of HTTP/1.1 gets them, but not
 * a 100, which nobody asked for, nor their hop-by-hop fields, Set-Cookie and
 * what nginx hides.  More than 16 in front of one response are an error of the
 * upstream.  Allocates from r->pool; returns NGX_OK or, when out of memory,
 * NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_interim(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_INTERIM_H_INCLUDED_ */
