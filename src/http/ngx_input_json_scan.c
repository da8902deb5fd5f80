
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"


typedef struct {
    u_char                         *p;
    u_char                         *last;
    ngx_uint_t                      depth;
    ngx_uint_t                      members;
    ngx_uint_t                      values;
    const ngx_input_json_limits_t  *limits;
} ngx_input_json_scan_t;


static ngx_int_t ngx_input_json_scan_value(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_object(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_member(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_array(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_string(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_character(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_escape(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_unicode(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_number(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_digits(ngx_input_json_scan_t *scan);
static ngx_int_t ngx_input_json_scan_word(ngx_input_json_scan_t *scan,
    const char *word);
static ngx_uint_t ngx_input_json_scan_next(ngx_input_json_scan_t *scan,
    u_char ch);
static void ngx_input_json_scan_space(ngx_input_json_scan_t *scan);


ngx_int_t
ngx_input_json_scan(const ngx_str_t *text,
    const ngx_input_json_limits_t *limits)
{
    ngx_input_json_scan_t  scan;

    if (text->len > limits->size) {
        return NGX_DECLINED;
    }

    ngx_memzero(&scan, sizeof(ngx_input_json_scan_t));

    scan.p = text->data;
    scan.last = text->data + text->len;
    scan.limits = limits;

    if (ngx_input_json_scan_value(&scan) != NGX_OK) {
        return NGX_DECLINED;
    }

    return (scan.p == scan.last) ? NGX_OK : NGX_DECLINED;
}


/* A value, with the space around it. */

static ngx_int_t
ngx_input_json_scan_value(ngx_input_json_scan_t *scan)
{
    ngx_int_t  rc;

    if (++scan->values > scan->limits->values) {
        return NGX_DECLINED;
    }

    ngx_input_json_scan_space(scan);

    if (scan->p == scan->last) {
        return NGX_DECLINED;
    }

    switch (*scan->p) {

    case '{':
        rc = ngx_input_json_scan_object(scan);
        break;

    case '[':
        rc = ngx_input_json_scan_array(scan);
        break;

    case '"':
        rc = ngx_input_json_scan_string(scan);
        break;

    case 't':
        rc = ngx_input_json_scan_word(scan, "true");
        break;

    case 'f':
        rc = ngx_input_json_scan_word(scan, "false");
        break;

    case 'n':
        rc = ngx_input_json_scan_word(scan, "null");
        break;

    default:
        rc = ngx_input_json_scan_number(scan);
    }

    ngx_input_json_scan_space(scan);

    return rc;
}


static ngx_int_t
ngx_input_json_scan_object(ngx_input_json_scan_t *scan)
{
    if (++scan->depth > NGX_INPUT_JSON_DEPTH) {
        return NGX_DECLINED;
    }

    scan->p++;
    ngx_input_json_scan_space(scan);

    if (!ngx_input_json_scan_next(scan, '}')) {

        do {
            if (ngx_input_json_scan_member(scan) != NGX_OK) {
                return NGX_DECLINED;
            }

        } while (ngx_input_json_scan_next(scan, ','));

        if (!ngx_input_json_scan_next(scan, '}')) {
            return NGX_DECLINED;
        }
    }

    scan->depth--;

    return NGX_OK;
}


static ngx_int_t
ngx_input_json_scan_member(ngx_input_json_scan_t *scan)
{
    if (++scan->members > scan->limits->members) {
        return NGX_DECLINED;
    }

    ngx_input_json_scan_space(scan);

    if (ngx_input_json_scan_string(scan) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_input_json_scan_space(scan);

    if (!ngx_input_json_scan_next(scan, ':')) {
        return NGX_DECLINED;
    }

    return ngx_input_json_scan_value(scan);
}


static ngx_int_t
ngx_input_json_scan_array(ngx_input_json_scan_t *scan)
{
    if (++scan->depth > NGX_INPUT_JSON_DEPTH) {
        return NGX_DECLINED;
    }

    scan->p++;
    ngx_input_json_scan_space(scan);

    if (!ngx_input_json_scan_next(scan, ']')) {

        do {
            if (ngx_input_json_scan_value(scan) != NGX_OK) {
                return NGX_DECLINED;
            }

        } while (ngx_input_json_scan_next(scan, ','));

        if (!ngx_input_json_scan_next(scan, ']')) {
            return NGX_DECLINED;
        }
    }

    scan->depth--;

    return NGX_OK;
}


static ngx_int_t
ngx_input_json_scan_string(ngx_input_json_scan_t *scan)
{
    if (!ngx_input_json_scan_next(scan, '"')) {
        return NGX_DECLINED;
    }

    while (!ngx_input_json_scan_next(scan, '"')) {

        if (ngx_input_json_scan_character(scan) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_input_json_scan_character(ngx_input_json_scan_t *scan)
{
    uint32_t  ch;

    /* RFC 8259, 7: control characters, NUL among them, have to be escaped */

    if (scan->p == scan->last || *scan->p < 0x20) {
        return NGX_DECLINED;
    }

    if (*scan->p == '\\') {
        return ngx_input_json_scan_escape(scan);
    }

    if (*scan->p < 0x80) {
        scan->p++;
        return NGX_OK;
    }

    /* RFC 3629, 3: ngx_utf8_decode() takes 0xf8 and more for 0xf0 and more */

    if (*scan->p > 0xf4) {
        return NGX_DECLINED;
    }

    ch = ngx_utf8_decode(&scan->p, scan->last - scan->p);

    return (ch > 0x10ffff || (ch >= 0xd800 && ch <= 0xdfff)) ? NGX_DECLINED
                                                             : NGX_OK;
}


static ngx_int_t
ngx_input_json_scan_escape(ngx_input_json_scan_t *scan)
{
    ngx_int_t  high, low;

    scan->p++;

    if (scan->p == scan->last) {
        return NGX_DECLINED;
    }

    switch (*scan->p++) {

    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return NGX_OK;

    case 'u':
        break;

    default:
        return NGX_DECLINED;
    }

    high = ngx_input_json_scan_unicode(scan);

    if (high == NGX_ERROR || high == 0 || (high >= 0xdc00 && high <= 0xdfff)) {
        return NGX_DECLINED;
    }

    if (high < 0xd800 || high > 0xdbff) {
        return NGX_OK;
    }

    if (scan->last - scan->p < 2 || scan->p[0] != '\\' || scan->p[1] != 'u') {
        return NGX_DECLINED;
    }

    scan->p += 2;
    low = ngx_input_json_scan_unicode(scan);

    return (low >= 0xdc00 && low <= 0xdfff) ? NGX_OK : NGX_DECLINED;
}


/* The number after \u, or NGX_ERROR. */

static ngx_int_t
ngx_input_json_scan_unicode(ngx_input_json_scan_t *scan)
{
    if (scan->last - scan->p < 4) {
        return NGX_ERROR;
    }

    scan->p += 4;

    return ngx_hextoi(scan->p - 4, 4);
}


/* number = [ "-" ] int [ "." digits ] [ "e" [ "+" / "-" ] digits ] */

static ngx_int_t
ngx_input_json_scan_number(ngx_input_json_scan_t *scan)
{
    u_char  *start;

    start = scan->p;

    (void) ngx_input_json_scan_next(scan, '-');

    if (!ngx_input_json_scan_next(scan, '0')
        && ngx_input_json_scan_digits(scan) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_input_json_scan_next(scan, '.')
        && ngx_input_json_scan_digits(scan) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_input_json_scan_next(scan, 'e')
        || ngx_input_json_scan_next(scan, 'E'))
    {
        if (!ngx_input_json_scan_next(scan, '+')) {
            (void) ngx_input_json_scan_next(scan, '-');
        }

        if (ngx_input_json_scan_digits(scan) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return (scan->p - start > NGX_INPUT_JSON_DIGITS) ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_input_json_scan_digits(ngx_input_json_scan_t *scan)
{
    u_char  *start;

    start = scan->p;

    while (scan->p < scan->last && *scan->p >= '0' && *scan->p <= '9') {
        scan->p++;
    }

    return (scan->p > start) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_input_json_scan_word(ngx_input_json_scan_t *scan, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    if ((size_t) (scan->last - scan->p) < len
        || ngx_memcmp(scan->p, word, len) != 0)
    {
        return NGX_DECLINED;
    }

    scan->p += len;

    return NGX_OK;
}


static ngx_uint_t
ngx_input_json_scan_next(ngx_input_json_scan_t *scan, u_char ch)
{
    if (scan->p == scan->last || *scan->p != ch) {
        return 0;
    }

    scan->p++;

    return 1;
}


static void
ngx_input_json_scan_space(ngx_input_json_scan_t *scan)
{
    while (scan->p < scan->last
           && (*scan->p == ' ' || *scan->p == '\t' || *scan->p == '\n'
               || *scan->p == '\r'))
    {
        scan->p++;
    }
}
