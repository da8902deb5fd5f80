
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_SINCE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_SINCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_optcache_entry.h"


/*
 * Prepares an answer of the stored response "e" to a request that has an
 * If-Modified-Since, so that nginx's filter, which compares for "exact" by
 * default, decides as RFC 9111, 4.3.2, says: what is as old as that date, or
 * older, has not been modified since (RFC 9110, 13.1.3), by its Last-Modified,
 * or by its Date if it has none.  headers_out.last_modified_time has to be set
 * before, and the fields come after.  What is allocated is of r->pool.  Returns
 * NGX_OK or, when out of memory, NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_since(ngx_http_request_t *r,
    ngx_optcache_entry_t *e);


#endif /* _NGX_HTTP_OPTCACHE_SINCE_H_INCLUDED_ */
