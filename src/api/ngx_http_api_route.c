
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_early.h"
#include "ngx_http_api_origin.h"
#include "ngx_http_api_problem.h"
#include "ngx_http_api_response.h"
#include "ngx_http_api_route.h"
#include "ngx_http_compat.h"


/* in the order in which "Allow" tells them */

typedef struct {
    ngx_uint_t                method;
    ngx_str_t                 name;
} ngx_http_api_route_method_t;


static ngx_int_t ngx_http_api_route_path(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_int_t ngx_http_api_route_tail(ngx_http_request_t *r,
    ngx_str_t *tail);
static ngx_int_t ngx_http_api_route_foreign(ngx_http_request_t *r);
static ngx_int_t ngx_http_api_route_allow(ngx_http_request_t *r,
    ngx_uint_t methods);


static ngx_http_api_route_method_t  ngx_http_api_route_methods[] = {
    { NGX_HTTP_GET, ngx_string("GET, HEAD") },
    { NGX_HTTP_POST, ngx_string("POST") },
    { NGX_HTTP_DELETE, ngx_string("DELETE") }
};


ngx_int_t
ngx_http_api_route(ngx_http_request_t *r, ngx_http_api_route_t *routes,
    ngx_uint_t write)
{
    ngx_str_t             path;
    ngx_uint_t            method, methods, guarded;
    ngx_http_api_path_t   found;

    if (ngx_http_api_response_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;
    methods = 0;
    guarded = 0;

    if (ngx_http_api_route_path(r, &path) == NGX_OK) {

        for ( /* void */ ; routes->handler; routes++) {

            if (ngx_http_api_path_match(&routes->path, &path, &found)
                != NGX_OK)
            {
                continue;
            }

            if (routes->method != NGX_HTTP_GET && !write) {
                guarded = 1;
                continue;
            }

            if (routes->method == method) {

                if (method != NGX_HTTP_GET && ngx_http_api_origin_foreign(r))
                {
                    return ngx_http_api_route_foreign(r);
                }

                if (method != NGX_HTTP_GET && ngx_http_api_early(r)) {
                    return ngx_http_api_early_refuse(r);
                }

                if (found.tail.data
                    && ngx_http_api_route_tail(r, &found.tail) == NGX_ERROR)
                {
                    return NGX_HTTP_INTERNAL_SERVER_ERROR;
                }

                return routes->handler(r, &found);
            }

            methods |= routes->method;
        }
    }

    if (methods) {
        return ngx_http_api_route_allow(r, methods);
    }

    if (guarded) {
        return ngx_http_api_problem(r, NGX_HTTP_FORBIDDEN, "Forbidden",
                                    "the resource is for writing, which is "
                                    "not allowed here");
    }

    return ngx_http_api_problem(r, NGX_HTTP_NOT_FOUND, "Not Found",
                                "there is no resource of this path");
}


/*
 * What of the URI is below the location, from the slash on.  NGX_DECLINED if
 * there is nothing: a "rewrite" may have led out of it.
 */

static ngx_int_t
ngx_http_api_route_path(ngx_http_request_t *r, ngx_str_t *path)
{
    size_t                     len;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    len = clcf->name.len;

    if (r->uri.len < len
        || ngx_memcmp(r->uri.data, clcf->name.data, len) != 0)
    {
        return NGX_DECLINED;
    }

    if (len && clcf->name.data[len - 1] == '/') {
        len--;
    }

    path->data = r->uri.data + len;
    path->len = r->uri.len - len;

    return NGX_OK;
}


/* The tail points into r->uri, and then to what the client wrote instead. */

static ngx_int_t
ngx_http_api_route_tail(ngx_http_request_t *r, ngx_str_t *tail)
{
    return ngx_http_api_path_tail(&r->unparsed_uri, &r->uri,
                                  tail->data - r->uri.data, tail, r->pool);
}


static ngx_int_t
ngx_http_api_route_foreign(ngx_http_request_t *r)
{
    return ngx_http_api_problem(r, NGX_HTTP_FORBIDDEN, "Forbidden",
                                "a page of another site has sent this");
}


static ngx_int_t
ngx_http_api_route_allow(ngx_http_request_t *r, ngx_uint_t methods)
{
    u_char                       *p;
    ngx_str_t                     name, value;
    ngx_uint_t                    i;
    ngx_http_api_route_method_t  *method;

    value.data = ngx_pnalloc(r->pool, sizeof("GET, HEAD, POST, DELETE") - 1);
    if (value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = value.data;

    for (i = 0; i < 3; i++) {
        method = &ngx_http_api_route_methods[i];

        if (methods & method->method) {

            if (p > value.data) {
                *p++ = ',';
                *p++ = ' ';
            }

            p = ngx_cpymem(p, method->name.data, method->name.len);
        }
    }

    value.len = p - value.data;

    ngx_str_set(&name, "Allow");

    if (ngx_http_compat_push_header(r, &name, &value) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_problem(r, NGX_HTTP_NOT_ALLOWED, "Method Not Allowed",
                                "the resource has other methods, see Allow");
}


char *
ngx_http_api_route_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->exact_match
#if (NGX_PCRE)
        || clcf->regex
#endif
        || clcf->named
        || (clcf->name.len && clcf->name.data[0] == '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in location \"%V\", it must be in one that "
                           "is given by a prefix", &cmd->name, &clcf->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = handler;

    return NGX_CONF_OK;
}
