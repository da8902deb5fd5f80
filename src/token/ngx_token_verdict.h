
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What is said of a token: a class, and never more than that.
 */


#ifndef _NGX_TOKEN_VERDICT_H_INCLUDED_
#define _NGX_TOKEN_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_TOKEN_VERDICT_OK = 0,
    NGX_TOKEN_VERDICT_MALFORMED,      /* no token that can be read */
    NGX_TOKEN_VERDICT_UNSUPPORTED,    /* crit, b64, encrypted, nested */
    NGX_TOKEN_VERDICT_ALGORITHM,      /* unknown, or not what the key is for */
    NGX_TOKEN_VERDICT_KEY,            /* no key of this kid */
    NGX_TOKEN_VERDICT_SIGNATURE,
    NGX_TOKEN_VERDICT_EXPIRED,
    NGX_TOKEN_VERDICT_NOT_YET,
    NGX_TOKEN_VERDICT_ISSUER,
    NGX_TOKEN_VERDICT_AUDIENCE,
    NGX_TOKEN_VERDICT_TYPE,
    NGX_TOKEN_VERDICT_CLAIM,          /* another claim that is required */
    NGX_TOKEN_VERDICT_ERROR           /* no memory: says nothing of it */
} ngx_token_verdict_e;


/* One lower case word, for $token_status; static. */

ngx_str_t *ngx_token_verdict_text(ngx_token_verdict_e verdict);


#endif /* _NGX_TOKEN_VERDICT_H_INCLUDED_ */
