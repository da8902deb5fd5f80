
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether who is nobody by optcache_user is somebody all the same, to whom is
 * behind the cache: what he is told is then not for all, unless it says so.
 */


#ifndef _NGX_HTTP_OPTCACHE_NOBODY_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_NOBODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * Whether the user is not known, and the client shows who it is: it has a
 * cookie or a certificate.
 */

ngx_uint_t ngx_http_optcache_nobody_unknown(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_loc_conf_t *olcf);

/*
 * Whether there is what a user is by, and no user: a cookie that another reader
 * finds, a token, or a decision of auth_request about somebody.  To be asked of
 * who is nobody, when nothing else keeps the response from all.
 */

ngx_uint_t ngx_http_optcache_nobody_nameless(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);

/*
 * To be called of a request with a user.  If it is one of auth_request, it is
 * remembered for the page that this is somebody, until r->pool is destroyed.
 * NGX_OK, or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_nobody_decided(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_NOBODY_H_INCLUDED_ */
