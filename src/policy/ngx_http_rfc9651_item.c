
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9651_item.h"


static u_char *ngx_http_rfc9651_number(u_char *p, u_char *last,
    ngx_http_rfc9651_type_e *type);
static u_char *ngx_http_rfc9651_string(u_char *p, u_char *last);
static u_char *ngx_http_rfc9651_token(u_char *p, u_char *last);
static u_char *ngx_http_rfc9651_bytes(u_char *p, u_char *last);
static u_char *ngx_http_rfc9651_date(u_char *p, u_char *last);
static u_char *ngx_http_rfc9651_display(u_char *p, u_char *last);

static ngx_int_t ngx_http_rfc9651_hex(u_char ch);
static ngx_uint_t ngx_http_rfc9651_utf8(u_char *p, u_char *last);


#define ngx_http_rfc9651_digit(c)   ((c) >= '0' && (c) <= '9')
#define ngx_http_rfc9651_lower(c)   ((c) >= 'a' && (c) <= 'z')
#define ngx_http_rfc9651_alpha(c)   ngx_http_rfc9651_lower((c) | 0x20)


/* RFC 9651, 4.2.3.3 */

u_char *
ngx_http_rfc9651_key(u_char *p, u_char *last)
{
    if (p == last || (!ngx_http_rfc9651_lower(*p) && *p != '*')) {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (!ngx_http_rfc9651_lower(*p) && !ngx_http_rfc9651_digit(*p)
            && *p != '_' && *p != '-' && *p != '.' && *p != '*')
        {
            break;
        }
    }

    return p;
}


/* RFC 9651, 4.2.3.2 */

u_char *
ngx_http_rfc9651_parameters(u_char *p, u_char *last)
{
    ngx_http_rfc9651_member_t  m;

    while (p < last && *p == ';') {

        p = ngx_http_rfc9651_spaces(p + 1, last);

        p = ngx_http_rfc9651_key(p, last);
        if (p == NULL) {
            return NULL;
        }

        if (p < last && *p == '=') {

            p = ngx_http_rfc9651_item(p + 1, last, &m);
            if (p == NULL) {
                return NULL;
            }
        }
    }

    return p;
}


/* RFC 9651, 4.2.1.2 */

u_char *
ngx_http_rfc9651_inner_list(u_char *p, u_char *last)
{
    ngx_http_rfc9651_member_t  m;

    for (p++; p < last; /* void */ ) {

        p = ngx_http_rfc9651_spaces(p, last);

        if (p < last && *p == ')') {
            return p + 1;
        }

        p = ngx_http_rfc9651_item(p, last, &m);
        if (p == NULL) {
            return NULL;
        }

        p = ngx_http_rfc9651_parameters(p, last);
        if (p == NULL) {
            return NULL;
        }

        if (p == last || (*p != ' ' && *p != ')')) {
            return NULL;
        }
    }

    return NULL;
}


/* RFC 9651, 4.2.3.1 */

u_char *
ngx_http_rfc9651_item(u_char *p, u_char *last, ngx_http_rfc9651_member_t *m)
{
    u_char  *end;

    if (p == last) {
        return NULL;
    }

    m->text.data = p;

    switch (*p) {

    case '"':
        m->type = NGX_HTTP_RFC9651_STRING;
        end = ngx_http_rfc9651_string(p, last);
        break;

    case ':':
        m->type = NGX_HTTP_RFC9651_BYTES;
        end = ngx_http_rfc9651_bytes(p, last);
        break;

    case '@':
        m->type = NGX_HTTP_RFC9651_DATE;
        end = ngx_http_rfc9651_date(p, last);
        break;

    case '%':
        m->type = NGX_HTTP_RFC9651_DISPLAY;
        end = ngx_http_rfc9651_display(p, last);
        break;

    case '?':
        m->type = NGX_HTTP_RFC9651_BOOLEAN;

        if (last - p < 2 || (p[1] != '0' && p[1] != '1')) {
            return NULL;
        }

        m->truth = (p[1] == '1');
        end = p + 2;
        break;

    default:
        if (*p == '-' || ngx_http_rfc9651_digit(*p)) {
            end = ngx_http_rfc9651_number(p, last, &m->type);

        } else {
            m->type = NGX_HTTP_RFC9651_TOKEN;
            end = ngx_http_rfc9651_token(p, last);
        }
    }

    if (end == NULL) {
        return NULL;
    }

    m->text.len = end - p;

    if (m->type == NGX_HTTP_RFC9651_STRING) {
        m->text.data++;
        m->text.len -= 2;
    }

    return end;
}


/* RFC 9651, 4.2.4: 15 digits, or 12 and 1 to 3 after the point */

static u_char *
ngx_http_rfc9651_number(u_char *p, u_char *last, ngx_http_rfc9651_type_e *type)
{
    u_char  *start;

    if (*p == '-') {
        p++;
    }

    start = p;

    while (p < last && ngx_http_rfc9651_digit(*p)) {
        p++;
    }

    if (p == start || p - start > 15) {
        return NULL;
    }

    *type = NGX_HTTP_RFC9651_INTEGER;

    if (p == last || *p != '.') {
        return p;
    }

    if (p - start > 12) {
        return NULL;
    }

    *type = NGX_HTTP_RFC9651_DECIMAL;

    start = ++p;

    while (p < last && ngx_http_rfc9651_digit(*p)) {
        p++;
    }

    return (p == start || p - start > 3) ? NULL : p;
}


/* RFC 9651, 4.2.5 */

static u_char *
ngx_http_rfc9651_string(u_char *p, u_char *last)
{
    for (p++; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p++;

            if (p == last || (*p != '"' && *p != '\\')) {
                return NULL;
            }

            continue;
        }

        if (*p < 0x20 || *p > 0x7e) {
            return NULL;
        }
    }

    return NULL;
}


/* RFC 9651, 4.2.6 */

static u_char *
ngx_http_rfc9651_token(u_char *p, u_char *last)
{
    if (!ngx_http_rfc9651_alpha(*p) && *p != '*') {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (!ngx_http_rfc9651_alpha(*p) && !ngx_http_rfc9651_digit(*p)
            && (*p == '\0' || ngx_strchr("!#$%&'*+-.^_`|~:/", *p) == NULL))
        {
            break;
        }
    }

    return p;
}


/*
 * RFC 9651, 4.2.7; what is missing at the end of base64 is not asked for, but
 * what fills it up is nowhere else.
 */

static u_char *
ngx_http_rfc9651_bytes(u_char *p, u_char *last)
{
    for (p++; p < last; p++) {

        if (*p == ':') {
            return p + 1;
        }

        if (p[-1] == '=' && *p != '=') {
            return NULL;
        }

        if (!ngx_http_rfc9651_alpha(*p) && !ngx_http_rfc9651_digit(*p)
            && *p != '+' && *p != '/' && *p != '=')
        {
            return NULL;
        }
    }

    return NULL;
}


/* RFC 9651, 4.2.9 */

static u_char *
ngx_http_rfc9651_date(u_char *p, u_char *last)
{
    ngx_http_rfc9651_type_e  type;

    if (++p == last || (*p != '-' && !ngx_http_rfc9651_digit(*p))) {
        return NULL;
    }

    p = ngx_http_rfc9651_number(p, last, &type);

    return (p && type == NGX_HTTP_RFC9651_INTEGER) ? p : NULL;
}


/* RFC 9651, 4.2.10: %"...", which is UTF-8 once it has been unescaped */

static u_char *
ngx_http_rfc9651_display(u_char *p, u_char *last)
{
    u_char  *start;

    if (last - p < 2 || p[1] != '"') {
        return NULL;
    }

    p += 2;
    start = p;

    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            return ngx_http_rfc9651_utf8(start, p) ? p + 1 : NULL;
        }

        if (*p < 0x20 || *p > 0x7e) {
            return NULL;
        }

        if (*p == '%') {

            if (last - p < 3 || ngx_http_rfc9651_hex(p[1]) < 0
                || ngx_http_rfc9651_hex(p[2]) < 0)
            {
                return NULL;
            }

            p += 2;
        }
    }

    return NULL;
}


/* lower case only */

static ngx_int_t
ngx_http_rfc9651_hex(u_char ch)
{
    if (ngx_http_rfc9651_digit(ch)) {
        return ch - '0';
    }

    return (ch >= 'a' && ch <= 'f') ? ch - 'a' + 10 : -1;
}


/* Whether escaped text, whose escapes have been checked, is UTF-8. */

static ngx_uint_t
ngx_http_rfc9651_utf8(u_char *p, u_char *last)
{
    u_char      ch;
    uint32_t    code, least;
    ngx_uint_t  more;

    code = 0;
    least = 0;
    more = 0;

    while (p < last) {

        ch = *p++;

        if (ch == '%') {
            ch = (u_char) (ngx_http_rfc9651_hex(p[0]) << 4
                           | ngx_http_rfc9651_hex(p[1]));
            p += 2;
        }

        if (more) {

            if ((ch & 0xc0) != 0x80) {
                return 0;
            }

            code = code << 6 | (ch & 0x3f);

            if (--more == 0
                && (code < least || code > 0x10ffff
                    || (code >= 0xd800 && code <= 0xdfff)))
            {
                return 0;
            }

            continue;
        }

        if (ch < 0x80) {
            continue;
        }

        if (ch >= 0xc0 && ch < 0xe0) {
            more = 1;
            code = ch & 0x1f;
            least = 0x80;

        } else if (ch >= 0xe0 && ch < 0xf0) {
            more = 2;
            code = ch & 0x0f;
            least = 0x800;

        } else if (ch >= 0xf0 && ch < 0xf8) {
            more = 3;
            code = ch & 0x07;
            least = 0x10000;

        } else {
            return 0;
        }
    }

    return more == 0;
}
