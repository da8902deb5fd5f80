
/*
 * Copyright (C) The Optcache authors
 */


/*
 * How the body of a POST to /purge is read: ngx_http_optcache_api_purge_read.c
 * has its members, ngx_http_optcache_api_purge_value.c what each may be.  Only
 * these two include it.
 */


#ifndef _NGX_HTTP_OPTCACHE_API_PURGE_READ_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_API_PURGE_READ_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_api.h"
#include "ngx_input_json.h"


typedef struct {
    ngx_pool_t                 *pool;
    ngx_http_optcache_purge_t  *purge;
    ngx_optcache_target_t       target;
    ngx_input_json_t           *tags;
    ngx_uint_t                  seen;     /* members, a mask */
    ngx_uint_t                  index;    /* of a list, from 1; 0: is none */
    const char                 *detail;
} ngx_http_optcache_api_read_t;


/*
 * Writes what is wrong with a member, or, "name" NULL, with all of it.  Returns
 * NGX_DECLINED, or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_api_read_bad(ngx_http_optcache_api_read_t *read,
    const char *name, const char *text);

/*
 * The values of members, into read->target.  NGX_OK, NGX_DECLINED with a
 * detail, or NGX_ERROR.  A user is overwritten as soon as it is hashed.
 */

ngx_int_t ngx_http_optcache_api_read_uri(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_prefix(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_tag(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_tags(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_user(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_host(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_all(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);
ngx_int_t ngx_http_optcache_api_read_soft(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);


#endif /* _NGX_HTTP_OPTCACHE_API_PURGE_READ_H_INCLUDED_ */
