
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A token in compact form: JWS, RFC 7515, 7.1, used as RFC 8725 says.
 *
 *     verdict = ngx_token_jwt_parse(pool, text, &jwt);
 *     verdict = ngx_token_jwt_verify(&jwt, keys);
 *     verdict = ngx_token_claims_parse(pool, &jwt, &claims);
 *     verdict = ngx_token_claims_check(&claims, &jwt, rules, now);
 *
 * or all of it by ngx_token_claims_judge(), see ngx_token_claims.h.  A token
 * that is remembered as verified needs the first and the third only, and those
 * only if one of its claims is asked for.  Before its signature nothing of a
 * token is looked at but its header.
 *
 * The header: "alg" is one of ngx_token_alg.h by its exact bytes, so "none" is
 * refused in any case; which key it may be used with is up to the key.  "kid"
 * is a name to look up in the keys that are loaded, and nothing else.  "jku",
 * "jwk", "x5u", "x5c" and "x5t" are never looked at.  Any "crit", "b64",
 * "enc", "zip" and a nested token ("cty") are refused: none is implemented.
 *
 * Of one signature there is exactly one text, so a digest of it can be used to
 * revoke the token.  With one exception: whoever has an ECDSA signature (r, s)
 * can write (r, n - s), which is as valid and another text.  Neither RFC 7515
 * nor FIPS 186 asks for the lower of the two, and half of the signatures that
 * are issued are the higher, so refusing one would refuse good tokens.  Who
 * looks up a digest has to look up that of the twin too.  HMAC, PKCS #1
 * (OpenSSL refuses s + n, and lengths are exact), PSS and Ed25519 (S is below
 * its order) have no twin here.
 *
 * But others verify tokens, too.  OpenSSL by itself takes a PSS signature
 * without its leading zeros, other libraries those of PKCS #1, too, and one in
 * 256 has such a zero.  The modulus of each key that is about has a multiple of
 * 64 bits, so what lacks bytes to that is a shorter text of a token; and what
 * has more zeros than that needs is a longer one, to who reads a number.  The
 * twins are the whole one and those without its first zeros, not the longer
 * ones, of which there is no end.  The same holds for the key of a JWE that is
 * encrypted by RSA (RFC 7518, 4.2 and 4.3).
 *
 * Pure.
 */


#ifndef _NGX_TOKEN_JWT_H_INCLUDED_
#define _NGX_TOKEN_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_keys.h"
#include "ngx_token_verdict.h"


#define NGX_TOKEN_JWT_MAX    16384    /* bytes of the text */

/* leading zeros that are looked for: one token in 2^32 has more */
#define NGX_TOKEN_JWT_ZEROS  3

#define NGX_TOKEN_JWT_TWINS  (NGX_TOKEN_JWT_ZEROS + 1)


typedef struct {
    ngx_str_t            text;      /* the caller's */
    ngx_str_t            input;     /* of the signature, within the text */
    ngx_str_t            payload;   /* decoded, as all below */
    ngx_str_t            signature;
    ngx_token_alg_e      alg;
    ngx_str_t            kid;       /* .data is NULL: there is none */
    ngx_str_t            typ;       /* the same */
} ngx_token_jwt_t;


/*
 * Reads a text, which has to live as long as the jwt; the rest is allocated
 * from the pool.  More than NGX_TOKEN_JWT_MAX is refused unread.
 * Returns OK, MALFORMED, UNSUPPORTED, ALGORITHM or ERROR.
 */

ngx_token_verdict_e ngx_token_jwt_parse(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_token_jwt_t *jwt);

/* Returns OK, ALGORITHM, KEY or SIGNATURE. */

ngx_token_verdict_e ngx_token_jwt_verify(const ngx_token_jwt_t *jwt,
    ngx_token_keys_t *keys);

/*
 * The other texts of the same token, see above, in the pool: "n" of them, for
 * which there is room for NGX_TOKEN_JWT_TWINS.  The token need not be one that
 * is accepted here, so that those that are verified by somebody else, who may
 * know more algorithms and headers, can be revoked as well.  Returns NGX_OK, or
 * NGX_ERROR if there is no memory.
 */

ngx_int_t ngx_token_jwt_twins(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_str_t *twins, ngx_uint_t *n);


#endif /* _NGX_TOKEN_JWT_H_INCLUDED_ */
