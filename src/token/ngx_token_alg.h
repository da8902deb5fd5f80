
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The signature algorithms of JOSE: RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864.
 * "none" is not one of them, so nothing can allow it.  Pure.
 */


#ifndef _NGX_TOKEN_ALG_H_INCLUDED_
#define _NGX_TOKEN_ALG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>


typedef enum {
    NGX_TOKEN_ALG_HS256 = 0,
    NGX_TOKEN_ALG_HS384,
    NGX_TOKEN_ALG_HS512,
    NGX_TOKEN_ALG_RS256,
    NGX_TOKEN_ALG_RS384,
    NGX_TOKEN_ALG_RS512,
    NGX_TOKEN_ALG_PS256,
    NGX_TOKEN_ALG_PS384,
    NGX_TOKEN_ALG_PS512,
    NGX_TOKEN_ALG_ES256,
    NGX_TOKEN_ALG_ES384,
    NGX_TOKEN_ALG_ES512,
    NGX_TOKEN_ALG_ED25519,

    NGX_TOKEN_ALGS
} ngx_token_alg_e;


/* Algorithms are kept as sets of bits. */

#define ngx_token_alg_bit(alg)  ((ngx_uint_t) 1 << (alg))

#define ngx_token_alg_bits(alg)                                               \
    (ngx_token_alg_bit(alg) | ngx_token_alg_bit((alg) + 1)                    \
     | ngx_token_alg_bit((alg) + 2))

#define NGX_TOKEN_ALG_HS   ngx_token_alg_bits(NGX_TOKEN_ALG_HS256)
#define NGX_TOKEN_ALG_RS   ngx_token_alg_bits(NGX_TOKEN_ALG_RS256)
#define NGX_TOKEN_ALG_PS   ngx_token_alg_bits(NGX_TOKEN_ALG_PS256)
#define NGX_TOKEN_ALG_ES   ngx_token_alg_bits(NGX_TOKEN_ALG_ES256)

#define NGX_TOKEN_ALG_ALL  (ngx_token_alg_bit(NGX_TOKEN_ALGS) - 1)


/*
 * The algorithm of a name, by its exact bytes.  "EdDSA" and "Ed25519" are two
 * names of one; Ed448, the other one that EdDSA may be, is not supported.
 * Returns NGX_OK, or NGX_DECLINED for any other name.
 */

ngx_int_t ngx_token_alg_find(const ngx_str_t *name, ngx_token_alg_e *alg);

/* The hash of an algorithm; NULL for Ed25519, which has its own. */

const EVP_MD *ngx_token_alg_md(ngx_token_alg_e alg);


#endif /* _NGX_TOKEN_ALG_H_INCLUDED_ */
