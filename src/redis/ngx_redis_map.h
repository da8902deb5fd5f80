
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the servers of a cluster say of where slots are: CLUSTER SLOTS, and
 * the errors MOVED and ASK.  Checked like what comes from a stranger.
 *
 * Pure: what is found points into the text or reply, and lives as long.
 */


#ifndef _NGX_REDIS_MAP_H_INCLUDED_
#define _NGX_REDIS_MAP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_reply.h"
#include "ngx_redis_slot.h"


#define NGX_REDIS_MAP_MAX_HOST  255


typedef struct {
    ngx_str_t                 host;     /* an address if one is known, else a
                                           name; empty: of who says so */
    ngx_str_t                 name;     /* told beside the address, or empty */
    in_port_t                 port;
} ngx_redis_endpoint_t;


typedef struct {
    ngx_redis_endpoint_t      endpoint; /* of the master */
    ngx_uint_t                first;    /* slots */
    ngx_uint_t                last;
} ngx_redis_range_t;


typedef enum {
    NGX_REDIS_REDIRECT_MOVED = 0,
    NGX_REDIS_REDIRECT_ASK
} ngx_redis_redirect_e;


typedef struct {
    ngx_redis_redirect_e      type;
    ngx_redis_endpoint_t      endpoint;
    ngx_uint_t                slot;
} ngx_redis_redirect_t;


/*
 * Parses an error: NGX_OK; NGX_DECLINED when it is neither MOVED nor ASK;
 * NGX_ERROR when it is, but cannot be followed: "MOVED 3999 10.0.0.5:6381".
 */

ngx_int_t ngx_redis_redirect_parse(redisReply *reply,
    ngx_redis_redirect_t *redirect);

/*
 * Parses the reply to CLUSTER SLOTS; "ranges" is an array of
 * ngx_redis_range_t, to which they are appended.  NGX_OK; NGX_DECLINED when
 * there is no slot in it; NGX_ERROR when out of memory, or with *err set to a
 * static C string when any of it is not as it has to be: then nothing of it
 * is to be used.
 */

ngx_int_t ngx_redis_map_parse(redisReply *reply, ngx_array_t *ranges,
    const char **err);

/*
 * 1 if the error says that nobody has the slot, which is no fault of the
 * server that says so: of all the cluster being down it says nothing.
 */

ngx_uint_t ngx_redis_map_unserved(redisReply *reply);

/*
 * Checks the host of an endpoint: an address or a name, or nothing; "?", which
 * is what Redis calls a name that it was not told, becomes nothing.  NGX_OK or
 * NGX_ERROR.
 */

ngx_int_t ngx_redis_map_host(ngx_str_t *host);

/* 1 if a host is an address, IPv4 or IPv6 without brackets. */

ngx_uint_t ngx_redis_map_address(ngx_str_t *host);


#endif /* _NGX_REDIS_MAP_H_INCLUDED_ */
