
/*
 * Copyright (C) The Optcache authors
 */


/* Who leads and who waits, as far as the request tells. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_request.h"
#include "ngx_rare.h"


static ngx_rare ngx_int_t ngx_http_optcache_lock_no_store(
    ngx_http_request_t *r, ngx_http_optcache_loc_conf_t *olcf);


ngx_int_t
ngx_http_optcache_lock_applies(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_rfc9111_control_t    *asked;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (!olcf->lock
        || !ctx->store
        || ctx->status == NGX_HTTP_OPTCACHE_BYPASS
        || ctx->zone->slot == NULL
        || (r->method != NGX_HTTP_GET && ctx->body.len == 0)
        || (r->header_only && r == r->main)
        || ngx_http_optcache_request_for_origin(r))
    {
        return NGX_DECLINED;
    }

    asked = ctx->asked;

    if (ngx_rarely(asked != NULL)
        && (asked->no_store
            || asked->no_cache
            || asked->only_if_cached
            || asked->max_age == 0
            || asked->min_fresh > 0))
    {
        return NGX_DECLINED;
    }

    return olcf->no_store ? ngx_http_optcache_lock_no_store(r, olcf) : NGX_OK;
}


/*
 * Whether optcache_no_store says so before there is an answer.  It is asked
 * again when there is one, which variables tell about: what they are now must
 * not be remembered.
 */

static ngx_int_t
ngx_http_optcache_lock_no_store(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_int_t                   rc;
    ngx_http_variable_value_t  *variables;

    variables = r->variables;

    r->variables = ngx_http_captures_variables(r);

    rc = r->variables ? ngx_http_captures_predicates(r, olcf->no_store)
                      : NGX_ERROR;

    r->variables = variables;

    return rc;
}


ngx_uint_t
ngx_http_optcache_lock_asks_whole(ngx_http_request_t *r)
{
    return r->headers_in.range == NULL
           && r->headers_in.if_match == NULL
           && r->headers_in.if_unmodified_since == NULL;
}
