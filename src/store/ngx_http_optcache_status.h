
/*
 * Copyright (C) The Optcache authors
 */


/* What became of a request here, for whoever sees the response. */


#ifndef _NGX_HTTP_OPTCACHE_STATUS_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * Adds this cache to Cache-Status (RFC 9211), behind those that the response
 * has passed before; "stored" says that it is about to be.  To be called when
 * it is known whether it is, and when what is stored has been written, of
 * which this is no part.  NGX_ERROR when out of memory.
 */

ngx_apart ngx_int_t ngx_http_optcache_status_add(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_STATUS_H_INCLUDED_ */
