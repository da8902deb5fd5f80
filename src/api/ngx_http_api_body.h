
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The body of a request to an API: JSON, bounded, and in memory.
 *
 * It is read without buffering: nginx writes nothing of it to a file, and what
 * is too long is refused when that is seen, however it is framed and whatever
 * client_max_body_size allows.
 */


#ifndef _NGX_HTTP_API_BODY_H_INCLUDED_
#define _NGX_HTTP_API_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_API_BODY_MAX  65536


/* Answers the request: finalizes it, or lets it wait. "body" is its pool's. */

typedef void (*ngx_http_api_body_pt)(ngx_http_request_t *r, ngx_str_t *body);


/*
 * Reads the body and calls the handler, once, when all of it is there.  A body
 * of another type than application/json is answered with 415, one of more than
 * NGX_HTTP_API_BODY_MAX bytes with 413, and the handler is not called then.
 * A body that somebody else has read already is copied, from a file, too.
 *
 * Returns what a content handler does.
 */

ngx_int_t ngx_http_api_body_read(ngx_http_request_t *r,
    ngx_http_api_body_pt handler);


#endif /* _NGX_HTTP_API_BODY_H_INCLUDED_ */
