
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a server of a cluster says of itself and of the others: CLUSTER NODES,
 * which unlike CLUSTER SLOTS tells of masters that have no slot yet but may be
 * about to import one, and CLUSTER INFO, whose numbers change when any of that
 * does.  Checked like what comes from a stranger.
 *
 * Pure: what is found points into the reply, and lives as long.
 */


#ifndef _NGX_REDIS_NODES_H_INCLUDED_
#define _NGX_REDIS_NODES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_map.h"


#define NGX_REDIS_NODES_ID  40           /* hex digits */


typedef struct {
    ngx_redis_endpoint_t      endpoint;
    u_char                   *id;        /* NGX_REDIS_NODES_ID bytes */
} ngx_redis_nodes_master_t;


/* two replies are of the same masters if n and both sums are equal */

typedef struct {
    ngx_uint_t                n;         /* masters that may serve a slot */
    uint64_t                  sums[2];   /* of their IDs */
    u_char                   *myself;    /* ID of who says so, a master; NULL:
                                            a replica */
    ngx_uint_t                slots;     /* that they have */
    unsigned                  settled:1; /* no master with slots is down, no
                                            slot is nobody's, and no server is
                                            about to join */
} ngx_redis_nodes_t;


typedef struct {
    uint64_t                  nodes;     /* that are known */
    uint64_t                  size;      /* masters with slots */
    uint64_t                  epoch;     /* current, and of this server */
    uint64_t                  own;
    unsigned                  ok:1;      /* keys are served */
} ngx_redis_nodes_info_t;


/*
 * Parses the reply to CLUSTER NODES.  Masters that may serve a slot, now or
 * after one is moved, are appended to "masters", an array of
 * ngx_redis_nodes_master_t; NULL: they are only counted.  A master without
 * slots that is down is none of them.  NGX_OK, or NGX_ERROR when out of
 * memory, or with *err set to a static C string when any of it is not as it
 * has to be: then nothing of it is to be used.
 */

ngx_int_t ngx_redis_nodes_parse(redisReply *reply, ngx_array_t *masters,
    ngx_redis_nodes_t *nodes, const char **err);

/* 1 if both are of the same masters. */

ngx_uint_t ngx_redis_nodes_same(ngx_redis_nodes_t *a, ngx_redis_nodes_t *b);

/* Parses the reply to CLUSTER INFO: NGX_OK or NGX_ERROR. */

ngx_int_t ngx_redis_nodes_info(redisReply *reply,
    ngx_redis_nodes_info_t *info);

/* 1 if both are the same, and keys are served. */

ngx_uint_t ngx_redis_nodes_info_same(ngx_redis_nodes_info_t *a,
    ngx_redis_nodes_info_t *b);


#endif /* _NGX_REDIS_NODES_H_INCLUDED_ */
