
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The hash slot of a key in Redis Cluster.  Pure.
 */


#ifndef _NGX_REDIS_SLOT_H_INCLUDED_
#define _NGX_REDIS_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_REDIS_SLOTS  16384


/*
 * CRC16 (XMODEM) of the key modulo 16384, as the Redis Cluster specification
 * says.  If the key has a "{" and a "}" after it with something in between,
 * only what is between the first "{" and the first "}" after it counts.
 */

ngx_uint_t ngx_redis_slot(ngx_str_t *key);


#endif /* _NGX_REDIS_SLOT_H_INCLUDED_ */
