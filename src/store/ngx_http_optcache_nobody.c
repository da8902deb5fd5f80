
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache_nobody.h"
#include "ngx_rare.h"


static ngx_uint_t ngx_http_optcache_nobody_somebody(ngx_http_request_t *r);
static ngx_uint_t ngx_http_optcache_nobody_marked(ngx_http_request_t *r);
static void ngx_http_optcache_nobody_cleanup(void *data);


/*
 * A part of a page has no access phase, where a variable may be set, and has
 * those that are remembered of the page: nobody there need not be nobody.  An
 * update in the background has the user of what it is made for.
 */

ngx_uint_t
ngx_http_optcache_nobody_unknown(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_http_request_t  *of;

    of = ctx->background ? r->parent : r;

    return (olcf->user == NULL
            || (ngx_rarely(of != r->main)
                && olcf->user->complex.lengths != NULL))
           && ngx_http_optcache_nobody_somebody(r);
}


/* Whether a client shows who it is in a way that the default user misses. */

static ngx_uint_t
ngx_http_optcache_nobody_somebody(ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)

    X509  *cert;

    if (r->connection->ssl) {
        cert = SSL_get_peer_certificate(r->connection->ssl->connection);

        if (cert) {
            X509_free(cert);
            return 1;
        }
    }

#endif

    return ngx_http_compat_has_cookie(r);
}


/*
 * Where a token is, not in Authorization, may be told to one module only, and a
 * good one may not say whose it is.  "optcache_user" of no variable says that
 * there are no users.
 */

ngx_uint_t
ngx_http_optcache_nobody_nameless(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_http_variable_value_t      *vv;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (olcf->user) {

        if (olcf->user->complex.lengths == NULL) {
            return 0;
        }

        if (ngx_http_optcache_value_missed(r, olcf->user)) {
            return 1;
        }
    }

    if (ngx_http_optcache_nobody_marked(r)) {
        return 1;
    }

    if (omcf->token < 0) {
        return 0;
    }

    vv = ngx_http_get_flushed_variable(r, omcf->token);

    return vv == NULL || (!vv->not_found && vv->len != 0);
}


/* A decision that is stored sets no $upstream_http_x_user of the page. */

ngx_int_t
ngx_http_optcache_nobody_decided(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    if (ngx_mostly(r == r->main) || !r->header_only) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_optcache_nobody_cleanup;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_optcache_nobody_marked(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_optcache_nobody_cleanup) {
            return 1;
        }
    }

    return 0;
}


/* It is the mark that counts. */

static void
ngx_http_optcache_nobody_cleanup(void *data)
{
    /* void */
}
