
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_FRESHEN_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_FRESHEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * Takes a 304 to our validators into account (RFC 9111, 4.3.4 and 3.2): its
 * fields take the place of those in ctx->entry, which is stored anew, under
 * another key if it is said only now what it depends on, or removed: when it
 * may not be stored any more, unless it is the client who says so.  The entry
 * can be sent in any case.  NGX_ERROR when out of memory.
 */

ngx_rare ngx_int_t ngx_http_optcache_freshen(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Removes ctx->entry, which is fresh, when the answer to a HEAD tells of
 * another body: it is not to be used without asking then (RFC 9111, 4.3.5).
 */

ngx_rare void ngx_http_optcache_freshen_head(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_FRESHEN_H_INCLUDED_ */
