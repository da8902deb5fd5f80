
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_freshness.h"
#include "ngx_http_rfc9111_storage.h"


static ngx_uint_t ngx_http_rfc9111_storage_status(ngx_uint_t status);
static ngx_uint_t ngx_http_rfc9111_storage_understood(ngx_uint_t status);


ngx_http_rfc9111_storage_e
ngx_http_rfc9111_storage(ngx_http_rfc9111_storage_t *s)
{
    if (!ngx_http_rfc9111_storage_status(s->status)) {
        return NGX_HTTP_RFC9111_STATUS;
    }

    if (s->cc.must_understand
        && !ngx_http_rfc9111_storage_understood(s->status))
    {
        return NGX_HTTP_RFC9111_STATUS;
    }

    /* RFC 9111, 5.2.2.3: who understands ignores no-store beside it */

    if (s->asked_no_store || (s->cc.no_store && !s->cc.must_understand)) {
        return NGX_HTTP_RFC9111_NO_STORE;
    }

    if (s->cc.no_cache && !s->validator) {
        return NGX_HTTP_RFC9111_NO_CACHE;
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

    if (s->shared && s->cookie && !ngx_http_rfc9111_storage_for_all(s)) {
        return NGX_HTTP_RFC9111_COOKIE;
    }

    if (s->set_cookie) {
        return NGX_HTTP_RFC9111_SET_COOKIE;
    }

    if (s->vary) {
        return NGX_HTTP_RFC9111_VARY;
    }

    if (s->cc.no_cache
        && (s->cc.pub || s->cc.priv
            || ngx_http_rfc9111_heuristic_status(s->status)))
    {
        /* RFC 9111, 5.2.2.4: its lifetime does not matter */
        return NGX_HTTP_RFC9111_STORE;
    }

    if (s->unknown || (s->lifetime <= 0 && !s->validator)) {
        return NGX_HTTP_RFC9111_FRESHNESS;
    }

    return NGX_HTTP_RFC9111_STORE;
}


ngx_uint_t
ngx_http_rfc9111_storage_for_all(ngx_http_rfc9111_storage_t *s)
{
    return (s->cc.pub || s->cc.s_maxage != -1)
           && !s->cc.no_cache
           && (s->lifetime > 0 || s->unknown);
}


/*
 * RFC 9111, 3: a final status that is an answer to everybody who asks the
 * same.  A 206 is part of something, a 304 speaks of something else.  Most of
 * the others answer what is no part of a key (If-Match, Range, Expect, how
 * large or slow a request was, what its connection is): whoever sends that
 * would choose what others get.  RFC 6585 forbids 428, 429, 431 and 511.
 */

static ngx_uint_t
ngx_http_rfc9111_storage_status(ngx_uint_t status)
{
    switch (status) {

    case 206:
    case 304:
    case 407:
    case 408:
    case 411:
    case 412:
    case 413:
    case 415:
    case 416:
    case 417:
    case 421:
    case 425:
    case 426:
    case 428:
    case 429:
    case 431:
    case 511:
        return 0;

    default:
        return status >= 200 && status <= 599;
    }
}


/* The statuses of RFC 9110, 15; what they ask of a cache is done here. */

static ngx_uint_t
ngx_http_rfc9111_storage_understood(ngx_uint_t status)
{
    return (status >= 200 && status <= 205)
           || (status >= 300 && status <= 303)
           || status == 305
           || status == 307
           || status == 308
           || (status >= 400 && status <= 411)
           || (status >= 413 && status <= 415)
           || status == 421
           || status == 422
           || status == 426
           || (status >= 500 && status <= 505);
}
