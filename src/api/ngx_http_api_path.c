
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_path.h"


static ngx_int_t ngx_http_api_path_byte(const u_char **p, const u_char *last);


ngx_int_t
ngx_http_api_path_match(const ngx_str_t *pattern, const ngx_str_t *path,
    ngx_http_api_path_t *found)
{
    u_char      *p, *s, *begin, *end, *last;
    ngx_uint_t   n;

    n = 0;
    s = path->data;
    end = path->data + path->len;
    last = pattern->data + pattern->len;

    ngx_str_null(&found->tail);

    for (p = pattern->data; p < last; p++) {

        if (*p != '*') {

            if (s == end || *s++ != *p) {
                return NGX_DECLINED;
            }

            continue;
        }

        if (p + 1 < last && p[1] == '*') {
            found->tail.data = s;
            found->tail.len = end - s;

            return NGX_OK;
        }

        for (begin = s; s < end && *s != '/'; s++) { /* void */ }

        if (s == begin || n == NGX_HTTP_API_PATH_NAMES) {
            return NGX_DECLINED;
        }

        found->names[n].data = begin;
        found->names[n++].len = s - begin;
    }

    return (s == end) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_api_path_tail(const ngx_str_t *raw, const ngx_str_t *uri,
    size_t head, ngx_str_t *tail, ngx_pool_t *pool)
{
    size_t         i;
    u_char        *buf, *dst;
    ngx_int_t      byte;
    const u_char  *p, *last;

    last = raw->data;

    while (last < raw->data + raw->len && *last != '?' && *last != '#') {
        last++;
    }

    p = raw->data;

    for (i = 0; i < head; i++) {
        if (p == last || ngx_http_api_path_byte(&p, last) != uri->data[i]) {
            return NGX_DECLINED;
        }
    }

    buf = ngx_pnalloc(pool, last - p + 1);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    dst = buf;

    while (p < last) {
        byte = ngx_http_api_path_byte(&p, last);

        if (byte == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) byte;
    }

    tail->data = buf;
    tail->len = dst - buf;

    return NGX_OK;
}


/* The byte that is written at *p, which moves on; NGX_ERROR: a bad escape. */

static ngx_int_t
ngx_http_api_path_byte(const u_char **p, const u_char *last)
{
    ngx_int_t      byte;
    const u_char  *s;

    s = (*p)++;

    if (*s != '%') {
        return *s;
    }

    if (last - s < 3) {
        return NGX_ERROR;
    }

    byte = ngx_hextoi((u_char *) s + 1, 2);

    *p = s + 3;

    return byte;
}
