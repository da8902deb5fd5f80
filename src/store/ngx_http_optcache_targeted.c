
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_response.h"
#include "ngx_http_rfc9213_targeted.h"
#include "ngx_http_surrogate_control.h"


/* all lines of one field */

typedef struct {
    ngx_http_request_t           *request;
    const char                   *name;
    ngx_str_t                     value;
    ngx_int_t                     rc;
} ngx_http_optcache_targeted_lines_t;


static void ngx_http_optcache_targeted_line(ngx_table_elt_t *h, void *data);


/* RFC 9213, 2.2: the fields that go before Cache-Control and Expires */

const char  *ngx_http_optcache_targets[] = {
    "Optcache-Cache-Control",
    "CDN-Cache-Control",
    "Surrogate-Control",
    NULL
};


ngx_uint_t
ngx_http_optcache_targeted(ngx_table_elt_t *h)
{
    const char  **name;

    for (name = ngx_http_optcache_targets; *name; name++) {
        if (ngx_http_optcache_response_is(h, *name)) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_optcache_targeted_read(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp)
{
    ngx_str_t     line;
    const char  **name;

    for (name = ngx_http_optcache_targets; *name; name++) {

        if (ngx_http_optcache_response_lines(r, *name, &line) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_optcache_response_target(*name, &line,
                                              &resp->freshness.cc)
            == NGX_OK)
        {
            resp->freshness.expires = -1;
            resp->no_transform |= resp->freshness.cc.no_transform;
            break;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_response_target(const char *name, ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc)
{
    return (*name == 'S') ? ngx_http_surrogate_control(line, cc)
                          : ngx_http_rfc9213_targeted(line, cc);
}


ngx_int_t
ngx_http_optcache_response_lines(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_http_optcache_targeted_lines_t  lines;

    ngx_memzero(&lines, sizeof(ngx_http_optcache_targeted_lines_t));

    lines.request = r;
    lines.name = name;

    ngx_http_optcache_response_each(&r->headers_out.headers,
                                    ngx_http_optcache_targeted_line, &lines);

    if (lines.value.data == NULL && r->upstream) {
        /* hidden from the client */
        ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                        ngx_http_optcache_targeted_line,
                                        &lines);
    }

    *value = lines.value;

    return lines.rc;
}


/* RFC 9651, 4.2: several lines are joined by commas. */

static void
ngx_http_optcache_targeted_line(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_targeted_lines_t *lines = data;

    u_char  *p;
    size_t   len;

    if (!ngx_http_optcache_response_is(h, lines->name)) {
        return;
    }

    if (lines->value.data == NULL) {
        lines->value = h->value;
        return;
    }

    len = lines->value.len + sizeof(", ") - 1 + h->value.len;

    p = ngx_pnalloc(lines->request->pool, len);
    if (p == NULL) {
        lines->rc = NGX_ERROR;
        return;
    }

    (void) ngx_sprintf(p, "%V, %V", &lines->value, &h->value);

    lines->value.data = p;
    lines->value.len = len;
}
