
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_response.h"
#include "ngx_http_compat.h"
#include "ngx_http_optcache_dashboard.h"
#include "ngx_sha256.h"


/* Trusted Types: no script of the page can make markup of a text */

#define NGX_HTTP_OPTCACHE_DASHBOARD_POLICY                                    \
    "default-src 'none'; style-src 'sha256-%V'; script-src 'sha256-%V'; "     \
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "           \
    "form-action 'none'; require-trusted-types-for 'script'; "                \
    "trusted-types 'none'"


typedef struct {
    ngx_str_t                 text;
    u_char                    buf[ngx_base64_encoded_length(NGX_SHA256_LEN)];
} ngx_http_optcache_dashboard_digest_t;


static ngx_int_t ngx_http_optcache_dashboard_digest(const char *begin,
    const char *end, ngx_http_optcache_dashboard_digest_t *digest);


static u_char  ngx_http_optcache_dashboard_page[] = {
#include "ngx_http_optcache_dashboard_page.h"
    0
};


ngx_int_t
ngx_http_optcache_dashboard_policy(ngx_pool_t *pool, ngx_str_t *policy)
{
    u_char                                *p;
    size_t                                 len;
    ngx_http_optcache_dashboard_digest_t   style, script;

    if (ngx_http_optcache_dashboard_digest("<style>", "</style>", &style)
        != NGX_OK
        || ngx_http_optcache_dashboard_digest("<script>", "</script>",
                                              &script)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(NGX_HTTP_OPTCACHE_DASHBOARD_POLICY) + style.text.len
          + script.text.len;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    policy->data = p;
    policy->len = ngx_snprintf(p, len, NGX_HTTP_OPTCACHE_DASHBOARD_POLICY,
                               &style.text, &script.text)
                  - p;

    return NGX_OK;
}


/* Of what is between the first of two tags, as a policy has it. */

static ngx_int_t
ngx_http_optcache_dashboard_digest(const char *begin, const char *end,
    ngx_http_optcache_dashboard_digest_t *digest)
{
    u_char     *last, sha256[NGX_SHA256_LEN];
    ngx_str_t   text, binary;

    text.data = (u_char *) ngx_strstr(ngx_http_optcache_dashboard_page, begin);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.data += ngx_strlen(begin);

    last = (u_char *) ngx_strstr(text.data, end);
    if (last == NULL) {
        return NGX_ERROR;
    }

    text.len = last - text.data;

    ngx_sha256(&text, sha256);

    binary.data = sha256;
    binary.len = NGX_SHA256_LEN;

    digest->text.data = digest->buf;
    ngx_encode_base64(&digest->text, &binary);

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_dashboard_send(ngx_http_request_t *r, ngx_str_t *policy)
{
    ngx_str_t  name, page;

    static ngx_str_t  type = ngx_string("text/html; charset=utf-8");

    ngx_str_set(&name, "Content-Security-Policy");

    if (ngx_http_compat_push_header(r, &name, policy) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page.data = ngx_http_optcache_dashboard_page;
    page.len = sizeof(ngx_http_optcache_dashboard_page) - 1;

    return ngx_http_api_response_send(r, NGX_HTTP_OK, &type, &page);
}


ngx_int_t
ngx_http_optcache_dashboard_redirect(ngx_http_request_t *r,
    ngx_str_t *location)
{
    size_t     len;
    ngx_str_t  name, value;

    len = location->len + 2 * ngx_escape_uri(NULL, location->data,
                                             location->len, NGX_ESCAPE_URI);

    value.data = ngx_pnalloc(r->pool, len + 1);
    if (value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_escape_uri(value.data, location->data, location->len,
                          NGX_ESCAPE_URI);

    value.data[len] = '/';
    value.len = len + 1;

    ngx_http_clear_location(r);

    ngx_str_set(&name, "Location");

    r->headers_out.location = ngx_http_compat_push_header(r, &name, &value);

    if (r->headers_out.location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_MOVED_PERMANENTLY;
}
