
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_prometheus.h"
#include "ngx_http_api_response.h"
#include "ngx_http_api_utf8.h"


/* what is allocated first; it doubles */
#define NGX_HTTP_API_PROMETHEUS_SIZE  8192


struct ngx_http_api_prometheus_s {
    ngx_pool_t     *pool;
    const char     *name;     /* of the family */
    ngx_str_t       text;
    size_t          size;     /* allocated */
    size_t          len;      /* of the labels */
    u_char          labels[NGX_HTTP_API_PROMETHEUS_LABELS];
    unsigned        failed:1;
};


static void ngx_http_api_prometheus_family(ngx_http_api_prometheus_t *p,
    const char *name, const char *type, const char *help);
static u_char *ngx_http_api_prometheus_escape(u_char *to, u_char *end,
    const u_char *value);
static void ngx_http_api_prometheus_sample(ngx_http_api_prometheus_t *p,
    const char *suffix, const u_char *value, size_t len);
static size_t ngx_http_api_prometheus_seconds(u_char *buf, uint64_t us);
static void ngx_http_api_prometheus_add(ngx_http_api_prometheus_t *p,
    const void *data, size_t len);
static void ngx_http_api_prometheus_add_text(ngx_http_api_prometheus_t *p,
    const char *text);


ngx_http_api_prometheus_t *
ngx_http_api_prometheus_create(ngx_pool_t *pool)
{
    ngx_http_api_prometheus_t  *p;

    p = ngx_pcalloc(pool, sizeof(ngx_http_api_prometheus_t));
    if (p == NULL) {
        return NULL;
    }

    p->pool = pool;
    p->size = NGX_HTTP_API_PROMETHEUS_SIZE;

    p->text.data = ngx_palloc(pool, p->size);
    if (p->text.data == NULL) {
        return NULL;
    }

    return p;
}


void
ngx_http_api_prometheus_counter(ngx_http_api_prometheus_t *p,
    const char *name, const char *help)
{
    ngx_http_api_prometheus_family(p, name, "counter", help);
}


void
ngx_http_api_prometheus_gauge(ngx_http_api_prometheus_t *p, const char *name,
    const char *help)
{
    ngx_http_api_prometheus_family(p, name, "gauge", help);
}


void
ngx_http_api_prometheus_histogram(ngx_http_api_prometheus_t *p,
    const char *name, const char *help)
{
    ngx_http_api_prometheus_family(p, name, "histogram", help);
}


static void
ngx_http_api_prometheus_family(ngx_http_api_prometheus_t *p, const char *name,
    const char *type, const char *help)
{
    if (p == NULL) {
        return;
    }

    p->name = name;
    p->len = 0;

    ngx_http_api_prometheus_add_text(p, "# HELP ");
    ngx_http_api_prometheus_add_text(p, name);
    ngx_http_api_prometheus_add_text(p, " ");
    ngx_http_api_prometheus_add_text(p, help);
    ngx_http_api_prometheus_add_text(p, "\n# TYPE ");
    ngx_http_api_prometheus_add_text(p, name);
    ngx_http_api_prometheus_add_text(p, " ");
    ngx_http_api_prometheus_add_text(p, type);
    ngx_http_api_prometheus_add_text(p, "\n");
}


void
ngx_http_api_prometheus_label(ngx_http_api_prometheus_t *p, const char *name,
    ngx_str_t *value)
{
    u_char  *text;

    if (p == NULL) {
        return;
    }

    text = ngx_http_api_utf8(p->pool, value);
    if (text == NULL) {
        p->failed = 1;
        return;
    }

    ngx_http_api_prometheus_text(p, name, (const char *) text);
}


void
ngx_http_api_prometheus_text(ngx_http_api_prometheus_t *p, const char *name,
    const char *value)
{
    u_char  *to, *end;
    size_t   len;

    if (p == NULL) {
        return;
    }

    len = ngx_strlen(name);
    end = p->labels + NGX_HTTP_API_PROMETHEUS_LABELS;

    if (p->len + len + sizeof(",=\"\"") > NGX_HTTP_API_PROMETHEUS_LABELS) {
        return;
    }

    to = p->labels + p->len;

    if (p->len) {
        *to++ = ',';
    }

    to = ngx_cpymem(to, name, len);
    *to++ = '=';
    *to++ = '"';

    to = ngx_http_api_prometheus_escape(to, end - 1, (const u_char *) value);
    *to++ = '"';

    p->len = to - p->labels;
}


/* Copies whole characters as long as there is room. */

static u_char *
ngx_http_api_prometheus_escape(u_char *to, u_char *end, const u_char *value)
{
    size_t  n, i;

    while (*value) {

        if (*value == '\\' || *value == '"' || *value == LF) {

            if (end - to < 2) {
                break;
            }

            *to++ = '\\';
            *to++ = (*value == LF) ? 'n' : *value;
            value++;
            continue;
        }

        for (n = 1; (value[n] & 0xc0) == 0x80; n++) { /* void */ }

        if ((size_t) (end - to) < n) {
            break;
        }

        for (i = 0; i < n; i++) {
            *to++ = *value++;
        }
    }

    return to;
}


void
ngx_http_api_prometheus_number(ngx_http_api_prometheus_t *p, uint64_t n)
{
    u_char  buf[NGX_INT64_LEN];

    ngx_http_api_prometheus_sample(p, "", buf,
                                   ngx_sprintf(buf, "%uL", n) - buf);
}


void
ngx_http_api_prometheus_usec(ngx_http_api_prometheus_t *p, uint64_t us)
{
    u_char  buf[NGX_INT64_LEN + sizeof(".000000")];

    ngx_http_api_prometheus_sample(p, "", buf,
                                   ngx_http_api_prometheus_seconds(buf, us));
}


void
ngx_http_api_prometheus_msec(ngx_http_api_prometheus_t *p, uint64_t ms)
{
    ngx_http_api_prometheus_usec(p, ms * 1000);
}


static size_t
ngx_http_api_prometheus_seconds(u_char *buf, uint64_t us)
{
    return ngx_sprintf(buf, "%uL.%06uL", us / 1000000, us % 1000000) - buf;
}


void
ngx_http_api_prometheus_buckets(ngx_http_api_prometheus_t *p,
    const uint64_t *bounds, ngx_uint_t n, const uint64_t *counts,
    uint64_t sum)
{
    size_t      len, size;
    u_char      buf[NGX_INT64_LEN + sizeof(".000000")];
    uint64_t    all;
    ngx_uint_t  i;

    if (p == NULL) {
        return;
    }

    /* each sample has the labels of the first */

    all = 0;
    len = p->len;

    for (i = 0; i <= n; i++) {
        all += counts[i];

        p->len = len;

        if (i < n) {
            size = ngx_http_api_prometheus_seconds(buf, bounds[i]);
            buf[size] = '\0';

            ngx_http_api_prometheus_text(p, "le", (char *) buf);

        } else {
            ngx_http_api_prometheus_text(p, "le", "+Inf");
        }

        size = ngx_sprintf(buf, "%uL", all) - buf;
        ngx_http_api_prometheus_sample(p, "_bucket", buf, size);
    }

    p->len = len;
    ngx_http_api_prometheus_sample(p, "_sum", buf,
                                   ngx_http_api_prometheus_seconds(buf, sum));

    p->len = len;
    ngx_http_api_prometheus_sample(p, "_count", buf,
                                   ngx_sprintf(buf, "%uL", all) - buf);
}


static void
ngx_http_api_prometheus_sample(ngx_http_api_prometheus_t *p,
    const char *suffix, const u_char *value, size_t len)
{
    if (p == NULL) {
        return;
    }

    ngx_http_api_prometheus_add_text(p, p->name);
    ngx_http_api_prometheus_add_text(p, suffix);

    if (p->len) {
        ngx_http_api_prometheus_add_text(p, "{");
        ngx_http_api_prometheus_add(p, p->labels, p->len);
        ngx_http_api_prometheus_add_text(p, "}");
    }

    ngx_http_api_prometheus_add_text(p, " ");
    ngx_http_api_prometheus_add(p, value, len);
    ngx_http_api_prometheus_add_text(p, "\n");

    p->len = 0;
}


static void
ngx_http_api_prometheus_add_text(ngx_http_api_prometheus_t *p,
    const char *text)
{
    ngx_http_api_prometheus_add(p, text, ngx_strlen(text));
}


static void
ngx_http_api_prometheus_add(ngx_http_api_prometheus_t *p, const void *data,
    size_t len)
{
    u_char  *text;
    size_t   size;

    if (p->failed) {
        return;
    }

    if (p->size - p->text.len < len) {

        for (size = p->size; size - p->text.len < len; size *= 2) {
            /* void */
        }

        text = ngx_palloc(p->pool, size);
        if (text == NULL) {
            p->failed = 1;
            return;
        }

        ngx_memcpy(text, p->text.data, p->text.len);

        (void) ngx_pfree(p->pool, p->text.data);

        p->text.data = text;
        p->size = size;
    }

    ngx_memcpy(p->text.data + p->text.len, data, len);
    p->text.len += len;
}


ngx_int_t
ngx_http_api_prometheus_send(ngx_http_request_t *r,
    ngx_http_api_prometheus_t *p)
{
    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4; "
                                    "charset=utf-8");

    if (p == NULL || p->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_response_send(r, NGX_HTTP_OK, &type, &p->text);
}
