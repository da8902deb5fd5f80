
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis is asked: one script for all zones of a request, so that either
 * every zone counts it or none does.
 *
 * The value of a key, written and read by the scripts only (a value that looks
 * different is taken for an empty one), big-endian:
 *
 *     0  algorithm   1   NGX_LIMITER_FIXED_WINDOW, ..
 *     1  period      4   ms
 *     5  time        6   ms since the epoch, of the clock of Redis
 *    11  used        6
 *    17  prev        6   sliding_window only
 *     ..             16 or 22 bytes for each record, see ngx_limiter_state.h
 *
 * KEYS is one key per zone; ARGV is one string per zone, big-endian:
 *
 *     0  algorithm   1
 *     1  flags       1   1 soft (its refusal stops nobody), 2 carry,
 *                        4 peek (nothing is counted or written)
 *     2  nrates      1
 *     3  burst       6
 *     9  need        6
 *    15  take        6
 *    21  want        6
 *    27  add         6
 *    33  sub         6
 *    39  period      4   and so on for each rate
 *    43  limit       6
 *     ..
 *        left        6   with "carry", and so on for each rate
 *        used        6
 *        prev        6
 *        own         6
 *        own_prev    6
 *        back        6
 *     ..
 *        kept        6   with a "sub" that is not 0: so many of the units of
 *                        which it was a part stay;
 *        at          6   when they were counted, by the clock of Redis; 0: ..
 *        age         6   .. so many ms ago
 *
 * The reply is one string, big-endian:
 *
 *     0  counted     1   1 if every zone that is not soft had room, else 0
 *     1  now         6   ms since the epoch, of the clock of Redis
 *     7  room        1   1 if the zone had room, and so on for each zone
 *     8  granted     6   units counted, 0 if the request was not counted
 *    14  length      2   of the value that follows: as it is now stored, or
 *                        as it was found (so that a refusal costs no more)
 *    16  value
 *
 * The number 0 instead of a string: the script for one zone has met a value
 * of other rates, and the general one is to be asked.
 */


#ifndef _NGX_LIMITER_SCRIPT_H_INCLUDED_
#define _NGX_LIMITER_SCRIPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>

#include "ngx_limiter_item.h"


/* name, script, number of keys; per zone: key, argument */
#define NGX_LIMITER_SCRIPT_ARGS  (3 + NGX_LIMITER_MAX_ZONES * 2)

#define NGX_LIMITER_SCRIPT_SHA1  40


typedef struct {
    ngx_str_t                 text;
    ngx_str_t                 sha1;      /* hex */
    u_char                    hex[NGX_LIMITER_SCRIPT_SHA1];
} ngx_limiter_script_t;


/*
 * All there are: the general one, and for each algorithm and number of rates
 * one that has nothing in it but what one zone's ordinary request needs.
 */

typedef struct {
    ngx_limiter_script_t      general;
    ngx_limiter_script_t      single[3][NGX_LIMITER_MAX_RATES];
} ngx_limiter_scripts_t;


/*
 * Writes the texts and computes their names; called while the configuration
 * is read, with memory from cf->pool.  ngx_limiter_lua.c
 */

ngx_int_t ngx_limiter_scripts_init(ngx_limiter_scripts_t *scripts,
    ngx_pool_t *pool);

/*
 * The script for these items: the one for a single zone if there is only one,
 * whose rates are not from variables, that carries, adds and gives back
 * nothing; else the general one.
 */

ngx_limiter_script_t *ngx_limiter_script_choose(
    ngx_limiter_scripts_t *scripts, ngx_limiter_item_t **items, ngx_uint_t n);

/*
 * Fills "argv" (of NGX_LIMITER_SCRIPT_ARGS) with EVALSHA, or with EVAL if
 * "eval", for the items; keys and arguments are allocated from the pool.  Keys
 * are prefix, zone's name, ":{", subject, "}": in a cluster, the zones of one
 * subject are on one node.  argv[3] is the first key.  Returns the number of
 * arguments, 0 when out of memory.
 */

ngx_uint_t ngx_limiter_script_args(ngx_limiter_script_t *script,
    ngx_limiter_item_t **items, ngx_uint_t n, ngx_str_t *prefix,
    ngx_uint_t eval, ngx_str_t *argv, ngx_pool_t *pool);

/* The key alone. */

ngx_int_t ngx_limiter_script_key(ngx_str_t *key, ngx_limiter_item_t *item,
    ngx_str_t *prefix, ngx_pool_t *pool);

/*
 * Reads a reply into the same items, whose states then are as they are at
 * "now", which is ngx_limiter_local_now().  Returns NGX_OK (counted, or would
 * have been if nobody had only looked), NGX_BUSY (some zone that is not soft
 * had no room), NGX_DECLINED (ask the general script), or NGX_ERROR when this
 * is not the script's reply; in the last two cases items are as they were.
 */

ngx_int_t ngx_limiter_script_reply(redisReply *reply,
    ngx_limiter_item_t **items, ngx_uint_t n, uint64_t now);


#endif /* _NGX_LIMITER_SCRIPT_H_INCLUDED_ */
