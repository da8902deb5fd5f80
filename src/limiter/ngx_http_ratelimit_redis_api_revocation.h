
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a POST to /revocations asks for, and the Redis keys that means.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_API_REVOCATION_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_API_REVOCATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


#define NGX_HTTP_RATELIMIT_REDIS_API_UNPROCESSABLE  422

/* of all locations together */
#define NGX_HTTP_RATELIMIT_REDIS_API_KEYS           17


typedef enum {
    NGX_HTTP_RATELIMIT_REDIS_API_TOKEN = 0,
    NGX_HTTP_RATELIMIT_REDIS_API_JTI,
    NGX_HTTP_RATELIMIT_REDIS_API_USER,
    NGX_HTTP_RATELIMIT_REDIS_API_SUB
} ngx_http_ratelimit_redis_api_revocation_e;


typedef struct {
    time_t                                     leeway; /* s, that tokens may
                                                          outlive "exp" by; set
                                                          by the caller */
    ngx_http_ratelimit_redis_api_revocation_e  kind;
    ngx_str_t                                  value;
    time_t                                     ttl;    /* s; 0: not given */
    const char                                *detail; /* of a problem */

    /* of a token */

    ngx_pool_t                                *pool;
    u_char                                     hex[NGX_TOKEN_DIGEST_HEX];
    ngx_token_claims_t                        *claims; /* NULL: not verified */

    /* of a value that is being put together */

    ngx_uint_t                                 own;    /* names the token */
    ngx_str_t                                  name;   /* of the variable that
                                                          is the user */
} ngx_http_ratelimit_redis_api_revocation_t;


/*
 * Reads the document; the value lives as long as the pool.  Returns NGX_OK, or
 * the status of a problem, whose detail is set unless it is 500.
 */

ngx_int_t ngx_http_ratelimit_redis_api_revocation_parse(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_pool_t *pool,
    const ngx_str_t *text);

/*
 * Sets the keys, of which there are at most NGX_HTTP_RATELIMIT_REDIS_API_KEYS,
 * the time to live and, for a user, the time of a revocation,
 * all from its pool: those that the location has, else those of the whole
 * configuration.  Returns as above.
 */

ngx_int_t ngx_http_ratelimit_redis_api_revocation_keys(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_revocation_t *rev,
    ngx_token_revocation_t *revocation);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_API_REVOCATION_H_INCLUDED_ */
