
/*
 * Copyright (C) The Optcache authors
 */


/* The header fields of a response as they are stored. */


#ifndef _NGX_HTTP_OPTCACHE_HEAD_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_HEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_response.h"


/*
 * Writes the header fields that are stored to one piece of r->pool, without
 * those that are about the connection (RFC 9111, 3.1).  Only for a response
 * that may be stored.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_head_write(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_str_t *head);

/* Whether a field is a Connection that names others: seldom. */

ngx_uint_t ngx_http_optcache_head_names(ngx_table_elt_t *h);

/*
 * Whether Connection names a field that is for all recipients, which it must
 * not (RFC 9110, 7.6.1): what is left of the response would not be what it is.
 */

ngx_rare ngx_uint_t ngx_http_optcache_head_misnamed(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_HEAD_H_INCLUDED_ */
