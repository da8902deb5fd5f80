
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_list.h"
#include "ngx_http_rfc9111_vary.h"


static void ngx_http_rfc9111_vary_add(ngx_http_rfc9111_vary_t *v,
    ngx_str_t *name);
static ngx_uint_t ngx_http_rfc9111_vary_same(ngx_str_t *one, ngx_str_t *two);


void
ngx_http_rfc9111_vary_parse(ngx_str_t *line, ngx_http_rfc9111_vary_t *v)
{
    u_char     *p, *last;
    ngx_str_t   name;

    static ngx_str_t  encoding = ngx_string("Accept-Encoding");

    p = line->data;
    last = p + line->len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &name)) != NULL) {

        /* RFC 9110, 12.5.5: "*" also as one member of several */

        if ((name.len == 1 && name.data[0] == '*')
            || !ngx_http_rfc9110_token(&name))
        {
            v->any = 1;

        } else if (ngx_http_rfc9111_vary_same(&name, &encoding)) {
            v->encoding = 1;

        } else {
            ngx_http_rfc9111_vary_add(v, &name);
        }
    }
}


static void
ngx_http_rfc9111_vary_add(ngx_http_rfc9111_vary_t *v, ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < v->n; i++) {
        if (ngx_http_rfc9111_vary_same(&v->names[i], name)) {
            return;
        }
    }

    if (v->n == NGX_HTTP_RFC9111_VARY_MAX) {
        v->any = 1;
        return;
    }

    v->names[v->n++] = *name;
}


static ngx_uint_t
ngx_http_rfc9111_vary_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_strncasecmp(one->data, two->data, one->len) == 0;
}
