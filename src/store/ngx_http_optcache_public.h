
/*
 * Copyright (C) The Optcache authors
 */


/*
 * optcache_share_public: what is explicitly public is stored once, in the
 * shared partition, and found there by who has nothing in his own.
 */


#ifndef _NGX_HTTP_OPTCACHE_PUBLIC_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_PUBLIC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_response.h"


/*
 * To be called when the lookup of a request is over, until it returns NGX_OK:
 * looks into the shared partition if there was nothing in that of the user.
 * What is found there and is not explicitly public is not found; unless
 * ctx->found is set, ctx->key is that of the user as before.  Returns NGX_OK,
 * NGX_AGAIN (Redis is being asked) or NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_public_lookup(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);

/*
 * Looks once more, in the first level only, for an answer of the request's own
 * and then for one that is public: somebody may have stored it meanwhile.
 * NGX_OK: see ctx->found; otherwise ctx may tell better than before what the
 * answer depends on.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_public_again(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);

/*
 * Whether a stored response says that it is for everyone: "public" or s-maxage,
 * without a cookie, and not by credentials.
 */

ngx_uint_t ngx_http_optcache_public_entry(ngx_optcache_entry_t *e);

/*
 * Whether the response to a request with a user is to be stored for everyone:
 * it says "public" or s-maxage (RFC 9111, 3.5) where it is seen in what is
 * stored, sets no cookie and does not vary on credentials (resp->personal).  To
 * be asked when what the directives are is known.
 */

ngx_uint_t ngx_http_optcache_public_response(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp);

/* Whether a response varies on credentials, or on anything at all. */

ngx_uint_t ngx_http_optcache_public_varies(ngx_http_rfc9111_vary_t *vary);

/*
 * Makes ctx->key that of the shared partition, for a response that is stored
 * there.  What the user's own had, and would be found first, is removed.
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_public_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_PUBLIC_H_INCLUDED_ */
