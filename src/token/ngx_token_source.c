
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"
#include "ngx_token_base64.h"
#include "ngx_token_jwt.h"
#include "ngx_token_source.h"


#define NGX_TOKEN_SOURCE_SCHEME      "bearer"
#define NGX_TOKEN_SOURCE_SCHEME_LEN  (sizeof(NGX_TOKEN_SOURCE_SCHEME) - 1)

/* characters of what an RSA modulus of 16384 bits is as long as */
#define NGX_TOKEN_SOURCE_RSA         2731


static ngx_uint_t ngx_token_source_begins(u_char *p, u_char *last);
static ngx_uint_t ngx_token_source_hidden(u_char *start, u_char *last);
static ngx_uint_t ngx_token_source_word(u_char *start, u_char *p,
    u_char *last);
static ngx_int_t ngx_token_source_encrypted(ngx_pool_t *pool,
    const ngx_str_t *token);
static ngx_uint_t ngx_token_source_part(u_char *p, u_char *last);
static ngx_int_t ngx_token_source_sextet(u_char ch);
static ngx_uint_t ngx_token_source_rsa(const u_char *p, size_t n);


static ngx_input_json_limits_t  ngx_token_source_limits = {
    NGX_TOKEN_JWT_MAX, 32, 64
};


ngx_int_t
ngx_token_source_bearer(const ngx_str_t *field, ngx_str_t *token)
{
    ngx_int_t  rc;

    rc = ngx_token_source_scheme(field, token);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_token_source_b64token(token) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_token_source_scheme(const ngx_str_t *field, ngx_str_t *token)
{
    u_char  *p, *last;

    p = field->data;
    last = p + field->len;

    /* nginx strips spaces of HTTP/1 only, and tabs of neither */

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (!ngx_token_source_begins(p, last)
        || (p + NGX_TOKEN_SOURCE_SCHEME_LEN < last
            && p[NGX_TOKEN_SOURCE_SCHEME_LEN] != ' '
            && p[NGX_TOKEN_SOURCE_SCHEME_LEN] != '\t'))
    {
        return ngx_token_source_hidden(p, last) ? NGX_ERROR : NGX_DECLINED;
    }

    p += NGX_TOKEN_SOURCE_SCHEME_LEN;

    while (p < last && *p == ' ') {
        p++;
    }

    token->data = p;
    token->len = last - p;

    return NGX_OK;
}


static ngx_uint_t
ngx_token_source_begins(u_char *p, u_char *last)
{
    return last - p >= (ssize_t) NGX_TOKEN_SOURCE_SCHEME_LEN
           && ngx_strncasecmp(p, (u_char *) NGX_TOKEN_SOURCE_SCHEME,
                              NGX_TOKEN_SOURCE_SCHEME_LEN)
              == 0;
}


/*
 * Whether somebody could find a Bearer token in what is of another scheme to
 * us: backends strip what they take for blanks, split at commas, or search.
 */

static ngx_uint_t
ngx_token_source_hidden(u_char *start, u_char *last)
{
    u_char  *p;

    for (p = start; p < last; p++) {

        if ((*p < ' ' && *p != '\t') || *p == 0x7f) {
            return 1;
        }

        if (ngx_token_source_begins(p, last)
            && ngx_token_source_word(start, p, last))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Whether the scheme at p is more than a part of another word.  Before a blank
 * it always is, also within quotes: who searches for "Bearer\s" minds neither
 * them nor what is before.  What is not ASCII may be a blank, too.
 */

static ngx_uint_t
ngx_token_source_word(u_char *start, u_char *p, u_char *last)
{
    u_char  *next, prev;

    next = p + NGX_TOKEN_SOURCE_SCHEME_LEN;

    if (next < last && (*next == ' ' || *next == '\t' || *next >= 0x80)) {
        return 1;
    }

    if (p == start) {
        /* who takes what is behind so many bytes does not look at the next */
        return 1;
    }

    prev = p[-1];

    if (prev != ' ' && prev != '\t' && prev != ',' && prev < 0x80) {
        return 0;
    }

    return next == last || *next == ':' || *next == '=';
}


/* b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */

ngx_uint_t
ngx_token_source_b64token(const ngx_str_t *token)
{
    u_char  ch;
    size_t  i, end;

    for (end = token->len; end > 0 && token->data[end - 1] == '='; end--) {
        /* void */
    }

    for (i = 0; i < end; i++) {
        ch = token->data[i];

        if ((ch >= 'a' && ch <= 'z')
            || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9')
            || ch == '-' || ch == '.' || ch == '_' || ch == '~'
            || ch == '+' || ch == '/')
        {
            continue;
        }

        return 0;
    }

    return end > 0;
}


ngx_int_t
ngx_token_source_canonical(ngx_pool_t *pool, const ngx_str_t *token)
{
    u_char      *p, *dot, *last;
    ngx_uint_t   dots;

    /* a header is an object: so begins what "{" and '"' or a space become */

    if (token->len < 2
        || token->data[0] != 'e'
        || (token->data[1] != 'w' && token->data[1] != 'y'))
    {
        return NGX_OK;
    }

    last = token->data + token->len;
    dots = 0;

    for (p = token->data; p < last; p++) {
        dots += (*p == '.');
    }

    if (dots < 2) {
        return NGX_OK;
    }

    /* some readers drop what is behind the third part, or only empty parts */

    if (dots != 2 && dots != 4) {
        return NGX_DECLINED;
    }

    for (p = token->data; /* void */ ; p = dot + 1) {

        dot = ngx_strlchr(p, last, '.');

        if (!ngx_token_source_part(p, dot ? dot : last)) {
            return NGX_DECLINED;
        }

        if (dot == NULL) {
            break;
        }
    }

    return (dots == 2) ? NGX_OK : ngx_token_source_encrypted(pool, token);
}


/*
 * RFC 7516, 9: the header of a JWE has "enc" and that of a JWS has not.  Who
 * adds parts to a token does not choose its header, but somebody else may have
 * chosen a name of a key that is in it.
 */

static ngx_int_t
ngx_token_source_encrypted(ngx_pool_t *pool, const ngx_str_t *token)
{
    ngx_int_t          rc;
    ngx_str_t          part, header;
    ngx_input_json_t  *json;

    part.data = token->data;
    part.len = ngx_strlchr(token->data, token->data + token->len, '.')
               - token->data;

    header.data = ngx_pnalloc(pool, ngx_token_base64_size(part.len));
    if (header.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_token_base64_decode(&part, &header) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_input_json_parse(pool, &header, &ngx_token_source_limits, &json);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_input_json_member(json, "enc") ? NGX_OK : NGX_DECLINED;
}


/* 4 characters are 3 bytes, 2 and 3 are one and two: 4 and 2 bits are over */

static ngx_uint_t
ngx_token_source_part(u_char *p, u_char *last)
{
    size_t     len;
    ngx_int_t  n;

    len = last - p;
    n = 0;

    for ( /* void */ ; p < last; p++) {
        n = ngx_token_source_sextet(*p);

        if (n == NGX_ERROR) {
            return 0;
        }
    }

    switch (len % 4) {

    case 1:
        return 0;

    case 2:
        return (n & 0x0f) == 0;

    case 3:
        return (n & 0x03) == 0;

    default:
        return 1;
    }
}


/* RFC 4648, 5 */

static ngx_int_t
ngx_token_source_sextet(u_char ch)
{
    if (ch >= 'A' && ch <= 'Z') {
        return ch - 'A';
    }

    if (ch >= 'a' && ch <= 'z') {
        return ch - 'a' + 26;
    }

    if (ch >= '0' && ch <= '9') {
        return ch - '0' + 52;
    }

    if (ch == '-') {
        return 62;
    }

    return (ch == '_') ? 63 : NGX_ERROR;
}


ngx_uint_t
ngx_token_source_plain(const ngx_str_t *token)
{
    u_char  ch;
    size_t  i;

    for (i = 0; i < token->len; i++) {
        ch = token->data[i];

        if (ch <= ' ' || ch >= 0x7f || ch == '"' || ch == '%' || ch == '\\') {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_token_source_twin(const ngx_str_t *text)
{
    size_t   n;
    u_char  *p, *last, *dots[4];

    last = text->data + text->len;
    n = 0;

    for (p = text->data; p < last; p++) {

        if (*p != '.') {
            continue;
        }

        if (n == 4) {
            return 0;
        }

        dots[n++] = p;
    }

    switch (n) {

    case 2:
        n = last - dots[1] - 1;

        /* of 64, 96 and 132 bytes, in base64url */

        return n == 86 || n == 128 || n == 176
               || ngx_token_source_rsa(dots[1] + 1, n);

    case 4:
        return ngx_token_source_rsa(dots[0] + 1, dots[1] - dots[0] - 1);

    default:
        return 0;
    }
}


/*
 * Of more than 64 bytes: the first of them is zero, or they are as many as a
 * number may have, and not a multiple of 8.
 */

static ngx_uint_t
ngx_token_source_rsa(const u_char *p, size_t n)
{
    return n > 86
           && ((p[0] == 'A' && p[1] >= 'A' && p[1] <= 'P')
               || (n <= NGX_TOKEN_SOURCE_RSA && n * 3 / 4 % 8 != 0));
}
