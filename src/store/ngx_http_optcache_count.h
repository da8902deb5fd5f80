
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What is counted of a zone, by all workers of the host (ngx_metrics.h), in
 * two blocks: of its requests, and of what becomes of answers.
 *
 * A request is counted once for each time that it meets the cache: when it is
 * answered from there, else when the header of its answer is seen, and else at
 * its end, whoever has left by then.  One that is redirected to where it meets
 * the cache again, before there was an answer, is counted there.  So are
 * subrequests; what updates an entry behind a request is none.
 *
 * A hit costs one addition here.  X-Cache comes of sums of these counters.
 */


#ifndef _NGX_HTTP_OPTCACHE_COUNT_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_COUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_prometheus.h"
#include "ngx_http_optcache.h"
#include "ngx_rare.h"


/* hits of a layer: fresh, stale, updating, revalidated */
#define NGX_HTTP_OPTCACHE_KINDS  4


typedef enum {
    NGX_HTTP_OPTCACHE_HITS = 0,            /* of L1, of L2 */

    NGX_HTTP_OPTCACHE_MISS_ABSENT = 2 * NGX_HTTP_OPTCACHE_KINDS,
    NGX_HTTP_OPTCACHE_MISS_VARY,
    NGX_HTTP_OPTCACHE_MISS_CODING,
    NGX_HTTP_OPTCACHE_MISS_INVALIDATED,
    NGX_HTTP_OPTCACHE_MISS_REFUSED,
    NGX_HTTP_OPTCACHE_MISS_BUSY,

    /* X-Cache: EXPIRED */
    NGX_HTTP_OPTCACHE_MISS_EXPIRED,
    NGX_HTTP_OPTCACHE_MISS_REQUEST,

    NGX_HTTP_OPTCACHE_BYPASS_METHOD,
    NGX_HTTP_OPTCACHE_BYPASS_CONFIGURED,
    NGX_HTTP_OPTCACHE_BYPASS_REQUEST,
    NGX_HTTP_OPTCACHE_BYPASS_BODY,
    NGX_HTTP_OPTCACHE_BYPASS_URI,
    NGX_HTTP_OPTCACHE_BYPASS_UPGRADE,
    NGX_HTTP_OPTCACHE_BYPASS_SUBREQUEST,
    NGX_HTTP_OPTCACHE_BYPASS_KEY,

    NGX_HTTP_OPTCACHE_LEFT,                /* before anything was known */

    NGX_HTTP_OPTCACHE_WAITED_HOST,         /* and answered by that */
    NGX_HTTP_OPTCACHE_WAITED_HOSTS,
    NGX_HTTP_OPTCACHE_WAITED_TIMEOUT,      /* and asked upstream then */

    NGX_HTTP_OPTCACHE_LEASES,              /* taken */
    NGX_HTTP_OPTCACHE_UPDATES,             /* upstream is asked */

    NGX_HTTP_OPTCACHE_REQUESTS_N
} ngx_http_optcache_count_e;


/* the second block */

typedef enum {
    NGX_HTTP_OPTCACHE_STORED_L1 = 0,
    NGX_HTTP_OPTCACHE_STORED_L2,

    NGX_HTTP_OPTCACHE_REFUSED,

    /* in the order of ngx_http_rfc9111_storage_e */
    NGX_HTTP_OPTCACHE_REFUSED_STATUS = NGX_HTTP_OPTCACHE_REFUSED,
    NGX_HTTP_OPTCACHE_REFUSED_NO_STORE,
    NGX_HTTP_OPTCACHE_REFUSED_NO_CACHE,
    NGX_HTTP_OPTCACHE_REFUSED_PRIVATE,
    NGX_HTTP_OPTCACHE_REFUSED_AUTHORIZATION,
    NGX_HTTP_OPTCACHE_REFUSED_COOKIE,
    NGX_HTTP_OPTCACHE_REFUSED_SET_COOKIE,
    NGX_HTTP_OPTCACHE_REFUSED_VARY,
    NGX_HTTP_OPTCACHE_REFUSED_FRESHNESS,

    NGX_HTTP_OPTCACHE_REFUSED_ERROR,
    NGX_HTTP_OPTCACHE_REFUSED_CONFIGURED,
    NGX_HTTP_OPTCACHE_REFUSED_UNTIL,
    NGX_HTTP_OPTCACHE_REFUSED_USES,
    NGX_HTTP_OPTCACHE_REFUSED_SIZE,
    NGX_HTTP_OPTCACHE_REFUSED_MEMORY,
    NGX_HTTP_OPTCACHE_REFUSED_FILE,
    NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE,
    NGX_HTTP_OPTCACHE_REFUSED_INVALIDATED,
    NGX_HTTP_OPTCACHE_REFUSED_RANGE,
    NGX_HTTP_OPTCACHE_REFUSED_STREAM,
    NGX_HTTP_OPTCACHE_REFUSED_FIELD,
    NGX_HTTP_OPTCACHE_REFUSED_TAGS,
    NGX_HTTP_OPTCACHE_REFUSED_KEY,
    NGX_HTTP_OPTCACHE_REFUSED_HOST,
    NGX_HTTP_OPTCACHE_REFUSED_LOCATION,
    NGX_HTTP_OPTCACHE_REFUSED_RELOAD,

    NGX_HTTP_OPTCACHE_VALUE,

    /* in the order of ngx_optcache_entry_bad_e */
    NGX_HTTP_OPTCACHE_VALUE_FOREIGN = NGX_HTTP_OPTCACHE_VALUE,
    NGX_HTTP_OPTCACHE_VALUE_VERSION,
    NGX_HTTP_OPTCACHE_VALUE_TRUNCATED,
    NGX_HTTP_OPTCACHE_VALUE_CORRUPT,
    NGX_HTTP_OPTCACHE_VALUE_KEY,
    NGX_HTTP_OPTCACHE_VALUE_HOSTILE,

    NGX_HTTP_OPTCACHE_VALUE_TYPE,

    NGX_HTTP_OPTCACHE_UNSTORED_SIZE,       /* by Redis */
    NGX_HTTP_OPTCACHE_UNSTORED_REJECTED,
    NGX_HTTP_OPTCACHE_UNSTORED_FAILED,

    NGX_HTTP_OPTCACHE_ANSWERS_N
} ngx_http_optcache_answer_e;


/*
 * Makes omcf->metrics, with the blocks of all zones and that of Redis, unless
 * there is neither (postconfiguration).  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_count_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);

/*
 * Sees to it that a request is counted at its end, if it has not been then.
 * To be called for all that are not answered at once, and for an update.
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_count_watch(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* A request is redirected: what it was before is not counted any more. */

ngx_rare void ngx_http_optcache_count_again(ngx_http_request_t *r);

/* It is answered otherwise: counts what it was before. */

ngx_rare void ngx_http_optcache_count_left(ngx_http_request_t *r);

/*
 * The last context of a request that had to be asked for, or NULL: before a
 * redirect is met by the cache, what that has wiped.
 */

ngx_rare ngx_http_optcache_ctx_t *ngx_http_optcache_count_before(
    ngx_http_request_t *r);

/* Counts a request, unless it has been: ctx->status and the like are known. */

void ngx_http_optcache_count(ngx_http_optcache_ctx_t *ctx);

/* An answer is not stored: ctx->refusal, one of .._REFUSED_*, says why. */

void ngx_http_optcache_count_refused(ngx_http_optcache_ctx_t *ctx);

/* The word for a value of Redis that is none of ours, one of .._VALUE_*. */

const char *ngx_http_optcache_count_value(ngx_uint_t why);

/*
 * The counters of a zone: members of its object in the status, and samples of
 * all zones.
 */

void ngx_http_optcache_count_json(ngx_http_api_json_t *json,
    ngx_optcache_l1_t *zone);
void ngx_http_optcache_count_prometheus(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones);


/* Counts one that is answered from the cache, by its layer and its status. */

static ngx_inline void
ngx_http_optcache_count_hit(ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t  i;

    if (ctx->counted) {
        return;
    }

    ctx->counted = 1;

    i = (ctx->layer == NGX_HTTP_OPTCACHE_L2) ? NGX_HTTP_OPTCACHE_KINDS : 0;

    if (ctx->status != NGX_HTTP_OPTCACHE_HIT) {
        i += 1 + ctx->status - NGX_HTTP_OPTCACHE_STALE;
    }

    ngx_metrics_count(ctx->zone->requests, i);
}


#endif /* _NGX_HTTP_OPTCACHE_COUNT_H_INCLUDED_ */
