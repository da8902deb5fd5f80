
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_INVALIDATE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_INVALIDATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * An unsafe request has been answered without an error (RFC 9111, 4.4): all
 * hosts are told of its URI, of what Location and Content-Location name, if
 * that is of this origin, and of the groups in Cache-Group-Invalidation.
 *
 * Where optcache_key is made of something else, the URI does not tell what is
 * meant: the stored GET of its key goes, too, of this user and of the shared
 * partition.  For Location and Content-Location, optcache_key is evaluated with
 * their URI in place of the request's.
 * NGX_ERROR when out of memory.
 */

ngx_rare ngx_int_t ngx_http_optcache_invalidate(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * The same of a request that was redirected, by X-Accel-Redirect or a page for
 * what upstream said, once: that was an answer to it.
 */

ngx_rare ngx_int_t ngx_http_optcache_invalidate_left(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_INVALIDATE_H_INCLUDED_ */
