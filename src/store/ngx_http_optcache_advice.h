
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_ADVICE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_ADVICE_H_INCLUDED_


#include "ngx_http_optcache.h"


/*
 * Notes the location that is being merged, if it is to be looked at below.
 * NGX_OK, or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_advice_merge(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *conf);

/*
 * When all is read: warns of what is allowed and hardly meant, each thing
 * once.  What cannot be known for sure is not warned of.
 */

void ngx_http_optcache_advice(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);

/* Says in the log what is on (init_module). */

void ngx_http_optcache_advice_summary(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf);


#endif /* _NGX_HTTP_OPTCACHE_ADVICE_H_INCLUDED_ */
