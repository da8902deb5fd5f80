
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the module counts on a host, besides what is in the memory of each zone
 * (ngx_limiter_local.h): in shared memory of its own, see ngx_metrics.h.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_limiter_item.h"
#include "ngx_metrics.h"
#include "ngx_token_verdict.h"


struct ngx_http_ratelimit_redis_ctx_s;
struct ngx_http_ratelimit_redis_main_conf_s;


/* of the tokens of requests */

typedef enum {

    /* what became of them: ngx_token_verdict_e before ERROR, and */

    NGX_HTTP_TOKEN_METRICS_REVOKED = NGX_TOKEN_VERDICT_ERROR,
    NGX_HTTP_TOKEN_METRICS_UNAVAILABLE,  /* not known if revoked */
    NGX_HTTP_TOKEN_METRICS_MISSING,      /* there was none */

    /* how a signature was found good, or not */

    NGX_HTTP_TOKEN_METRICS_WORKER,       /* remembered by the worker */
    NGX_HTTP_TOKEN_METRICS_HOST,         /* remembered in the token zone */
    NGX_HTTP_TOKEN_METRICS_FULL,         /* verified */

    /* how it was known whether one is revoked */

    NGX_HTTP_TOKEN_METRICS_LOCAL,        /* without a question */
    NGX_HTTP_TOKEN_METRICS_REDIS,
    NGX_HTTP_TOKEN_METRICS_OPEN,         /* not known, and let in */
    NGX_HTTP_TOKEN_METRICS_CLOSED,       /* not known, and refused */

    NGX_HTTP_TOKEN_METRICS
} ngx_http_token_metrics_e;


typedef struct {
    ngx_metrics_t              *all;       /* NULL: nothing is counted */
    ngx_metrics_block_t        *redis;     /* ngx_redis_metrics_e; or NULL */
    ngx_metrics_block_t        *tokens;    /* the above; or NULL */
} ngx_http_ratelimit_redis_metrics_t;


/*
 * Makes the counters for what is configured, when all of it was read.  NGX_OK,
 * or NGX_ERROR after logging.
 */

ngx_int_t ngx_http_ratelimit_redis_metrics_conf(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);

/* The life of a worker: before anything is counted, and after all was. */

void ngx_http_ratelimit_redis_metrics_start(
    ngx_http_ratelimit_redis_metrics_t *metrics, ngx_log_t *log);
void ngx_http_ratelimit_redis_metrics_stop(
    ngx_http_ratelimit_redis_metrics_t *metrics);

/*
 * Counts an item that is refused, under each of its rates that has no room; a
 * token when it is known what becomes of it; anything else of tokens.
 */

void ngx_http_ratelimit_redis_metrics_refusal(const ngx_limiter_item_t *item);
void ngx_http_ratelimit_redis_metrics_token(ngx_http_request_t *r,
    struct ngx_http_ratelimit_redis_ctx_s *ctx);
void ngx_http_ratelimit_redis_metrics_count(ngx_http_request_t *r,
    ngx_uint_t i);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_ */
