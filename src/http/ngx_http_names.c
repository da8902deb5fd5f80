
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_names.h"


/* what is dropped around a name, or is "_" in it, beside what always is */

#define NGX_HTTP_NAMES_BRACKETS  0x01
#define NGX_HTTP_NAMES_DASHES    0x02


static ngx_uint_t ngx_http_names_cookies(const ngx_str_t *field,
    const ngx_str_t *name, ngx_uint_t flags);
static ngx_uint_t ngx_http_names_field(const ngx_str_t *field,
    const ngx_str_t *name);
static ngx_uint_t ngx_http_names_count(const ngx_str_t *text,
    const ngx_str_t *name, const char *separators, ngx_uint_t flags);
static ngx_uint_t ngx_http_names_blank(u_char *p, u_char *last);
static ngx_uint_t ngx_http_names_named(u_char *p, u_char *last,
    const ngx_str_t *name, ngx_uint_t flags);
static ngx_int_t ngx_http_names_decode(u_char **pp, u_char *last);
static ngx_int_t ngx_http_names_wide(ngx_int_t n);


ngx_http_names_e
ngx_http_names_variable(const ngx_str_t *variable, ngx_str_t *name)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t         prefix;
        ngx_http_names_e  where;
    } names[] = {
        { ngx_string("arg_"), NGX_HTTP_NAMES_ARG },
        { ngx_string("cookie_"), NGX_HTTP_NAMES_COOKIE },
        { ngx_string("http_"), NGX_HTTP_NAMES_FIELD },
        { ngx_null_string, NGX_HTTP_NAMES_NONE }
    };

    for (i = 0; names[i].prefix.len; i++) {

        if (variable->len > names[i].prefix.len
            && ngx_strncasecmp(variable->data, names[i].prefix.data,
                               names[i].prefix.len)
               == 0)
        {
            name->data = variable->data + names[i].prefix.len;
            name->len = variable->len - names[i].prefix.len;
            break;
        }
    }

    return names[i].where;
}


ngx_uint_t
ngx_http_names_said(ngx_http_request_t *r, ngx_http_names_e where,
    const ngx_str_t *name, ngx_uint_t dashes)
{
    ngx_str_t        *value;
    ngx_uint_t        i, n, flags;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  cookie = ngx_string("cookie");

    flags = dashes ? NGX_HTTP_NAMES_DASHES : 0;

    if (where == NGX_HTTP_NAMES_ARG) {
        return ngx_http_names_count(&r->args, name, "&;", flags);
    }

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            value = &h[i].value;

            if (where == NGX_HTTP_NAMES_COOKIE) {

                if (ngx_http_names_field(&h[i].key, &cookie)) {
                    n += ngx_http_names_cookies(value, name, flags);
                }

                continue;
            }

            n += (value->len && ngx_http_names_field(&h[i].key, name));
        }
    }

    return n;
}


/* Two if readers differ. */

static ngx_uint_t
ngx_http_names_cookies(const ngx_str_t *field, const ngx_str_t *name,
    ngx_uint_t flags)
{
    ngx_uint_t  n;

    /* RFC 6265, 5.4; nginx; and who takes a blank for the end of a cookie */

    n = ngx_http_names_count(field, name, ";", flags);

    return (n == ngx_http_names_count(field, name, ";,", flags)
            && n == ngx_http_names_count(field, name, "; \t", flags))
           ? n : 2;
}


static ngx_uint_t
ngx_http_names_field(const ngx_str_t *field, const ngx_str_t *name)
{
    u_char  ch;
    size_t  i;

    if (field->len != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = field->data[i];

        if (ch == '-') {
            ch = '_';
        }

        if (ngx_tolower(ch) != ngx_tolower(name->data[i])) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_names_count(const ngx_str_t *text, const ngx_str_t *name,
    const char *separators, ngx_uint_t flags)
{
    u_char      *p, *start, *equal, *last, *set, *end;
    ngx_uint_t   n;

    set = (u_char *) separators;
    end = set + ngx_strlen(set);

    n = 0;
    start = text->data;
    last = start + text->len;
    equal = NULL;

    for (p = start; p <= last; p++) {

        if (p < last && ngx_strlchr(set, end, *p) == NULL) {

            if (*p == '=' && equal == NULL) {

                if (ngx_http_names_blank(start, p)) {
                    /* of no name: some drop it and read on */
                    start = p + 1;

                } else {
                    equal = p;
                }
            }

            continue;
        }

        if (equal
            && p - equal > 1
            && (ngx_http_names_named(start, equal, name, flags)
                || ngx_http_names_named(start, equal, name,
                                        flags|NGX_HTTP_NAMES_BRACKETS)))
        {
            n++;
        }

        start = p + 1;
        equal = NULL;
    }

    return n;
}


static ngx_uint_t
ngx_http_names_blank(u_char *p, u_char *last)
{
    while (p < last && *p <= ' ') {
        p++;
    }

    return p == last;
}


/*
 * PHP drops blanks before a name, and what is behind a zero byte; it makes "_"
 * of a blank, "." and "[" in it, and an array of name[...].  URLSearchParams
 * drops a second "?", others "brackets" around a name.  What some make of a
 * wide character may be any other.
 */

static ngx_uint_t
ngx_http_names_named(u_char *p, u_char *last, const ngx_str_t *name,
    ngx_uint_t flags)
{
    size_t     i;
    ngx_int_t  ch;

    i = 0;

    while (p < last) {
        ch = ngx_http_names_decode(&p, last);

        if (i == name->len) {

            if (ch == '\0' || ch == '[' || ch == ']' || ch == NGX_ERROR) {
                return 1;
            }

            if (ch > ' ') {
                return 0;
            }

            continue;
        }

        if (ch == NGX_ERROR) {
            i++;
            continue;
        }

        if (i == 0
            && (ch <= ' ' || ch == '?'
                || ((flags & NGX_HTTP_NAMES_BRACKETS)
                    && (ch == '[' || ch == ']'))))
        {
            continue;
        }

        if (ch == ' ' || ch == '.' || ch == '['
            || (ch == '-' && (flags & NGX_HTTP_NAMES_DASHES)))
        {
            ch = '_';
        }

        if (ngx_tolower(ch) != ngx_tolower(name->data[i])) {
            return 0;
        }

        i++;
    }

    return i == name->len;
}


/* NGX_ERROR: it is not known which character. */

static ngx_int_t
ngx_http_names_decode(u_char **pp, u_char *last)
{
    u_char     *p;
    ngx_int_t   ch, n;

    p = *pp;
    ch = *p++;

    if (ch == '+') {
        ch = ' ';

    } else if (ch == '%' && last - p >= 5 && (*p == 'u' || *p == 'U')) {
        n = ngx_hextoi(p + 1, 4);

        if (n != NGX_ERROR) {
            ch = ngx_http_names_wide(n);
            p += 5;
        }

    } else if (ch == '%' && last - p >= 2) {
        n = ngx_hextoi(p, 2);

        if (n != NGX_ERROR) {
            ch = n;
            p += 2;
        }
    }

    *pp = p;

    return ch;
}


/*
 * %uXXXX, as scripts write it.  Who has fewer characters puts the next best in
 * place of others: those with accents, Greek ones, signs and blanks, and the
 * wide forms of ASCII have one there.
 */

static ngx_int_t
ngx_http_names_wide(ngx_int_t n)
{
    if (n < 0x80) {
        return n;
    }

    return (n < 0x400 || (n >= 0x2000 && n < 0x3040) || n >= 0xff00)
           ? NGX_ERROR : 0x80;
}
