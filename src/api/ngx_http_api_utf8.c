
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_utf8.h"


static size_t ngx_http_api_utf8_char(const u_char *p, const u_char *last);


u_char *
ngx_http_api_utf8(ngx_pool_t *pool, const ngx_str_t *text)
{
    size_t         n;
    u_char        *p, *buf;
    const u_char  *s, *last;

    static const u_char  replacement[] = { 0xef, 0xbf, 0xbd };

    buf = ngx_pnalloc(pool, text->len * sizeof(replacement) + 1);
    if (buf == NULL) {
        return NULL;
    }

    p = buf;
    last = text->data + text->len;

    for (s = text->data; s < last; /* void */) {

        n = ngx_http_api_utf8_char(s, last);

        if (n) {
            p = ngx_cpymem(p, s, n);
            s += n;

        } else {
            p = ngx_cpymem(p, replacement, sizeof(replacement));
            s++;
        }
    }

    *p = '\0';

    return buf;
}


/*
 * The bytes of the character that begins at "p", 0 if none does or if it is
 * NUL.  RFC 3629, 4; ngx_utf8_decode() is more generous.
 */

static size_t
ngx_http_api_utf8_char(const u_char *p, const u_char *last)
{
    size_t  i, n;
    u_char  low, high;

    if (*p < 0x80) {
        return *p ? 1 : 0;
    }

    if (*p < 0xc2 || *p > 0xf4) {
        return 0;
    }

    n = (*p < 0xe0) ? 2 : (*p < 0xf0) ? 3 : 4;

    if ((size_t) (last - p) < n) {
        return 0;
    }

    low = (*p == 0xe0) ? 0xa0 : (*p == 0xf0) ? 0x90 : 0x80;
    high = (*p == 0xed) ? 0x9f : (*p == 0xf4) ? 0x8f : 0xbf;

    if (p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}
