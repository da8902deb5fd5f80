
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One key that verifies signatures, decoded once and kept ready.
 *
 * A key is for the algorithms that its type can do, and no other: a public key
 * cannot become a secret, nor the other way round (RFC 8725, 3.1).  Its
 * maker may narrow them further.  Refused as weak (RFC 8725, 3.5): RSA of less
 * than 2048 bits, or with an even or small exponent; a secret shorter than
 * the hash it is used with (RFC 7518, 3.2), or one that is the text of a
 * public key; a point that is not on its curve.
 *
 * Pure.  Needs OpenSSL 1.1.1 or later, and nothing that 3.0 deprecates.  What
 * is kept is written to while a signature is verified: not for two threads.
 */


#ifndef _NGX_TOKEN_KEY_H_INCLUDED_
#define _NGX_TOKEN_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_alg.h"


#define NGX_TOKEN_KEY_RSA_MIN  2048    /* bits */
#define NGX_TOKEN_KEY_RSA_MAX  8192


typedef struct {
    ngx_str_t                kid;         /* .data is NULL: it has none */
    ngx_uint_t               algorithms;  /* ngx_token_alg_bit() */

    /* private */

    EVP_PKEY                *pkey;
    size_t                   signature;   /* bytes; 0: the hash's */
    EVP_PKEY_CTX            *verify[NGX_TOKEN_ALGS];
    EVP_MD_CTX              *mac[NGX_TOKEN_ALGS];
} ngx_token_key_t;


/*
 * Each of these sets key->pkey and all algorithms that the key can be for, in
 * a key that was zeroed.  Returns NULL, or why there is no such key: a few
 * words that follow "the key is skipped: ".  The last takes over the pkey,
 * also if it fails.
 *
 * The address ngx_token_key_no_memory is no reason to skip a key: nothing is
 * known of it.  What OpenSSL says of memory is looked for in its queue of
 * errors, which should be empty before.
 */

extern const char  ngx_token_key_no_memory[];

const char *ngx_token_key_secret(ngx_token_key_t *key,
    const ngx_str_t *secret);
const char *ngx_token_key_rsa(ngx_token_key_t *key, const ngx_str_t *n,
    const ngx_str_t *e);
const char *ngx_token_key_ec(ngx_token_key_t *key, const ngx_str_t *curve,
    const ngx_str_t *x, const ngx_str_t *y);
const char *ngx_token_key_okp(ngx_token_key_t *key, const ngx_str_t *curve,
    const ngx_str_t *x);
const char *ngx_token_key_pkey(ngx_token_key_t *key, EVP_PKEY *pkey);

/*
 * Makes the key ready for key->algorithms, which may have been narrowed since.
 * Returns NGX_OK or NGX_ERROR: no memory.
 */

ngx_int_t ngx_token_key_prepare(ngx_token_key_t *key);

/* Frees what the key has.  A zeroed key is no error. */

void ngx_token_key_free(ngx_token_key_t *key);

/*
 * Whether the signature is one of "input" by this key, which is for "alg":
 * NGX_OK or NGX_DECLINED; NGX_ERROR if it is not known, for want of memory.
 */

ngx_int_t ngx_token_key_verify(ngx_token_key_t *key, ngx_token_alg_e alg,
    const ngx_str_t *input, const ngx_str_t *signature);

/* Empties OpenSSL's queue of errors: whether one of them was no memory. */

ngx_uint_t ngx_token_key_starved(void);

/* What is wrong with a key that OpenSSL refuses: this, or no memory. */

const char *ngx_token_key_refused(const char *reason);


#endif /* _NGX_TOKEN_KEY_H_INCLUDED_ */
