
/*
 * Copyright (C) The Optcache authors
 */


/*
 * POST as a question (RFC 9110, 9.3.3): what tells one from another is the
 * body of the request, so it is read before the cache is asked.
 */


#ifndef _NGX_HTTP_OPTCACHE_BODY_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/*
 * Reads the body of a POST that is to be answered from the cache; called by
 * the phase handler before anything else.  NGX_OK: there is no more to read;
 * NGX_DONE: the phases are run again when it is there; a status: the request
 * is refused (client_max_body_size).
 */

ngx_int_t ngx_http_optcache_body_read(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);

/*
 * Sets ctx->body to the SHA-256 in hex of the body that was read.  Left empty
 * when the request is none that the cache answers, when the body is larger
 * than optcache_max_size, or cannot be read whole any more.  NGX_ERROR when
 * out of memory.
 */

ngx_rare ngx_int_t ngx_http_optcache_body_digest(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx);

/*
 * What else tells such a request from others, for its key: the digest, and
 * what Content-Type and Content-Encoding say the body is (RFC 9110, 8.3 and
 * 8.4), then "uri", where an internal request has come to.  The result is from
 * r->pool.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_body_identity(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *uri, ngx_str_t *identity);

/* $optcache_body: the digest, or nothing */

ngx_int_t ngx_http_optcache_body_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#endif /* _NGX_HTTP_OPTCACHE_BODY_H_INCLUDED_ */
