
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether a page of another site has made a browser send a request.
 *
 * What changes something here demands a type or a method that such a page
 * cannot use without asking first (Fetch, 4.8, "CORS-preflight fetch"), which
 * nobody here allows.  This is the second lock on that door.
 */


#ifndef _NGX_HTTP_API_ORIGIN_H_INCLUDED_
#define _NGX_HTTP_API_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns 1 if a browser says that the request is of a page from elsewhere:
 * by Sec-Fetch-Site, if it is there, which has to be "same-origin" or "none"
 * (Fetch Metadata, 2.4); else by Origin, whose host and port have to be those
 * of the request.  0 if there is neither field, as from who is no browser.
 */

ngx_uint_t ngx_http_api_origin_foreign(ngx_http_request_t *r);


#endif /* _NGX_HTTP_API_ORIGIN_H_INCLUDED_ */
