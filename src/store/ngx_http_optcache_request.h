
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a request is to the cache: whose it is, what it asks for, and whether
 * the cache has anything to do with it.
 */


#ifndef _NGX_HTTP_OPTCACHE_REQUEST_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * Makes the key of a request, which has a context, from optcache_user and
 * optcache_key, and from where it was redirected to, which subrequest it is,
 * or what the body of a POST is.  Returns as
 * ngx_optcache_key_create() does.
 */

ngx_int_t ngx_http_optcache_request_key(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_optcache_key_t *key);

/*
 * Whether what is asked for may be something else than what the client has
 * sent: the request was rewritten, redirected or tried, its arguments were set,
 * or its location was found by a variable.
 */

ngx_uint_t ngx_http_optcache_request_moved(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);

/*
 * Whether the request may be answered from the cache, and its answer stored:
 * method, body (RFC 9110, 9.3.1), a URI without a path, WebSocket, and
 * subrequests of auth_request that nothing tells apart.  Needs ctx->key, sets
 * ctx->bypass, which counts if it may not.
 */

ngx_uint_t ngx_http_optcache_request_cacheable(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);

/*
 * What the client asks of caches, in ctx->asked: Cache-Control (RFC 9111,
 * 5.2.1), or Pragma where there is none (5.4).  Left NULL when it asks for
 * nothing, and in a subrequest of auth_request, which is no request of the
 * client.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_request_control(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Whether the client has a condition that a cache must not evaluate, and that
 * is passed on therefore (RFC 9111, 4.3.2): If-Match or If-Unmodified-Since.
 * A subrequest has none of its own.
 */

ngx_uint_t ngx_http_optcache_request_for_origin(ngx_http_request_t *r);

/* Whether Host names another host than the request line (RFC 9112, 3.2.2). */

ngx_uint_t ngx_http_optcache_request_two_hosts(ngx_http_request_t *r);

/* Whether the method is unsafe (RFC 9110, 9.2.1), or not known to be safe. */

ngx_uint_t ngx_http_optcache_request_unsafe(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_REQUEST_H_INCLUDED_ */
