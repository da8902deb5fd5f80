
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_VARS_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_VARS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Adds $optcache_status, $optcache_age, $optcache_layer and $optcache_body, at
 * preconfiguration.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_vars_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_OPTCACHE_VARS_H_INCLUDED_ */
