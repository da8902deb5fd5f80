
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_claims.h"
#include "ngx_token_path.h"


static ngx_int_t ngx_token_claims_identity(ngx_pool_t *pool,
    const ngx_input_json_t *json, ngx_str_t *text);
static ngx_int_t ngx_token_claims_time(const ngx_input_json_t *json,
    ngx_uint_t up, int64_t *time);
static ngx_uint_t ngx_token_claims_audience(const ngx_input_json_t *json);


static ngx_input_json_limits_t  ngx_token_claims_limits = {
    NGX_TOKEN_JWT_MAX, 256, 2048
};


ngx_token_verdict_e
ngx_token_claims_judge(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_token_keys_t *keys, const ngx_token_rules_t *rules, time_t now,
    ngx_token_jwt_t *jwt, ngx_token_claims_t *claims)
{
    ngx_token_verdict_e  verdict;

    verdict = ngx_token_jwt_parse(pool, text, jwt);

    if (verdict == NGX_TOKEN_VERDICT_OK) {
        verdict = ngx_token_jwt_verify(jwt, keys);
    }

    if (verdict == NGX_TOKEN_VERDICT_OK) {
        verdict = ngx_token_claims_parse(pool, jwt, claims);
    }

    if (verdict == NGX_TOKEN_VERDICT_OK) {
        verdict = ngx_token_claims_check(claims, jwt, rules, now);
    }

    return verdict;
}


ngx_token_verdict_e
ngx_token_claims_parse(ngx_pool_t *pool, const ngx_token_jwt_t *jwt,
    ngx_token_claims_t *claims)
{
    ngx_input_json_t  *json, *iss, *exp, *nbf, *iat;

    ngx_memzero(claims, sizeof(ngx_token_claims_t));

    switch (ngx_input_json_parse(pool, &jwt->payload,
                                 &ngx_token_claims_limits, &json))
    {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_TOKEN_VERDICT_MALFORMED;

    default: /* NGX_ERROR */
        return NGX_TOKEN_VERDICT_ERROR;
    }

    iss = ngx_input_json_member(json, "iss");
    exp = ngx_input_json_member(json, "exp");
    nbf = ngx_input_json_member(json, "nbf");
    iat = ngx_input_json_member(json, "iat");

    if (iss && ngx_input_json_type(iss) != NGX_INPUT_JSON_STRING) {
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    if (ngx_token_claims_identity(pool, iss, &claims->iss) != NGX_OK
        || ngx_token_claims_identity(pool, ngx_input_json_member(json, "sub"),
                                     &claims->sub)
           != NGX_OK
        || ngx_token_claims_identity(pool, ngx_input_json_member(json, "jti"),
                                     &claims->jti)
           != NGX_OK
        || ngx_token_claims_time(exp, 0, &claims->exp) != NGX_OK
        || ngx_token_claims_time(nbf, 1, &claims->nbf) != NGX_OK
        || ngx_token_claims_time(iat, 0, &claims->iat) != NGX_OK
        || !ngx_token_claims_audience(ngx_input_json_member(json, "aud")))
    {
        return NGX_TOKEN_VERDICT_MALFORMED;
    }

    claims->payload = json;
    claims->has_exp = (exp != NULL);
    claims->has_nbf = (nbf != NULL);
    claims->has_iat = (iat != NULL);

    return NGX_TOKEN_VERDICT_OK;
}


/*
 * RFC 7519 has strings only, but numbers as sub are about; an integer has one
 * text.
 */

static ngx_int_t
ngx_token_claims_identity(ngx_pool_t *pool, const ngx_input_json_t *json,
    ngx_str_t *text)
{
    u_char                 buf[NGX_TOKEN_PATH_NUMBER], *p;
    double                 number;
    ngx_input_json_type_e  type;

    type = ngx_input_json_type(json);

    if (type == NGX_INPUT_JSON_NONE) {
        return NGX_OK;
    }

    if (type == NGX_INPUT_JSON_STRING) {
        (void) ngx_input_json_string(json, text);
        return ngx_token_path_control(text) ? NGX_DECLINED : NGX_OK;
    }

    if (ngx_input_json_number(json, &number) != NGX_OK
        || number != (double) (int64_t) number)
    {
        return NGX_DECLINED;
    }

    (void) ngx_token_path_scalar(json, buf, text);

    p = ngx_pnalloc(pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text->data, text->len);
    text->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_token_claims_time(const ngx_input_json_t *json, ngx_uint_t up,
    int64_t *time)
{
    double  number;

    if (json == NULL) {
        return NGX_OK;
    }

    if (ngx_input_json_number(json, &number) != NGX_OK) {
        return NGX_DECLINED;
    }

    *time = (int64_t) number;

    if (up && (double) *time < number) {
        (*time)++;
    }

    if (!up && (double) *time > number) {
        (*time)--;
    }

    return NGX_OK;
}


/* RFC 7519, 4.1.3 */

static ngx_uint_t
ngx_token_claims_audience(const ngx_input_json_t *json)
{
    const ngx_input_json_t  *value;

    switch (ngx_input_json_type(json)) {

    case NGX_INPUT_JSON_NONE:
    case NGX_INPUT_JSON_STRING:
        return 1;

    case NGX_INPUT_JSON_ARRAY:
        break;

    default:
        return 0;
    }

    for (value = ngx_input_json_first(json);
         value;
         value = ngx_input_json_next(value))
    {
        if (ngx_input_json_type(value) != NGX_INPUT_JSON_STRING) {
            return 0;
        }
    }

    return 1;
}


ngx_token_verdict_e
ngx_token_claims_check(const ngx_token_claims_t *claims,
    const ngx_token_jwt_t *jwt, const ngx_token_rules_t *rules, time_t now)
{
    /* RFC 7519, 4.1.4: not on or after exp */

    if (claims->has_exp && now >= claims->exp + rules->leeway) {
        return NGX_TOKEN_VERDICT_EXPIRED;
    }

    if (claims->has_nbf && now < claims->nbf - rules->leeway) {
        return NGX_TOKEN_VERDICT_NOT_YET;
    }

    /* RFC 7519, 4.1.6: iat tells the age of a token, and refuses none */

    return ngx_token_rules_check(rules, claims->payload, &jwt->typ);
}
