
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_API_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_API_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Makes the response one that nobody stores or takes for something else than
 * it says.  To be called once, before it is sent.  NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_api_response_headers(ngx_http_request_t *r);

/*
 * Answers with "status" and a body of that media type; both must live as long
 * as the request.  Header lines added before stay.  The request's body, if
 * any, is discarded; not before, for a request that waits has other things to
 * read.
 *
 * The result is what a content handler returns.
 */

ngx_int_t ngx_http_api_response_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);


#endif /* _NGX_HTTP_API_RESPONSE_H_INCLUDED_ */
