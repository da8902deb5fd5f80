
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
 */


#ifndef _NGX_TOKEN_MARKER_H_INCLUDED_
#define _NGX_TOKEN_MARKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"


#define NGX_TOKEN_MARKER_RUN   40
#define NGX_TOKEN_MARKER_LIFE  "86400000"   /* ms */


typedef enum {
    NGX_TOKEN_MARKER_UNKNOWN = 0,
    NGX_TOKEN_MARKER_ABSENT,
    NGX_TOKEN_MARKER_PRESENT
} ngx_token_marker_e;


typedef struct {
    ngx_redis_client_t       *client;
    ngx_str_t                 key;
    ngx_atomic_t             *wanted;    /* set when it was found absent */

    ngx_token_marker_e        state;
    ngx_uint_t                era;       /* of the client, when asked last */
    ngx_msec_t                asked;

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
 * Prepares a zeroed marker, of this worker.  "prefixes" are what blacklist
 * keys begin with.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_token_marker_init(ngx_token_marker_t *marker, ngx_pool_t *pool,
    ngx_redis_client_t *client, ngx_str_t *prefix, ngx_array_t *prefixes,
    ngx_atomic_t *wanted);

/* Asks, unless it does already or Redis is not there. */

void ngx_token_marker_ask(ngx_token_marker_t *marker);

/*
 * To be called before a question is sent: asks first if nothing is known of
 * this connection.  The era returned is to be compared when the answer is
 * there.
 */

ngx_uint_t ngx_token_marker_note(ngx_token_marker_t *marker);
ngx_uint_t ngx_token_marker_trusted(ngx_token_marker_t *marker,
    ngx_uint_t era);

/* What is known now: of an earlier connection nothing is. */

ngx_token_marker_e ngx_token_marker_state(ngx_token_marker_t *marker);

/* A question found it absent. */

void ngx_token_marker_missed(ngx_token_marker_t *marker);


#endif /* _NGX_TOKEN_MARKER_H_INCLUDED_ */
