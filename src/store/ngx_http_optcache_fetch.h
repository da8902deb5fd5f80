
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A request on its way to the content handler: what upstream is asked, in
 * place of what the client asked of the cache.
 */


#ifndef _NGX_HTTP_OPTCACHE_FETCH_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_FETCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * Nothing that can be sent is held: upstream is to be asked, unless the client
 * does not want that (only-if-cached).  Returns what a phase handler returns.
 */

ngx_int_t ngx_http_optcache_ask(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Gives the request back the fields that were put aside for upstream, if any
 * were.
 */

void ngx_http_optcache_fetched(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Lets a background subrequest fetch what ctx holds, which is sent meanwhile
 * (RFC 5861, 3); or leaves that to others, in a worker of before a reload.
 * NGX_DECLINED when there can be no subrequest.
 */

ngx_rare ngx_int_t ngx_http_optcache_update(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Lets the body of a background update pass as it comes; to be called in its
 * header filter.
 */

void ngx_http_optcache_update_unbuffered(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_FETCH_H_INCLUDED_ */
