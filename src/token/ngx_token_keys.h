
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The keys that tokens are verified with, of one file: a JWKS (RFC 7517, 5),
 * a JWK alone, or public keys and certificates in PEM, as many as wanted.
 *
 * A key that cannot be used is left out and counted: of an unknown type, for
 * encryption, weak, or that contradicts itself ("use", "key_ops", "alg" and
 * "kty" have to agree).  A file of which no key is left is an error, and so is
 * one that cannot be read as a whole.
 *
 * PEM tells neither a kid nor an algorithm: such keys are for all algorithms
 * of their type, and never HS*.  The validity of a certificate, and who signed
 * it, are not looked at: it is a way to write a key down.  What a key says of
 * where it comes from (x5u, x5c, x5t) is not looked at either.
 *
 * Pure: the caller reads the file.
 */


#ifndef _NGX_TOKEN_KEYS_H_INCLUDED_
#define _NGX_TOKEN_KEYS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"
#include "ngx_token_digest.h"
#include "ngx_token_key.h"
#include "ngx_token_verdict.h"


#define NGX_TOKEN_KEYS_FILE  1048576    /* bytes of a file, at most */
#define NGX_TOKEN_KEYS_MAX   64         /* keys in it, usable or not */
#define NGX_TOKEN_KEYS_KID   256        /* bytes of a kid, in a token too */


typedef struct {
    ngx_token_key_t     *elts;
    ngx_uint_t           nelts;

    ngx_uint_t           skipped;       /* keys that are not used */
    ngx_uint_t           position;      /* of the first of them, from 1 */
    const char          *reason;        /* why; NULL: none was skipped */
    ngx_uint_t           private;       /* used ones, with a private part */

    /* another for other keys, or other algorithms: for what is remembered */

    u_char               id[NGX_TOKEN_DIGEST];
} ngx_token_keys_t;


/*
 * Parses a file.  "allowed" is a set of algorithms, ngx_token_alg_bit(), or 0
 * for what the keys are for.  The result is allocated from the pool and freed
 * with it; "bytes" are not kept, and the caller should wipe them.
 *
 * Returns NULL on errors: err->len is 0 if there was no memory, else it is a
 * few words that follow "<directive> "<file>": ", in the pool.
 *
 * A caller that gets keys should warn if any were skipped, or are private:
 * their public part is used, but the other has no business here.
 */

ngx_token_keys_t *ngx_token_keys_parse(ngx_pool_t *pool,
    const ngx_str_t *bytes, ngx_uint_t allowed, ngx_str_t *err);

/*
 * Looks for a key that made the signature of "input", among:
 *
 *   - the keys of this kid, if kid->data is not NULL.  There may be several
 *     (RFC 7517, 4.5), each is tried;
 *   - if there is none, the keys that have no kid, as those in PEM;
 *   - all keys, for a token without a kid.
 *
 * and of these, those that are for the algorithm.  Returns OK, SIGNATURE,
 * ALGORITHM if none of them is for it, KEY if there are none, or ERROR if one
 * of them may have made it, but there was no memory to know.
 */

ngx_token_verdict_e ngx_token_keys_verify(ngx_token_keys_t *keys,
    const ngx_str_t *kid, ngx_token_alg_e alg, const ngx_str_t *input,
    const ngx_str_t *signature);


/*
 * The two kinds of files, in ngx_token_keys_jwk.c and ngx_token_keys_pem.c.
 *
 * _jwk() makes a key of one JWK: a kid is allocated from "pool", the rest from
 * "temp".  Returns NULL or why the key is skipped, or ngx_token_key_no_memory;
 * sets *private.
 *
 * _pem() reads the next block of the bio.  Returns NGX_OK with *pkey, which is
 * the caller's, or with NULL there and a *reason, as above; NGX_DONE at the end
 * of it; NGX_ERROR with a *reason, as above, if what follows cannot be read.
 */

const char *ngx_token_keys_jwk(ngx_pool_t *pool, ngx_pool_t *temp,
    const ngx_input_json_t *json, ngx_token_key_t *key, ngx_uint_t *private);
ngx_int_t ngx_token_keys_pem(BIO *bio, EVP_PKEY **pkey, const char **reason);


#endif /* _NGX_TOKEN_KEYS_H_INCLUDED_ */
