
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_body.h"
#include "ngx_http_api_problem.h"
#include "ngx_http_optcache_api.h"


static void ngx_http_optcache_api_purge_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_optcache_api_purge_start(ngx_http_request_t *r,
    ngx_str_t *body);


ngx_int_t
ngx_http_optcache_api_purge(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    return ngx_http_api_body_read(r, ngx_http_optcache_api_purge_body);
}


static void
ngx_http_optcache_api_purge_body(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_api_purge_start(r, body);

    /* NGX_AGAIN: the request is held by what read its body */

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_http_optcache_api_purge_start(ngx_http_request_t *r, ngx_str_t *body)
{
    const char                 *detail;
    ngx_http_optcache_purge_t  *purge;

    purge = ngx_palloc(r->pool, sizeof(ngx_http_optcache_purge_t));
    if (purge == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ngx_http_optcache_api_purge_read(r->pool, body, purge, &detail)) {

    case NGX_OK:
        return ngx_http_optcache_purge(r, purge);

    case NGX_DECLINED:
        return ngx_http_api_problem(r, NGX_HTTP_BAD_REQUEST, "Bad Request",
                                    detail);

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}
