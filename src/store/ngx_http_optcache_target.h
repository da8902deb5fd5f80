
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_TARGET_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/* what enters an identity beside the key */

typedef struct {
    ngx_optcache_user_t       user;
    ngx_optcache_key_kind_e   kind;
    ngx_str_t                 text;
} ngx_http_optcache_target_rule_t;


/*
 * The key that a GET of another URI of this host would have, as far as it is
 * made of the URI; with "rule" made of the key alone.  Returns what
 * ngx_optcache_key_create() does.
 */

ngx_int_t ngx_http_optcache_target_key(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_str_t *target,
    ngx_http_optcache_target_rule_t *rule, ngx_optcache_key_t *key);


#endif /* _NGX_HTTP_OPTCACHE_TARGET_H_INCLUDED_ */
