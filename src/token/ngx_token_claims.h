
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a token says, and whether that is enough: RFC 7519, 4, and RFC 8725,
 * 3.8 to 3.11.  Pure: time, keys and rules are arguments.
 *
 * Everything here may only be trusted of a token whose signature was verified,
 * then or earlier.
 */


#ifndef _NGX_TOKEN_CLAIMS_H_INCLUDED_
#define _NGX_TOKEN_CLAIMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"
#include "ngx_token_jwt.h"
#include "ngx_token_rules.h"
#include "ngx_token_verdict.h"


/*
 * Times are whole epoch seconds, within 2^53 of zero; a fraction is rounded to
 * the side that allows less.
 */

typedef struct {
    ngx_input_json_t    *payload;

    ngx_str_t            iss;       /* empty: there is none, as all here */
    ngx_str_t            sub;
    ngx_str_t            jti;

    int64_t              exp;
    int64_t              nbf;
    int64_t              iat;

    unsigned             has_exp:1;
    unsigned             has_nbf:1;
    unsigned             has_iat:1;
} ngx_token_claims_t;


/*
 * Reads the payload.  Times have to be numbers, iss a string, sub and jti
 * strings or integers, aud a string or an array of strings; iss, sub and jti
 * without control characters, as they are made into keys and fields.
 *
 * The claims live as long as the pool.  Returns OK, MALFORMED or ERROR.
 */

ngx_token_verdict_e ngx_token_claims_parse(ngx_pool_t *pool,
    const ngx_token_jwt_t *jwt, ngx_token_claims_t *claims);

/*
 * Returns OK while nbf - leeway <= now < exp + leeway and the token has all
 * that is required, or the first of EXPIRED, NOT_YET, ISSUED, and ISSUER,
 * AUDIENCE, TYPE or CLAIM.  "typ" is the header's, the others are claims.
 */

ngx_token_verdict_e ngx_token_claims_check(const ngx_token_claims_t *claims,
    const ngx_token_jwt_t *jwt, const ngx_token_rules_t *rules, time_t now);

/*
 * From text to verdict: parse, verify, claims, check.  The jwt and the claims
 * are for use only if it returns OK.
 */

ngx_token_verdict_e ngx_token_claims_judge(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_token_keys_t *keys,
    const ngx_token_rules_t *rules, time_t now, ngx_token_jwt_t *jwt,
    ngx_token_claims_t *claims);


/*
 * The text of a claim, from the pool or within the claims.  What "path" means
 * is said at ngx_token_path_find(), or for the name of a variable at
 * ngx_token_path_variable().
 *
 *     string       as it is, escapes decoded
 *     number       an integer as its digits, else the shortest that means it
 *     true, false  so
 *     array        the texts of its elements, joined by ","; a comma within
 *                  an element is %2C, so that commas only separate
 *     others       empty: null, an object, an array that has one or has an
 *                  array, a text with control characters (it could end a
 *                  header field), a claim that is not there
 *
 * Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_token_claims_text(ngx_pool_t *pool,
    const ngx_token_claims_t *claims, const ngx_str_t *path, ngx_str_t *text);
ngx_int_t ngx_token_claims_variable(ngx_pool_t *pool,
    const ngx_token_claims_t *claims, const ngx_str_t *name, ngx_str_t *text);

/*
 * $token_user: "<iss>|<sub>", where in iss "|" is %7C and "%" is %25, so that
 * the first "|" ends it and no two pairs are one text.  Empty without a sub.
 * Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_token_claims_user(ngx_pool_t *pool,
    const ngx_token_claims_t *claims, ngx_str_t *user);


#endif /* _NGX_TOKEN_CLAIMS_H_INCLUDED_ */
