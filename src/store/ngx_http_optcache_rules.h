
/*
 * Copyright (C) The Optcache authors
 */


/* What the configuration changes about what a response says to the cache. */


#ifndef _NGX_HTTP_OPTCACHE_RULES_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_RULES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_response.h"


/*
 * optcache_ignore: forgets what fields said that do not count, as if they had
 * not been sent (RFC 9111, 4.2 and 5.2.2); Pragma goes with Cache-Control.
 * Targeted fields are the caller's.
 */

void ngx_http_optcache_rules_ignore(ngx_http_optcache_loc_conf_t *olcf,
    ngx_http_optcache_response_t *resp);

/*
 * optcache_until: how many seconds from now a response may be used at all,
 * fresh or stale; 0 or less: it is not to be stored.
 * NGX_HTTP_RFC9111_DELTA_MAX when nothing is said.  NGX_ERROR when out of
 * memory.
 */

ngx_int_t ngx_http_optcache_rules_left(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, int64_t *left);

/*
 * optcache_min_uses: counts a request whose answer could be stored, and tells
 * whether it is to be.  What replaces a stale answer always is.
 */

ngx_uint_t ngx_http_optcache_rules_used(ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_loc_conf_t *olcf);

/*
 * Whether it is known, before there is a key, that a request is not looked up
 * (optcache_bypass) and its answer not stored (optcache_no_store), since they
 * share a value that stays as it is.  NGX_OK: it is; NGX_DECLINED: it is not,
 * and nothing has changed but what variables remember; NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_rules_never(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);


#endif /* _NGX_HTTP_OPTCACHE_RULES_H_INCLUDED_ */
