
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_encoding.h"
#include "ngx_http_rfc9110_list.h"
#include "ngx_rare.h"


static ngx_often ngx_uint_t ngx_http_rfc9110_encoding_taken(ngx_str_t *line,
    ngx_str_t *coding, ngx_uint_t unlisted);
static ngx_often ngx_str_t ngx_http_rfc9110_encoding_name(ngx_str_t *name);
static u_char *ngx_http_rfc9110_encoding_next(u_char *p, u_char *last,
    ngx_str_t *coding, ngx_uint_t *taken);
static ngx_uint_t ngx_http_rfc9110_weight(u_char *p, u_char *last);


static ngx_str_t  ngx_http_rfc9110_codings =
    ngx_string("gzip, compress, deflate, br, zstd, dcb, dcz");


ngx_often ngx_uint_t
ngx_http_rfc9110_accepts(ngx_str_t *line, ngx_str_t *coding)
{
    return line ? ngx_http_rfc9110_encoding_taken(line, coding, 0) : 0;
}


ngx_uint_t
ngx_http_rfc9110_accepts_identity(ngx_str_t *line)
{
    static ngx_str_t  identity = ngx_string("identity");

    return line ? ngx_http_rfc9110_encoding_taken(line, &identity, 1) : 1;
}


/* "unlisted": whether it is taken where neither it nor "*" is listed. */

static ngx_uint_t
ngx_http_rfc9110_encoding_taken(ngx_str_t *line, ngx_str_t *coding,
    ngx_uint_t unlisted)
{
    u_char      *p, *last;
    ngx_str_t    name, asked;
    ngx_uint_t   taken, any;

    any = unlisted;
    asked = ngx_http_rfc9110_encoding_name(coding);

    p = line->data;
    last = p + line->len;

    while (p < last) {
        p = ngx_http_rfc9110_encoding_next(p, last, &name, &taken);

        name = ngx_http_rfc9110_encoding_name(&name);

        if (name.len == asked.len
            && (ngx_memcmp(name.data, asked.data, name.len) == 0
                || ngx_strncasecmp(name.data, asked.data, name.len) == 0))
        {
            return taken;
        }

        if (name.len == 1 && name.data[0] == '*') {
            any = taken;
        }
    }

    return any;
}


ngx_uint_t
ngx_http_rfc9110_acceptable(ngx_str_t *line, ngx_str_t *codings,
    ngx_uint_t varies)
{
    u_char     *p, *last;
    ngx_str_t   coding, name;

    static ngx_str_t  identity = ngx_string("identity");

    p = codings->data;
    last = p + codings->len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &coding)) != NULL) {

        name = ngx_http_rfc9110_encoding_name(&coding);

        if ((varies ? !ngx_http_rfc9110_list_has(&identity, &name)
                    : ngx_http_rfc9110_list_has(&ngx_http_rfc9110_codings,
                                                &name))
            && !ngx_http_rfc9110_accepts(line, &coding))
        {
            return 0;
        }
    }

    return 1;
}


/* RFC 9110, 8.4.1.1 and 8.4.1.3: "x-gzip" is "gzip"; "x-br" is not "br" */

static ngx_str_t
ngx_http_rfc9110_encoding_name(ngx_str_t *name)
{
    ngx_str_t  s;

    s = *name;

    if ((s.len == sizeof("x-gzip") - 1
         && ngx_strncasecmp(s.data, (u_char *) "x-gzip", s.len) == 0)
        || (s.len == sizeof("x-compress") - 1
            && ngx_strncasecmp(s.data, (u_char *) "x-compress", s.len) == 0))
    {
        s.data += 2;
        s.len -= 2;
    }

    return s;
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
    ngx_uint_t  one, positive;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ';')) {
        p++;
    }

    if (p == last) {
        return 1;
    }

    if (last - p < 3 || (p[0] != 'q' && p[0] != 'Q') || p[1] != '='
        || (p[2] != '0' && p[2] != '1'))
    {
        return 0;
    }

    one = (p[2] == '1');
    positive = one;

    p += 3;

    if (p < last && *p == '.') {

        for (p++; p < last && *p >= '0' && *p <= '9'; p++) {

            if (*p != '0') {
                /* above 1 there is none */
                positive = !one;
            }
        }
    }

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return (p == last) ? positive : 0;
}
