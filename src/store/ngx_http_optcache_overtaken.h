
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether upstream would not give any more what is stored: it has been asked
 * behind a client's back, and what it answered may not be stored instead
 * (RFC 9111, 4.3.3; RFC 5861, 3).
 */


#ifndef _NGX_HTTP_OPTCACHE_OVERTAKEN_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_OVERTAKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * To be called of an update whose answer is not stored, ctx->refusal says why.
 * If that is what all would be told now, and no error, what its client was sent
 * is removed from both levels: it would be sent while it is updated in vain.
 */

ngx_rare void ngx_http_optcache_overtaken(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Whether what this request is answered is an answer to all who share what ctx
 * holds: it is in his own partition, is for everyone, or he is nobody.
 */

ngx_uint_t ngx_http_optcache_overtakes(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_OVERTAKEN_H_INCLUDED_ */
