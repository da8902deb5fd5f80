
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether Redis has all the revocations that PostgreSQL has.  That it was told
 * of them is noted in Redis itself:
 *
 *     <prefix>{postgres}:<hex>   string: the run_id of the server that was
 *                                told, for a day after a host last looked
 *
 * where <hex> is of what keys begin with, so that hosts of another
 * configuration have a marker of their own.  A server that comes back empty
 * has no marker; one that comes back with an old snapshot, or was a replica,
 * has that of another run.  So a question is trusted if its marker is there
 * in the same moment, and the marker was seen to be of the run that this
 * connection is to.
 *
 * If INFO is refused, "-" stands for every run_id.
 *
 * In a cluster each hash slot has a marker, <prefix>{postgres<n>}:<hex>, for
 * some n, which goes where the slot goes.  Of which run it is says nothing
 * then: it is always "-".
 */


#ifndef _NGX_TOKEN_MARKER_H_INCLUDED_
#define _NGX_TOKEN_MARKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"


#define NGX_TOKEN_MARKER_RUN   40
#define NGX_TOKEN_MARKER_HEX   16
#define NGX_TOKEN_MARKER_KEY   64           /* bytes, beside the prefix */
#define NGX_TOKEN_MARKER_LIFE  "86400000"   /* ms */


typedef enum {
    NGX_TOKEN_MARKER_UNKNOWN = 0,
    NGX_TOKEN_MARKER_ABSENT,
    NGX_TOKEN_MARKER_PRESENT
} ngx_token_marker_e;


typedef struct {
    ngx_redis_client_t       *client;
    ngx_str_t                 key;       /* of a cluster: of a slot */
    size_t                    prefix;    /* bytes of it */
    uint32_t                 *tags;      /* n of each slot, or NULL */
    u_char                    hex[NGX_TOKEN_MARKER_HEX];
    ngx_atomic_t             *wanted;    /* set when it was found absent */

    ngx_token_marker_e        state;
    ngx_uint_t                era;       /* of the client, when asked last */
    ngx_msec_t                asked;
    ngx_msec_t                began;     /* when this worker did */

    /* private: an answer under way, in two parts */

    ngx_uint_t                pending;
    ngx_uint_t                failed;
    ngx_uint_t                same;
    u_char                    run[NGX_TOKEN_MARKER_RUN];
    size_t                    run_len;
    u_char                    seen[NGX_TOKEN_MARKER_RUN];
    size_t                    seen_len;
} ngx_token_marker_t;


/*
 * Finds a number n for each hash slot of a cluster, in memory of the pool;
 * NULL when out of it.  Takes a few ms.
 */

uint32_t *ngx_token_marker_tags(ngx_pool_t *pool);

/*
 * Prepares a zeroed marker, of this worker.  "tags" are NULL if Redis is one
 * server; "prefixes" are what blacklist keys begin with.  NGX_ERROR when out
 * of memory.
 */

ngx_int_t ngx_token_marker_init(ngx_token_marker_t *marker, ngx_pool_t *pool,
    ngx_redis_client_t *client, uint32_t *tags, ngx_str_t *prefix,
    ngx_array_t *prefixes, ngx_atomic_t *wanted);

/*
 * The marker that goes with a key, or that of a slot: good until the next one
 * is asked for.
 */

ngx_str_t *ngx_token_marker_key(ngx_token_marker_t *marker, ngx_str_t *key);
ngx_str_t *ngx_token_marker_slot(ngx_token_marker_t *marker, ngx_uint_t slot);

/*
 * Asks, unless it does already or Redis is not there.  Of a cluster, which
 * cannot be asked for all slots, only questions tell.
 */

void ngx_token_marker_ask(ngx_token_marker_t *marker);

/*
 * To be called before a question is sent: asks first if nothing is known of
 * this connection.  The era returned is to be compared when the answer is
 * there.
 */

ngx_uint_t ngx_token_marker_note(ngx_token_marker_t *marker);
ngx_uint_t ngx_token_marker_trusted(ngx_token_marker_t *marker,
    ngx_uint_t era);

/*
 * What is known now: of an earlier connection nothing is.  Of a cluster, which
 * begins as UNKNOWN, it is what _set() was told.
 */

ngx_token_marker_e ngx_token_marker_state(ngx_token_marker_t *marker);

/*
 * Whether that is a reason to doubt: not that a worker that has just begun has
 * yet to ask, which it does before its first question.
 */

ngx_uint_t ngx_token_marker_doubted(ngx_token_marker_t *marker);

void ngx_token_marker_set(ngx_token_marker_t *marker,
    ngx_token_marker_e state);

/* A question found it absent. */

void ngx_token_marker_missed(ngx_token_marker_t *marker);


#endif /* _NGX_TOKEN_MARKER_H_INCLUDED_ */
