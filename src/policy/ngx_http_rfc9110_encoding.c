
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_encoding.h"


static u_char *ngx_http_rfc9110_encoding_next(u_char *p, u_char *last,
    ngx_str_t *coding, ngx_uint_t *taken);
static ngx_uint_t ngx_http_rfc9110_weight(u_char *p, u_char *last);


ngx_uint_t
ngx_http_rfc9110_accepts(ngx_str_t *line, ngx_str_t *coding)
{
    u_char      *p, *last;
    ngx_str_t    name;
    ngx_uint_t   taken, any;

    if (line == NULL) {
        return 0;
    }

    any = 0;

    p = line->data;
    last = p + line->len;

    while (p < last) {
        p = ngx_http_rfc9110_encoding_next(p, last, &name, &taken);

        /* RFC 9110, 8.4.1.3: "x-gzip" is "gzip" */

        if (name.len > 2
            && ngx_strncasecmp(name.data, (u_char *) "x-", 2) == 0)
        {
            name.data += 2;
            name.len -= 2;
        }

        if (name.len == coding->len
            && ngx_strncasecmp(name.data, coding->data, name.len) == 0)
        {
            return taken;
        }

        if (name.len == 1 && name.data[0] == '*') {
            any = taken;
        }
    }

    return any;
}


static u_char *
ngx_http_rfc9110_encoding_next(u_char *p, u_char *last, ngx_str_t *coding,
    ngx_uint_t *taken)
{
    u_char  *start;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    coding->data = p;

    while (p < last && *p != ',' && *p != ';' && *p != ' ' && *p != '\t') {
        p++;
    }

    coding->len = p - coding->data;

    start = p;

    while (p < last && *p != ',') {
        p++;
    }

    *taken = ngx_http_rfc9110_weight(start, p);

    return p;
}


/*
 * Whether what follows a coding (";q=0.5", RFC 9110, 12.4.2) is a weight
 * above 0.  No weight is 1; a weight that is none counts as 0.
 */

static ngx_uint_t
ngx_http_rfc9110_weight(u_char *p, u_char *last)
{
    ngx_uint_t  positive;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ';')) {
        p++;
    }

    if (p == last) {
        return 1;
    }

    if (last - p < 3 || (p[0] != 'q' && p[0] != 'Q') || p[1] != '=') {
        return 0;
    }

    p += 2;
    positive = 0;

    while (p < last && ((*p >= '0' && *p <= '9') || *p == '.')) {

        if (*p >= '1' && *p <= '9') {
            positive = 1;
        }

        p++;
    }

    return positive;
}
