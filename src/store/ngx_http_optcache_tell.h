
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What an unsafe request has changed is told to all hosts: the entries of every
 * user go, and nobody waits for it.
 */


#ifndef _NGX_HTTP_OPTCACHE_TELL_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_TELL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/* The URI of this request, and another one of its host. */

ngx_int_t ngx_http_optcache_tell_request(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
void ngx_http_optcache_tell_uri(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *uri);

/*
 * The groups that Cache-Group-Invalidation names (RFC 9875, 3), of this host.
 * A field that is no list of strings says nothing; of more groups than an
 * entry may have, all of the host go.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_tell_groups(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_TELL_H_INCLUDED_ */
