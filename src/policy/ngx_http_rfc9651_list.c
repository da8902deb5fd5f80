
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9651_list.h"


static u_char *ngx_http_rfc9651_comma(u_char *p, u_char *last);


ngx_int_t
ngx_http_rfc9651_strings(ngx_str_t *line, ngx_http_rfc9651_string_pt handler,
    void *data)
{
    u_char                     *p, *last;
    ngx_int_t                   n;
    ngx_http_rfc9651_member_t   m;

    p = line->data;
    last = p + line->len;

    ngx_http_rfc9651_trim(&p, &last);

    for (n = 0; p < last; n++) {

        p = ngx_http_rfc9651_item(p, last, &m);

        if (p == NULL || m.type != NGX_HTTP_RFC9651_STRING) {
            return NGX_ERROR;
        }

        p = ngx_http_rfc9651_parameters(p, last);
        if (p == NULL) {
            return NGX_ERROR;
        }

        handler(&m.text, data);

        p = ngx_http_rfc9651_comma(p, last);
        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    return n;
}


/* To the next member, or to the end of the list. */

static u_char *
ngx_http_rfc9651_comma(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p == last) {
        return p;
    }

    if (*p++ != ',') {
        return NULL;
    }

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    /* a comma with nothing after it */

    return (p == last) ? NULL : p;
}


u_char *
ngx_http_rfc9651_unescape(u_char *dst, ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p == '\\' && p + 1 < last) {
            p++;
        }

        *dst++ = *p++;
    }

    return dst;
}
