
/*
 * Copyright (C) The Optcache authors
 */


/*
 * optcache_no_vary_search: one entry for all queries between which there is no
 * difference, as the responses say (ngx_http_no_vary_search.h).  What they said
 * last is stored for a path; by it the query of a request is made the same for
 * all of them, and enters the identity together with the rule.  So a response
 * is only ever found by the rule that it came with.
 */


#ifndef _NGX_HTTP_OPTCACHE_SEARCH_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_SEARCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/* longer fields are as good as none, bytes */

#define NGX_HTTP_OPTCACHE_SEARCH_MAX  1024


/*
 * Makes ctx->key that of the rule of the request's path, if one is known, and
 * ctx->base with it; to be called before the lookup.  NGX_ERROR when out of
 * memory.
 */

ngx_int_t ngx_http_optcache_search_select(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Makes them that of the rule that the response has, if it is another one, and
 * stores this; to be called before the response is.  "merged": it is what a 304
 * has freshened, and has no rule if the client is not to see it.  NGX_DECLINED:
 * it is not to be stored; NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_search_respond(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t merged);


#endif /* _NGX_HTTP_OPTCACHE_SEARCH_H_INCLUDED_ */
