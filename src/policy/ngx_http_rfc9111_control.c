
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


static u_char *ngx_http_rfc9111_control_next(u_char *p, u_char *last,
    ngx_str_t *name, ngx_str_t *arg);
static u_char *ngx_http_rfc9111_control_end(u_char *p, u_char *last);
static u_char *ngx_http_rfc9111_control_quote(u_char *p, u_char *last);
static ngx_uint_t ngx_http_rfc9111_control_is(ngx_str_t *name,
    const char *directive);
static int64_t ngx_http_rfc9111_control_min(int64_t known, ngx_str_t *arg);


void
ngx_http_rfc9111_control_init(ngx_http_rfc9111_control_t *cc)
{
    ngx_memzero(cc, sizeof(ngx_http_rfc9111_control_t));

    cc->max_age = -1;
    cc->s_maxage = -1;
}


void
ngx_http_rfc9111_control_parse(ngx_str_t *line, ngx_http_rfc9111_control_t *cc)
{
    u_char     *p, *last;
    ngx_str_t   name, arg;

    p = line->data;
    last = p + line->len;

    while (p < last) {
        p = ngx_http_rfc9111_control_next(p, last, &name, &arg);

        if (ngx_http_rfc9111_control_is(&name, "no-store")) {
            cc->no_store = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "no-cache")) {
            cc->no_cache = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "private")) {
            cc->priv = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "public")) {
            cc->pub = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "must-revalidate")) {
            cc->must_revalidate = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "proxy-revalidate")) {
            cc->proxy_revalidate = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "no-transform")) {
            cc->no_transform = 1;

        } else if (ngx_http_rfc9111_control_is(&name, "max-age")) {
            cc->max_age = ngx_http_rfc9111_control_min(cc->max_age, &arg);

        } else if (ngx_http_rfc9111_control_is(&name, "s-maxage")) {
            cc->s_maxage = ngx_http_rfc9111_control_min(cc->s_maxage, &arg);
        }
    }
}


/*
 * Takes one member off a list.  Commas separate its members, and semicolons,
 * since "private; max-age=60" is often meant; within a quoted argument they do
 * not.  A quote that is never closed is a character like any other: it must
 * not hide the directives after it.
 */

static u_char *
ngx_http_rfc9111_control_next(u_char *p, u_char *last, ngx_str_t *name,
    ngx_str_t *arg)
{
    u_char  *quote;

    ngx_str_null(arg);

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',' || *p == ';')) {
        p++;
    }

    name->data = p;

    while (p < last && *p != ',' && *p != '=' && *p != ';' && *p != ' '
           && *p != '\t')
    {
        p++;
    }

    name->len = p - name->data;

    if (p == last || *p != '=') {
        /* "max-age =1" is no directive with an argument */
        return ngx_http_rfc9111_control_end(p, last);
    }

    arg->data = ++p;

    quote = ngx_http_rfc9111_control_quote(p, last);

    if (quote) {
        arg->data++;
        arg->len = quote - arg->data;

        return ngx_http_rfc9111_control_end(quote + 1, last);
    }

    p = ngx_http_rfc9111_control_end(p, last);

    arg->len = p - arg->data;

    while (arg->len
           && (arg->data[arg->len - 1] == ' '
               || arg->data[arg->len - 1] == '\t'))
    {
        arg->len--;
    }

    return p;
}


/* The end of the member that p is in. */

static u_char *
ngx_http_rfc9111_control_end(u_char *p, u_char *last)
{
    while (p < last && *p != ',' && *p != ';') {
        p++;
    }

    return p;
}


/* The closing quote of a quoted string that begins at p; NULL: none does. */

static u_char *
ngx_http_rfc9111_control_quote(u_char *p, u_char *last)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (*p == '"') {
            return p;
        }

        if (*p == '\\' && p + 1 < last) {
            p++;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_rfc9111_control_is(ngx_str_t *name, const char *directive)
{
    return name->len == ngx_strlen(directive)
           && ngx_strncasecmp(name->data, (u_char *) directive, name->len)
              == 0;
}


static int64_t
ngx_http_rfc9111_control_min(int64_t known, ngx_str_t *arg)
{
    int64_t  delta;

    delta = ngx_http_rfc9111_delta(arg->data, arg->len);

    if (delta < 0) {
        /* RFC 9111, 4.2.1: invalid freshness information means stale */
        return 0;
    }

    return (known == -1) ? delta : ngx_min(known, delta);
}


int64_t
ngx_http_rfc9111_delta(u_char *data, size_t len)
{
    size_t   i;
    int64_t  delta;

    if (len == 0) {
        return -1;
    }

    delta = 0;

    for (i = 0; i < len; i++) {

        if (data[i] < '0' || data[i] > '9') {
            return -1;
        }

        delta = ngx_min(delta * 10 + (data[i] - '0'),
                        NGX_HTTP_RFC9111_DELTA_MAX);
    }

    return delta;
}
