
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Asks Redis, once it is up, whether it evicts keys when its memory is full,
 * and says in the log if that is not what its keys are for.  Limits and
 * revoked tokens are wrong when they are evicted; a cache that evicts nothing
 * stores nothing any more.
 *
 * It is asked by INFO, which may be refused, or answered in any way, or, three
 * times, not at all: then nothing is said.  Of several servers it is the one
 * that happens to answer.
 */


#ifndef _NGX_REDIS_MEMORY_H_INCLUDED_
#define _NGX_REDIS_MEMORY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_client.h"


typedef enum {
    NGX_REDIS_MEMORY_KEEP = 0,     /* no key may be evicted: a warning */
    NGX_REDIS_MEMORY_EVICT         /* keys should be: a notice */
} ngx_redis_memory_e;


/*
 * Starts to ask for that (init_process), in the first worker only, and soon
 * after, not at each connection.  Allocated from cycle->pool.  Returns NGX_OK,
 * or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_redis_memory_watch(ngx_cycle_t *cycle,
    ngx_redis_client_t *client, ngx_redis_conf_t *conf,
    ngx_redis_memory_e wanted);

/*
 * Reads the reply to INFO.  NGX_OK, with *limit set to the bytes that Redis
 * may use, 0 if there is no limit, and *policy to a word within the reply, of
 * at most 32 small letters and "-"; NGX_DECLINED if it does not tell them.
 * Pure.
 */

ngx_int_t ngx_redis_memory_parse(ngx_str_t *info, uint64_t *limit,
    ngx_str_t *policy);


#endif /* _NGX_REDIS_MEMORY_H_INCLUDED_ */
