
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A request that invalidates: by the API, or by the method PURGE.  All it asks
 * for is in force on this host at once; the answer waits until Redis has it,
 * which tells the other hosts.  It is told to its end even if the client
 * leaves.
 */


#ifndef _NGX_HTTP_OPTCACHE_PURGE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_PURGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_optcache_event.h"
#include "ngx_optcache_mark.h"
#include "ngx_rare.h"


/* bytes of a value; of what a name of a host may have (RFC 1035, 2.3.4) */
#define NGX_HTTP_OPTCACHE_PURGE_VALUE  32768
#define NGX_HTTP_OPTCACHE_PURGE_HOST   255


/* what one request invalidates */

typedef struct {
    ngx_uint_t                n;
    ngx_optcache_event_t      events[NGX_OPTCACHE_EVENT_MAX];
} ngx_http_optcache_purge_t;


/*
 * Adds a target.  NGX_DECLINED: there are NGX_OPTCACHE_EVENT_MAX already, or
 * it is none, see ngx_optcache_mark_event().
 */

ngx_int_t ngx_http_optcache_purge_add(ngx_http_optcache_purge_t *purge,
    ngx_optcache_target_t *target);

/*
 * Invalidates; "purge" is not needed any more when it returns.
 *
 * NGX_AGAIN: the request, which the caller holds, waits, and is finalized.
 * Else: what it is to be finalized with; it has been answered, or 500.
 */

ngx_int_t ngx_http_optcache_purge(ngx_http_request_t *r,
    ngx_http_optcache_purge_t *purge);


/* The method PURGE, ngx_http_optcache_purge_method.c. */

/* Whether the request is one, and optcache_purge lets it. */

ngx_uint_t ngx_http_optcache_purge_wanted(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf);

/* Answers it; returns what a phase handler does. */

ngx_rare ngx_int_t ngx_http_optcache_purge_handler(ngx_http_request_t *r);

/* The directive. */

char *ngx_http_optcache_purge_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_OPTCACHE_PURGE_H_INCLUDED_ */
