
/*
 * Copyright (C) The Optcache authors
 */


/*
 * From a request below a location to the handler of what it asks for.
 */


#ifndef _NGX_HTTP_API_ROUTE_H_INCLUDED_
#define _NGX_HTTP_API_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_path.h"


/* Returns what a content handler does; "path" is gone when it has returned. */

typedef ngx_int_t (*ngx_http_api_route_pt)(ngx_http_request_t *r,
    ngx_http_api_path_t *path);


typedef struct {
    ngx_uint_t                method;    /* NGX_HTTP_GET: HEAD, too */
    ngx_str_t                 path;      /* see ngx_http_api_path_match(); from
                                            the slash that ends the location */
    ngx_http_api_route_pt     handler;
} ngx_http_api_route_t;


/*
 * Calls the handler that a table, which ends with a NULL handler, has for the
 * request; those of other methods than GET only if "write".  403 (a resource
 * that is only for writing, or a page of another site writes, see
 * ngx_http_api_origin_foreign()), 404, 405 and 425 (for what writes, see
 * ngx_http_api_early()) are answered here.  Every response is made one that
 * nobody stores or takes for something else than it says.
 */

ngx_int_t ngx_http_api_route(ngx_http_request_t *r,
    ngx_http_api_route_t *routes, ngx_uint_t write);

/*
 * Called by the handler of a directive: the location's own content is from
 * "handler" now.  Refuses locations that have nothing below them (exact,
 * named and those of regular expressions).
 */

char *ngx_http_api_route_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_handler_pt handler);


#endif /* _NGX_HTTP_API_ROUTE_H_INCLUDED_ */
