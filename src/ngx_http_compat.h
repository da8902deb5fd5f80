
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What differs between the nginx versions that are supported (1.22 up to
 * the current mainline) is here and nowhere else.
 */


#ifndef _NGX_HTTP_COMPAT_H_INCLUDED_
#define _NGX_HTTP_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Adds a response header line.  Since 1.23.0 lines of one name are linked by
 * "next", which ngx_list_push() leaves uninitialized.  The line is allocated
 * from r->pool; key and value are not copied and must live as long.  Returns
 * NULL when out of memory.
 */

static ngx_inline ngx_table_elt_t *
ngx_http_compat_push_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value)
{
    ngx_list_t       *list;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    list = &r->headers_out.headers;
    part = list->last;

    if (part->nelts < list->nalloc) {
        /* as nearly always: no call */

        h = part->elts;
        h += part->nelts++;

    } else {
        h = ngx_list_push(list);
        if (h == NULL) {
            return NULL;
        }
    }

    h->hash = 1;
    h->key = *key;
    h->value = *value;
    h->lowcase_key = NULL;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


/*
 * Whether what reads the header of a response has read a 103 (RFC 8297), which
 * nginx takes for no response since 1.29.0.
 */

#ifdef NGX_HTTP_UPSTREAM_EARLY_HINTS

#define ngx_http_compat_early_hints(rc)                                       \
    ((rc) == NGX_HTTP_UPSTREAM_EARLY_HINTS)

#else

#define ngx_http_compat_early_hints(rc)  0

#endif


/*
 * Tells nginx that a response header line is a Cache-Control, so that the
 * "expires" directive changes it instead of adding another: an array before
 * 1.23.0, a linked list since.  Returns NGX_OK or, when out of memory,
 * NGX_ERROR.
 */

static ngx_inline ngx_int_t
ngx_http_compat_add_cache_control(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_table_elt_t  **ph;

#if (nginx_version >= 1023000)

    for (ph = &r->headers_out.cache_control; *ph; ph = &(*ph)->next) {
        /* void */
    }

#else

    if (r->headers_out.cache_control.elts == NULL
        && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.cache_control);
    if (ph == NULL) {
        return NGX_ERROR;
    }

#endif

    *ph = h;

    return NGX_OK;
}


/*
 * Tells nginx that a response header line is a WWW-Authenticate, which it takes
 * from the answer to an auth_request: the first one before 1.23.0, all since.
 */

static ngx_inline void
ngx_http_compat_add_www_authenticate(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_table_elt_t  **ph;

    ph = &r->headers_out.www_authenticate;

#if (nginx_version >= 1023000)

    while (*ph) {
        ph = &(*ph)->next;
    }

#endif

    if (*ph == NULL) {
        *ph = h;
    }
}


/*
 * Tells nginx of a response header line that is a Link, for which
 * http2_push_preload pushes what it names: an array before 1.23.0, a linked
 * list since, and nothing since 1.25.1.  Returns NGX_OK or, when out of memory,
 * NGX_ERROR.
 */

static ngx_inline ngx_int_t
ngx_http_compat_add_link(ngx_http_request_t *r, ngx_table_elt_t *h)
{
#if (NGX_HTTP_V2 && nginx_version < 1025001)

    ngx_table_elt_t  **ph;

    if (r->stream == NULL
        || h->key.len != sizeof("Link") - 1
        || ngx_strncasecmp(h->key.data, (u_char *) "Link", sizeof("Link") - 1)
           != 0)
    {
        return NGX_OK;
    }

#if (nginx_version >= 1023000)

    for (ph = &r->headers_out.link; *ph; ph = &(*ph)->next) { /* void */ }

#else

    if (r->headers_out.link.elts == NULL
        && ngx_array_init(&r->headers_out.link, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.link);
    if (ph == NULL) {
        return NGX_ERROR;
    }

#endif

    *ph = h;

#endif

    return NGX_OK;
}


/* Whether the request has a Cookie line: an array before 1.23.0. */

static ngx_inline ngx_uint_t
ngx_http_compat_has_cookie(ngx_http_request_t *r)
{
#if (nginx_version >= 1023000)
    return r->headers_in.cookie != NULL;
#else
    return r->headers_in.cookies.nelts != 0;
#endif
}


/*
 * The host that the client has named, with its port: the value of Host or,
 * without one, that of the :authority of HTTP/3, of which nginx makes no Host
 * as it does of the one of HTTP/2.  Without either it is empty.  It lives as
 * long as the request.
 */

static ngx_inline ngx_str_t
ngx_http_compat_host(ngx_http_request_t *r)
{
    ngx_str_t  host;

    if (r->headers_in.host) {
        return r->headers_in.host->value;
    }

    ngx_str_null(&host);

#ifdef NGX_HTTP_VERSION_30

    /* a subrequest has none of its own */
    r = r->main;

    if (r->http_version == NGX_HTTP_VERSION_30 && r->host_start) {
        host.len = r->host_end - r->host_start;
        host.data = r->host_start;
    }

#endif

    return host;
}


#endif /* _NGX_HTTP_COMPAT_H_INCLUDED_ */
