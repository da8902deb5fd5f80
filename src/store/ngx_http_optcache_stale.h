
/*
 * Copyright (C) The Optcache authors
 */


/*
 * When an entry that is stale may be used all the same: because the client
 * takes it, while a newer one is fetched, or because none can be had
 * (RFC 9111, 4.2.4; RFC 5861).  Never where the response has forbidden it:
 * must-revalidate, no-cache, and proxy-revalidate or s-maxage of a shared one.
 */


#ifndef _NGX_HTTP_OPTCACHE_STALE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_STALE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/* what optcache_use_stale grants at most, seconds of staleness */

#define NGX_HTTP_OPTCACHE_STALE_MAX  86400


/*
 * Whether what ctx holds may be sent while it is updated: by its
 * stale-while-revalidate, or "optcache_use_stale updating" unless it was never
 * fresh; and unless the request wants what is fresh.  To whom an update on his
 * behalf may not change what others share, no longer than it was fresh.
 */

ngx_uint_t ngx_http_optcache_stale_updating(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Whether what ctx holds may be sent in place of an answer of this status: by
 * a stale-if-error of it or of the request for 500, 502, 503 and 504, or by
 * optcache_use_stale.  To be called before the answer is changed.
 */

ngx_uint_t ngx_http_optcache_stale_error(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t status);

/*
 * The status that an error page is for: error_page may have set another one,
 * or none, or made it a redirect to another site.
 */

ngx_uint_t ngx_http_optcache_stale_status(ngx_http_request_t *r);

/*
 * An error page of this request is about to be made in another location, where
 * its context is gone: remembers it in r->pool.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_stale_keep(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * The context of a request that has been redirected to an error page, if the
 * entry it holds is to be sent instead, or nobody waits for either; or NULL.
 * What was put aside of a request that has been redirected is given back.
 */

ngx_rare ngx_http_optcache_ctx_t *ngx_http_optcache_stale_kept(
    ngx_http_request_t *r);

/* Ends such a request with what ctx holds; a phase handler returns NGX_DONE. */

ngx_rare ngx_int_t ngx_http_optcache_stale_send(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_STALE_H_INCLUDED_ */
