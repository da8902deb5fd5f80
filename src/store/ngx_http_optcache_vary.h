
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The responses of one key that depend on more than the key (RFC 9111, 4.1).
 * Under its identity stands an entry of status 0, which names the fields; each
 * response has an identity of its own:
 *
 *     'v' number(8) length(4) identity
 *     for each name: 0, or 1 SHA-256(value): absent, or its value; for
 *     Accept-Encoding a bit for who does not take what has no coding, and one
 *     for each coding that is known, and 1 where "identity" is among them
 *
 * The number is that of the entry with the names, so that what was stored
 * beneath one that has been removed is not found beneath the next.  A value
 * enters as its digest only: it may be a credential.
 */


#ifndef _NGX_HTTP_OPTCACHE_VARY_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_VARY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_rfc9111_vary.h"


/*
 * Makes ctx->key that of the response for this request, by the names in
 * ctx->entry.  NGX_DECLINED: there can be none; NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_vary_select(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Makes ctx->key that of a response to be stored, which varies on these fields
 * and on those that others of its key did; the names are stored when they
 * are new, with the tags of "e", the entry of the response, so that they go
 * together.  NGX_DECLINED: it cannot be stored; NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_vary_respond(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_rfc9111_vary_t *vary,
    ngx_optcache_entry_t *e);


#endif /* _NGX_HTTP_OPTCACHE_VARY_H_INCLUDED_ */
