
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9651_dictionary.h"


static u_char *ngx_http_rfc9651_member(u_char *p, u_char *last,
    ngx_http_rfc9651_member_t *m);


ngx_int_t
ngx_http_rfc9651_dictionary(ngx_str_t *line,
    ngx_http_rfc9651_member_pt handler, void *data)
{
    u_char                     *p, *last;
    ngx_int_t                   n;
    ngx_http_rfc9651_member_t   m;

    p = line->data;
    last = p + line->len;

    ngx_http_rfc9651_trim(&p, &last);

    for (n = 0; p < last; n++) {

        p = ngx_http_rfc9651_member(p, last, &m);
        if (p == NULL) {
            return NGX_ERROR;
        }

        handler(&m, data);

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p == last) {
            return n + 1;
        }

        if (*p++ != ',') {
            return NGX_ERROR;
        }

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p == last) {
            /* a comma with nothing after it */
            return NGX_ERROR;
        }
    }

    return n;
}


/* RFC 9651, 4.2.2 */

static u_char *
ngx_http_rfc9651_member(u_char *p, u_char *last, ngx_http_rfc9651_member_t *m)
{
    m->key.data = p;

    p = ngx_http_rfc9651_key(p, last);
    if (p == NULL) {
        return NULL;
    }

    m->key.len = p - m->key.data;

    if (p == last || *p != '=') {
        m->type = NGX_HTTP_RFC9651_BOOLEAN;
        m->truth = 1;
        m->text.data = p;
        m->text.len = 0;

        return ngx_http_rfc9651_parameters(p, last);
    }

    p++;

    if (p < last && *p == '(') {
        m->type = NGX_HTTP_RFC9651_LIST;
        m->text.data = p;

        p = ngx_http_rfc9651_inner_list(p, last);
        if (p == NULL) {
            return NULL;
        }

        m->text.len = p - m->text.data;

    } else {
        p = ngx_http_rfc9651_item(p, last, m);
        if (p == NULL) {
            return NULL;
        }
    }

    return ngx_http_rfc9651_parameters(p, last);
}
