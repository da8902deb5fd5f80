
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A server of a cluster: a node of one address, with all memory it needs.
 */


#ifndef _NGX_REDIS_MEMBER_H_INCLUDED_
#define _NGX_REDIS_MEMBER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_map.h"
#include "ngx_redis_node.h"


typedef struct {
    ngx_redis_node_t          node;
    ngx_redis_conf_t          conf;      /* the directive's, but the server */
    ngx_redis_server_t        server;
    ngx_addr_t                addr;
    ngx_pool_t               *pool;

    ngx_redis_endpoint_t      endpoint;  /* never with an empty host */
    u_char                    name[NGX_REDIS_MAP_MAX_HOST + 1];
    ngx_uint_t                nslots;    /* that it is the master of */
    ngx_msec_t                used;      /* when a server led to it */

    ngx_queue_t               queue;     /* of those that leave */
} ngx_redis_member_t;


/*
 * Makes a member, which does not connect yet; NULL when out of memory.  A
 * host that is no address is resolved as that of a URL is.
 */

ngx_redis_member_t *ngx_redis_member_create(ngx_redis_endpoint_t *endpoint,
    ngx_redis_conf_t *conf, ngx_redis_stats_t *stats, ngx_log_t *log,
    ngx_redis_node_handlers_t *handlers, void *data);

/*
 * Takes the name that a map tells of it, which may be another one than before;
 * if it tells none, perhaps only because who was asked has not heard of it, the
 * old one stays.  Connections that are made from then on know it by that.
 */

void ngx_redis_member_rename(ngx_redis_member_t *member, ngx_str_t *name);

/* Closes and frees it; no handler is called. */

void ngx_redis_member_free(ngx_redis_member_t *member);

/* 1 if this is the server: by its address, or by its name. */

ngx_uint_t ngx_redis_member_is(ngx_redis_member_t *member,
    ngx_redis_endpoint_t *endpoint);


#endif /* _NGX_REDIS_MEMBER_H_INCLUDED_ */
