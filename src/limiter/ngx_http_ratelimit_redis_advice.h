
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_ADVICE_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_ADVICE_H_INCLUDED_


#include "ngx_http_ratelimit_redis.h"


/*
 * Warns if clients choose the key of a zone, or if it is a variable without
 * its "$"; called by the directive.
 */

void ngx_http_ratelimit_redis_advice_key(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *key);

/*
 * Notes the location that is being merged, if it is to be looked at below.
 * NGX_OK, or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_ratelimit_redis_advice_merge(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *conf);

/*
 * When all is read: warns of what is allowed and hardly meant, each thing
 * once.
 */

void ngx_http_ratelimit_redis_advice(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);

/* Says in the log what is on (init_module). */

void ngx_http_ratelimit_redis_advice_summary(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_ADVICE_H_INCLUDED_ */
