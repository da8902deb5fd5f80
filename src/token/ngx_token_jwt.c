
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"
#include "ngx_token_base64.h"
#include "ngx_token_ecdsa.h"
#include "ngx_token_jwt.h"


/* bytes of which what is as long as an RSA modulus has a multiple */

#define NGX_TOKEN_JWT_ALIGNMENT  8


static ngx_int_t ngx_token_jwt_split(const ngx_str_t *text, ngx_str_t *parts);
static ngx_token_verdict_e ngx_token_jwt_header(ngx_pool_t *pool,
    ngx_token_jwt_t *jwt, const ngx_str_t *header);
static ngx_uint_t ngx_token_jwt_unsupported(const ngx_input_json_t *json);
static ngx_uint_t ngx_token_jwt_rsa(const ngx_str_t *alg, ngx_int_t split);
static ngx_int_t ngx_token_jwt_twins_rsa(ngx_pool_t *pool,
    const ngx_str_t *text, const ngx_str_t *part, const ngx_str_t *number,
    ngx_str_t *whole, ngx_str_t *twins, ngx_uint_t *n);
static ngx_int_t ngx_token_jwt_twin(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_str_t *part, const ngx_str_t *number, ngx_str_t *twin);
static ngx_int_t ngx_token_jwt_alg(ngx_pool_t *pool, const ngx_str_t *part,
    ngx_str_t *alg);
static ngx_int_t ngx_token_jwt_optional(const ngx_input_json_t *json,
    const char *name, ngx_str_t *value);


/* a header with a chain of certificates is larger than it needs to be */

static ngx_input_json_limits_t  ngx_token_jwt_limits = {
    NGX_TOKEN_JWT_MAX, 32, 64
};


ngx_token_verdict_e
ngx_token_jwt_parse(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_token_jwt_t *jwt)
{
    u_char               *p;
    ngx_str_t             parts[3], header;
    ngx_token_verdict_e   verdict;

    ngx_memzero(jwt, sizeof(ngx_token_jwt_t));

    if (text->len == 0 || text->len > NGX_TOKEN_JWT_MAX) {
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    switch (ngx_token_jwt_split(text, parts)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_TOKEN_VERDICT_UNSUPPORTED;

    default: /* NGX_ERROR */
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    jwt->text = *text;
    jwt->input.data = text->data;
    jwt->input.len = parts[2].data - 1 - text->data;

    p = ngx_pnalloc(pool, ngx_token_base64_size(parts[0].len)
                          + ngx_token_base64_size(parts[1].len)
                          + ngx_token_base64_size(parts[2].len));
    if (p == NULL) {
        return NGX_TOKEN_VERDICT_ERROR;
    }

    header.data = p;
    p += ngx_token_base64_size(parts[0].len);
    jwt->payload.data = p;
    p += ngx_token_base64_size(parts[1].len);
    jwt->signature.data = p;

    if (ngx_token_base64_decode(&parts[0], &header) != NGX_OK
        || ngx_token_base64_decode(&parts[1], &jwt->payload) != NGX_OK
        || ngx_token_base64_decode(&parts[2], &jwt->signature) != NGX_OK)
    {
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    verdict = ngx_token_jwt_header(pool, jwt, &header);

    if (verdict != NGX_TOKEN_VERDICT_OK) {
        return verdict;
    }

    return (jwt->payload.len && jwt->signature.len)
           ? NGX_TOKEN_VERDICT_OK : NGX_TOKEN_VERDICT_MALFORMED;
}


/*
 * Three parts; five are a JWE, NGX_DECLINED (RFC 7516, 9), of which the first
 * two and the last are told.
 */

static ngx_int_t
ngx_token_jwt_split(const ngx_str_t *text, ngx_str_t *parts)
{
    u_char      *p, *start, *last;
    ngx_uint_t   n;

    n = 0;
    start = text->data;
    last = start + text->len;

    for (p = start; p < last; p++) {

        if (*p != '.') {
            continue;
        }

        if (n < 2) {
            parts[n].data = start;
            parts[n].len = p - start;
        }

        n++;
        start = p + 1;
    }

    parts[2].data = start;
    parts[2].len = last - start;

    if (n == 4) {
        return NGX_DECLINED;
    }

    return (n == 2) ? NGX_OK : NGX_ERROR;
}


static ngx_token_verdict_e
ngx_token_jwt_header(ngx_pool_t *pool, ngx_token_jwt_t *jwt,
    const ngx_str_t *header)
{
    ngx_str_t          alg;
    ngx_input_json_t  *json;

    switch (ngx_input_json_parse(pool, header, &ngx_token_jwt_limits, &json)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_TOKEN_VERDICT_MALFORMED;

    default: /* NGX_ERROR */
        return NGX_TOKEN_VERDICT_ERROR;
    }

    if (ngx_token_jwt_unsupported(json)) {
        return NGX_TOKEN_VERDICT_UNSUPPORTED;
    }

    if (ngx_input_json_string(ngx_input_json_member(json, "alg"), &alg)
        != NGX_OK
        || ngx_token_jwt_optional(json, "kid", &jwt->kid) != NGX_OK
        || ngx_token_jwt_optional(json, "typ", &jwt->typ) != NGX_OK
        || jwt->kid.len > NGX_TOKEN_KEYS_KID)
    {
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    if (ngx_token_alg_find(&alg, &jwt->alg) != NGX_OK) {
        return NGX_TOKEN_VERDICT_ALGORITHM;
    }

    return NGX_TOKEN_VERDICT_OK;
}


/*
 * RFC 7515, 4.1.11: what is critical has to be understood, and nothing is.
 * RFC 7797, 6: "b64" is always critical, also for who forgot to say so.
 * RFC 7516, 4.1: "enc" and "zip" are of encryption.
 */

static ngx_uint_t
ngx_token_jwt_unsupported(const ngx_input_json_t *json)
{
    u_char     *p;
    ngx_str_t   cty;

    if (ngx_input_json_member(json, "crit")
        || ngx_input_json_member(json, "b64")
        || ngx_input_json_member(json, "enc")
        || ngx_input_json_member(json, "zip"))
    {
        return 1;
    }

    if (ngx_input_json_member(json, "cty") == NULL) {
        return 0;
    }

    if (ngx_input_json_string(ngx_input_json_member(json, "cty"), &cty)
        != NGX_OK)
    {
        return 1;
    }

    /* RFC 7519, 5.2: "JWT", in any case */

    p = cty.data;

    if (ngx_strncasecmp(p, (u_char *) "application/", 12) == 0) {
        p += 12;
    }

    return ngx_strcasecmp(p, (u_char *) "JWT") == 0;
}


static ngx_int_t
ngx_token_jwt_optional(const ngx_input_json_t *json, const char *name,
    ngx_str_t *value)
{
    ngx_input_json_t  *member;

    member = ngx_input_json_find(json, (u_char *) name, ngx_strlen(name));

    return member ? ngx_input_json_string(member, value) : NGX_OK;
}


ngx_token_verdict_e
ngx_token_jwt_verify(const ngx_token_jwt_t *jwt, ngx_token_keys_t *keys)
{
    return ngx_token_keys_verify(keys, &jwt->kid, jwt->alg, &jwt->input,
                                 &jwt->signature);
}


ngx_int_t
ngx_token_jwt_twins(ngx_pool_t *pool, const ngx_str_t *text, ngx_str_t *twins,
    ngx_uint_t *n)
{
    size_t      size;
    ngx_int_t   rc, split;
    ngx_str_t   parts[3], alg, number, other, *part;

    *n = 0;

    split = ngx_token_jwt_split(text, parts);

    if (split == NGX_ERROR) {
        return NGX_OK;
    }

    rc = ngx_token_jwt_alg(pool, &parts[0], &alg);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    /* the signature; or, of a JWE, the encrypted key */

    part = (split == NGX_OK) ? &parts[2] : &parts[1];
    size = ngx_token_base64_size(part->len);

    number.data = ngx_pnalloc(pool, 2 * size + NGX_TOKEN_JWT_ALIGNMENT);
    if (number.data == NULL) {
        return NGX_ERROR;
    }

    other.data = number.data + size;

    if (ngx_token_base64_decode(part, &number) != NGX_OK) {
        return NGX_OK;
    }

    if (split == NGX_OK
        && ngx_token_ecdsa_twin(&alg, &number, other.data) == NGX_OK)
    {
        other.len = number.len;
        return ngx_token_jwt_twin(pool, text, part, &other, &twins[(*n)++]);
    }

    if (!ngx_token_jwt_rsa(&alg, split)) {
        return NGX_OK;
    }

    return ngx_token_jwt_twins_rsa(pool, text, part, &number, &other, twins,
                                   n);
}


/* RFC 7518, 3.1 and 4.1 */

static ngx_uint_t
ngx_token_jwt_rsa(const ngx_str_t *alg, ngx_int_t split)
{
    if (split == NGX_DECLINED) {
        return ngx_strncmp(alg->data, "RSA", 3) == 0;
    }

    return alg->len == 5
           && (ngx_strncmp(alg->data, "PS", 2) == 0
               || ngx_strncmp(alg->data, "RS", 2) == 0);
}


/*
 * The whole number, and those without its leading zeros, whichever of them the
 * text has, or if it has more.  There is room for the alignment behind the size
 * of it.
 */

static ngx_int_t
ngx_token_jwt_twins_rsa(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_str_t *part, const ngx_str_t *number, ngx_str_t *whole,
    ngx_str_t *twins, ngx_uint_t *n)
{
    u_char      *p;
    size_t       lacks;
    ngx_str_t    other;
    ngx_uint_t   zeros;

    other = *number;

    while (other.len && *other.data == 0) {
        other.data++;
        other.len--;
    }

    if (other.len == 0) {
        return NGX_OK;
    }

    lacks = -other.len % NGX_TOKEN_JWT_ALIGNMENT;

    ngx_memzero(whole->data, lacks);
    p = ngx_cpymem(whole->data + lacks, other.data, other.len);

    whole->len = p - whole->data;
    other = *whole;

    for (zeros = 0; zeros <= NGX_TOKEN_JWT_ZEROS; zeros++) {

        if (other.len != number->len
            && ngx_token_jwt_twin(pool, text, part, &other, &twins[(*n)++])
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (*other.data) {
            break;
        }

        other.data++;
        other.len--;
    }

    return NGX_OK;
}


/* The same text with another number in this part. */

static ngx_int_t
ngx_token_jwt_twin(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_str_t *part, const ngx_str_t *number, ngx_str_t *twin)
{
    u_char  *p, *rest;
    size_t   len, size, left;

    len = part->data - text->data;
    size = (number->len * 4 + 2) / 3;

    rest = part->data + part->len;
    left = text->data + text->len - rest;

    twin->len = len + size + left;
    twin->data = ngx_pnalloc(pool, twin->len);

    if (twin->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(twin->data, text->data, len);

    ngx_token_base64_encode(number, p);

    ngx_memcpy(p + size, rest, left);

    return NGX_OK;
}


/* What a header says of its algorithm, whatever else is in it. */

static ngx_int_t
ngx_token_jwt_alg(ngx_pool_t *pool, const ngx_str_t *part, ngx_str_t *alg)
{
    ngx_int_t          rc;
    ngx_str_t          header;
    ngx_input_json_t  *json;

    header.data = ngx_pnalloc(pool, ngx_token_base64_size(part->len));
    if (header.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_token_base64_decode(part, &header) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_input_json_parse(pool, &header, &ngx_token_jwt_limits, &json);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_input_json_string(ngx_input_json_member(json, "alg"), alg);
}
