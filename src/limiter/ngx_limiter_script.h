
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis is asked: one script for all zones of a request, so that either
 * every zone counts it or none does.
 *
 * The value of a key, written and read by the script only (a value that looks
 * different is taken for an empty one):
 *
 *     0  version     1   1
 *     1  period      4   ms, big-endian as all that follow
 *     5  end         6   ms since the epoch, of the clock of Redis
 *    11  used        6
 *     ..             16 bytes for each rate of the zone
 *
 * KEYS is one key per zone; ARGV has for each zone: the number of rates, the
 * cost, 1 if the zone is "soft" (its refusal stops nobody) else 0, and for
 * each rate its limit and its period.
 *
 * The reply is an array of integers: 1 if the request was counted, else 0;
 * then for each zone: 1 if it had room, else 0, and for each rate what is used
 * (with this request, if it was counted) and the ms until the window ends.
 */


#ifndef _NGX_LIMITER_SCRIPT_H_INCLUDED_
#define _NGX_LIMITER_SCRIPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>

#include "ngx_limiter_item.h"


/* name, script, number of keys; per zone: key, 3 numbers, 2 per rate */
#define NGX_LIMITER_SCRIPT_ARGS                                               \
    (3 + NGX_LIMITER_MAX_ZONES * (4 + NGX_LIMITER_MAX_RATES * 2))

#define NGX_LIMITER_SCRIPT_SHA1  40


typedef struct {
    ngx_str_t                 text;
    ngx_str_t                 sha1;      /* hex */
    u_char                    hex[NGX_LIMITER_SCRIPT_SHA1];
} ngx_limiter_script_t;


/* Computes the name of the script; called while the configuration is read. */

void ngx_limiter_script_init(ngx_limiter_script_t *script);

/*
 * Fills "argv" (of NGX_LIMITER_SCRIPT_ARGS) with EVALSHA, or with EVAL if
 * "eval", for the items that are asked; keys are allocated from the pool.
 * Returns the number of arguments, 0 when out of memory.
 */

ngx_uint_t ngx_limiter_script_args(ngx_limiter_script_t *script,
    ngx_limiter_item_t **items, ngx_uint_t n, ngx_str_t *prefix,
    ngx_uint_t eval, ngx_str_t *argv, ngx_pool_t *pool);

/*
 * Reads a reply into the same items, whose windows then are those of the
 * clock "now".  Returns NGX_OK (counted), NGX_BUSY (not counted), or
 * NGX_ERROR when this is not the script's reply; the items then are as they
 * were.
 */

ngx_int_t ngx_limiter_script_reply(redisReply *reply,
    ngx_limiter_item_t **items, ngx_uint_t n, uint64_t now);


#endif /* _NGX_LIMITER_SCRIPT_H_INCLUDED_ */
