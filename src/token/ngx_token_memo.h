
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What this worker has found out of the texts it met last: tokens, and the
 * keys they are looked up by.  A text is found by a hash with a secret and
 * then compared byte by byte, so that it costs less than its SHA-256, and one
 * text is never taken for another.
 *
 * Bounded by the number of places, the length of a text and what JSON a text
 * can hold.  A place that is taken for another text is wiped.
 */


#ifndef _NGX_TOKEN_MEMO_H_INCLUDED_
#define _NGX_TOKEN_MEMO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_claims.h"
#include "ngx_token_digest.h"


/* longer texts are not remembered */
#define NGX_TOKEN_MEMO_MAX     2048

/* places: so many sets of two */
#define NGX_TOKEN_MEMO_SETS    2048


typedef struct {
    uint64_t                  hash;
    ngx_uint_t                refs;      /* the place's, and those who hold */
    ngx_str_t                 text;

    u_char                    digest[NGX_TOKEN_DIGEST];
    u_char                    hex[NGX_TOKEN_DIGEST_HEX];   /* of it */

    /* notes of those who use it for a token; zeroed at first */

    ngx_pool_t               *pool;      /* NULL, or what the claims are in */
    ngx_token_claims_t       *claims;    /* NULL: not read yet */
    u_char                    judge[NGX_TOKEN_DIGEST];     /* the id of what it
                                            was verified by last */
    uint64_t                  until;     /* s since the epoch, that it is good
                                            for; 0: not verified */
    unsigned                  bearer:1;  /* has the form of a token, in a field
                                            that begins with "Bearer" */
    unsigned                  plain:1;   /* or elsewhere */
    unsigned                  single:1;  /* nobody can write it otherwise */
} ngx_token_memo_t;


/*
 * Finds a text, NULL if it is not remembered.  _get() remembers it then; NULL
 * if it is too long, or there is no memory.  What is returned may be gone at
 * the next _get(), unless it is held.
 */

ngx_token_memo_t *ngx_token_memo_find(const ngx_str_t *text);
ngx_token_memo_t *ngx_token_memo_get(const ngx_str_t *text, ngx_log_t *log);

/* Holds it until the pool is destroyed: NGX_OK or NGX_ERROR. */

ngx_int_t ngx_token_memo_hold(ngx_token_memo_t *memo, ngx_pool_t *pool);

/*
 * The claims of a token, read once: they live as long as the memo.  NULL if the
 * text is no token, or there is no memory.
 */

ngx_token_claims_t *ngx_token_memo_claims(ngx_token_memo_t *memo);

/* ngx_token_digest() of a text that may come again. */

void ngx_token_memo_digest(const ngx_str_t *text, u_char *digest,
    ngx_log_t *log);


#endif /* _NGX_TOKEN_MEMO_H_INCLUDED_ */
