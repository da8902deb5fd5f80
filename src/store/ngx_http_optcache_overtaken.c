
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_nobody.h"
#include "ngx_http_optcache_overtaken.h"
#include "ngx_http_optcache_public.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_stale.h"


static ngx_uint_t ngx_http_optcache_overtaken_final(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_overtaken_of_all(ngx_uint_t status);


void
ngx_http_optcache_overtaken(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_ctx_t  *of, stale;

    stale = *ctx;

    if (!stale.held) {

        /* L1 does not have what was sent: it is in Redis alone */

        of = ngx_http_get_module_ctx(r->parent, ngx_http_optcache_module);

        if (of == NULL || !of->held) {
            return;
        }

        stale.entry = of->entry;
        stale.held = 1;
    }

    /* it may turn out to be gone */

    if (ngx_http_optcache_overtaken_final(r, &stale)
        && stale.held
        && ngx_http_optcache_overtakes(r, &stale))
    {
        ngx_http_optcache_remove_entry(r, ctx, &stale.entry);
    }
}


/* Whether it is for what upstream has said that it is not stored. */

static ngx_uint_t
ngx_http_optcache_overtaken_final(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = r->headers_out.status;

    switch (ctx->refusal) {

    case NGX_HTTP_OPTCACHE_REFUSED_NO_STORE:

        if (ngx_http_optcache_response_no_store(r, ctx)) {
            /* said by the client */
            return 0;
        }

        break;

    case NGX_HTTP_OPTCACHE_REFUSED_CONFIGURED:

        if (ctx->lock == NULL) {
            /* maybe by what the request is: who may lead was asked before */
            return 0;
        }

        break;

    case NGX_HTTP_OPTCACHE_REFUSED_COOKIE:

        if (ctx->public) {
            /* it is as before, and others may store it */
            return 0;
        }

        break;

    case NGX_HTTP_OPTCACHE_REFUSED_AUTHORIZATION:
    case NGX_HTTP_OPTCACHE_REFUSED_NO_CACHE:
    case NGX_HTTP_OPTCACHE_REFUSED_PRIVATE:
    case NGX_HTTP_OPTCACHE_REFUSED_SET_COOKIE:
    case NGX_HTTP_OPTCACHE_REFUSED_VARY:
    case NGX_HTTP_OPTCACHE_REFUSED_FRESHNESS:
    case NGX_HTTP_OPTCACHE_REFUSED_SIZE:
    case NGX_HTTP_OPTCACHE_REFUSED_STREAM:
    case NGX_HTTP_OPTCACHE_REFUSED_FIELD:
    case NGX_HTTP_OPTCACHE_REFUSED_TAGS:
        break;

    case NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE:
        /* as its header says: what is broken off does not come here */
        break;

    case NGX_HTTP_OPTCACHE_REFUSED_ERROR:

        if (r->err_status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
            return 0;
        }

        /* what is sent elsewhere within nginx has the status of upstream */

        status = ngx_http_optcache_stale_status(r);
        break;

    default:
        return 0;
    }

    return ngx_http_optcache_overtaken_of_all(status)
           && !ngx_http_optcache_stale_error(r, ctx, status);
}


/*
 * Whether a status tells what there is for all who ask.  Most errors complain
 * of a request, by what may be in no key: how large or well-formed its fields
 * are, what it takes, or how many there were.
 */

static ngx_uint_t
ngx_http_optcache_overtaken_of_all(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
    case NGX_HTTP_NOT_FOUND:
    case 410:
    case 451:
        return 1;

    default:
        return status >= NGX_HTTP_OK && status < NGX_HTTP_BAD_REQUEST;
    }
}


ngx_uint_t
ngx_http_optcache_overtakes(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    return !ctx->key.shared
           || (r->headers_in.authorization == NULL
               && !ngx_http_optcache_nobody_unknown(r, ctx, ctx->conf)
               && !ngx_http_optcache_nobody_nameless(r, ctx->conf))
           || (!(ctx->conf->ignore & NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL)
               && ngx_http_optcache_public_entry(&ctx->entry));
}
