
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_storage.h"


ngx_http_rfc9111_storage_e
ngx_http_rfc9111_storage(ngx_http_rfc9111_storage_t *s)
{
    /*
     * RFC 9111, 3: a final status.  A 206 is part of something, a 304 speaks
     * of something else, and a 429 must not be stored (RFC 6585, 4).
     */

    if (s->status < 200 || s->status > 599 || s->status == 206
        || s->status == 304 || s->status == 429)
    {
        return NGX_HTTP_RFC9111_STATUS;
    }

    if (s->cc.no_store || s->cc.no_cache) {
        return NGX_HTTP_RFC9111_NO_STORE;
    }

    if (s->shared && s->cc.priv) {
        return NGX_HTTP_RFC9111_PRIVATE;
    }

    /* RFC 9111, 3.5 */

    if (s->shared && s->authorization
        && !s->cc.pub && s->cc.s_maxage == -1 && !s->cc.must_revalidate)
    {
        return NGX_HTTP_RFC9111_AUTHORIZATION;
    }

    if (s->shared && s->cookie && !s->cc.pub && s->cc.s_maxage == -1) {
        return NGX_HTTP_RFC9111_COOKIE;
    }

    if (s->set_cookie) {
        return NGX_HTTP_RFC9111_SET_COOKIE;
    }

    if (s->vary) {
        return NGX_HTTP_RFC9111_VARY;
    }

    if (s->lifetime <= 0) {
        return NGX_HTTP_RFC9111_FRESHNESS;
    }

    return NGX_HTTP_RFC9111_STORE;
}
