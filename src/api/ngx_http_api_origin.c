
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_origin.h"
#include "ngx_http_compat.h"


static ngx_uint_t ngx_http_api_origin_named(ngx_table_elt_t *h,
    const char *name);
static ngx_uint_t ngx_http_api_origin_same(const ngx_str_t *origin,
    const ngx_str_t *host);
static void ngx_http_api_origin_split(const ngx_str_t *text, ngx_str_t *host,
    ngx_str_t *port);
static ngx_uint_t ngx_http_api_origin_equal(const ngx_str_t *a,
    const ngx_str_t *b);


ngx_uint_t
ngx_http_api_origin_foreign(ngx_http_request_t *r)
{
    ngx_str_t         host;
    ngx_uint_t        i, fetched;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *origin;

    static ngx_str_t  none = ngx_string("none");
    static ngx_str_t  same = ngx_string("same-origin");

    origin = NULL;
    fetched = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_api_origin_named(&h[i], "sec-fetch-site")) {

                if (!ngx_http_api_origin_equal(&h[i].value, &same)
                    && !ngx_http_api_origin_equal(&h[i].value, &none))
                {
                    return 1;
                }

                fetched = 1;

            } else if (ngx_http_api_origin_named(&h[i], "origin")) {

                if (origin) {
                    return 1;
                }

                origin = &h[i];
            }
        }
    }

    if (fetched || origin == NULL) {
        return 0;
    }

    host = ngx_http_compat_host(r);

    return !ngx_http_api_origin_same(&origin->value, &host);
}


static ngx_uint_t
ngx_http_api_origin_named(ngx_table_elt_t *h, const char *name)
{
    return h->key.len == ngx_strlen(name)
           && ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len) == 0;
}


/*
 * Whether a value of Origin (RFC 6454, 7.1) is of the host and port of one of
 * Host; a port that is not there is that of the origin's scheme.
 */

static ngx_uint_t
ngx_http_api_origin_same(const ngx_str_t *origin, const ngx_str_t *host)
{
    size_t     scheme;
    ngx_str_t  rest, def, name[2], port[2];

    if (origin->len > 7
        && ngx_strncasecmp(origin->data, (u_char *) "http://", 7) == 0)
    {
        scheme = 7;
        ngx_str_set(&def, "80");

    } else if (origin->len > 8
               && ngx_strncasecmp(origin->data, (u_char *) "https://", 8) == 0)
    {
        scheme = 8;
        ngx_str_set(&def, "443");

    } else {
        /* "null", or what has no host */
        return 0;
    }

    rest.data = origin->data + scheme;
    rest.len = origin->len - scheme;

    port[0] = def;
    port[1] = def;

    ngx_http_api_origin_split(&rest, &name[0], &port[0]);
    ngx_http_api_origin_split(host, &name[1], &port[1]);

    return ngx_http_api_origin_equal(&name[0], &name[1])
           && ngx_http_api_origin_equal(&port[0], &port[1]);
}


/* "port" is left as it is if there is none; an IPv6 address has brackets */

static void
ngx_http_api_origin_split(const ngx_str_t *text, ngx_str_t *host,
    ngx_str_t *port)
{
    u_char  *p, *last;

    last = text->data + text->len;

    *host = *text;

    for (p = last; p > text->data && p[-1] != ':' && p[-1] != ']'; p--) {
        /* void */
    }

    if (p == text->data || p[-1] == ']') {
        return;
    }

    host->len = p - 1 - text->data;

    if (p < last) {
        port->data = p;
        port->len = last - p;
    }
}


static ngx_uint_t
ngx_http_api_origin_equal(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len
           && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}
