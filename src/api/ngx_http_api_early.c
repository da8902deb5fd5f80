
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_early.h"
#include "ngx_http_api_problem.h"


#define NGX_HTTP_API_EARLY_STATUS  425


static ngx_uint_t ngx_http_api_early_said(ngx_http_request_t *r);


ngx_uint_t
ngx_http_api_early(ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)

    ngx_str_t          early;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->ssl
        && (ngx_ssl_get_early_data(c, r->pool, &early) != NGX_OK
            || early.len))
    {
        return 1;
    }

#endif

    return ngx_http_api_early_said(r);
}


static ngx_uint_t
ngx_http_api_early_said(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Early-Data");

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_api_early_refuse(ngx_http_request_t *r)
{
    return ngx_http_api_problem(r, NGX_HTTP_API_EARLY_STATUS, "Too Early",
                                "this has come before the TLS handshake was "
                                "complete, and may be a copy");
}
