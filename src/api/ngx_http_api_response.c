
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_response.h"
#include "ngx_http_compat.h"


static size_t ngx_http_api_response_type(ngx_str_t *type);


ngx_int_t
ngx_http_api_response_headers(ngx_http_request_t *r)
{
    ngx_str_t         name, value;
    ngx_table_elt_t  *h;

    ngx_str_set(&name, "Cache-Control");
    ngx_str_set(&value, "no-store");

    h = ngx_http_compat_push_header(r, &name, &value);

    if (h == NULL || ngx_http_compat_add_cache_control(r, h) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "X-Content-Type-Options");
    ngx_str_set(&value, "nosniff");

    return ngx_http_compat_push_header(r, &name, &value) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_api_response_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    /* no "100 Continue" for a body that nobody wants */

    r->expect_tested = 1;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    if (status >= NGX_HTTP_BAD_REQUEST) {

        /* a code that an error_page set before this one would win over it */

        r->err_status = status;
    }

    r->headers_out.status = status;
    r->headers_out.status_line.len = 0;

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = ngx_http_api_response_type(type);
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    /* it has been done, and is not of a kind that conditions are about */

    r->disable_not_modified = 1;

    r->headers_out.content_length_n = body->len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* without parameters: gzip_types and the like have none */

static size_t
ngx_http_api_response_type(ngx_str_t *type)
{
    u_char  *p;

    p = ngx_strlchr(type->data, type->data + type->len, ';');

    return p ? (size_t) (p - type->data) : type->len;
}
