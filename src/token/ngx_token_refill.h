
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Writes rows of PostgreSQL to Redis: some as they come, or all, and then the
 * marker that says so (see ngx_token_marker.h).  While all are written there
 * is
 *
 *     <marker>:<hex>   string: nothing, for a minute after the last rows; in
 *                      a cluster one for each slot, for an hour
 *
 * of this host alone: a server that was emptied meanwhile has lost it, and
 * gets no marker.
 *
 * What is in Redis already stays for longer, never for less, so that hosts
 * which write at the same time, and applications, do not harm each other.
 */


#ifndef _NGX_TOKEN_REFILL_H_INCLUDED_
#define _NGX_TOKEN_REFILL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <libpq-fe.h>

#include "ngx_redis_client.h"
#include "ngx_token_marker.h"


#define NGX_TOKEN_REFILL_ROWS     160    /* at once */
#define NGX_TOKEN_REFILL_KEY      1024   /* bytes */
#define NGX_TOKEN_REFILL_NUMBER   20     /* digits */
#define NGX_TOKEN_REFILL_HEX      16
#define NGX_TOKEN_REFILL_PARTS    512    /* commands at once */

/* the columns of a row, all of them text */

#define NGX_TOKEN_REFILL_ID       0
#define NGX_TOKEN_REFILL_XACT     1
#define NGX_TOKEN_REFILL_NAME     2      /* of the key, in hexadecimal; NULL:
                                            none can be */
#define NGX_TOKEN_REFILL_VALUE    3      /* a number */
#define NGX_TOKEN_REFILL_TTL      4      /* ms */


/*
 * NGX_OK: Redis did it; NGX_DECLINED: it has been emptied meanwhile, and all
 * is to be written again; NGX_ERROR: it did not answer, or refuses.
 */

typedef void (*ngx_token_refill_pt)(void *data, ngx_int_t rc);


typedef struct ngx_token_refill_s  ngx_token_refill_t;

typedef struct {
    ngx_token_refill_t       *refill;
    ngx_redis_command_t      *command;
} ngx_token_refill_part_t;


struct ngx_token_refill_s {

    /* set by the caller */

    ngx_redis_client_t       *client;
    ngx_token_marker_t       *marker;
    ngx_array_t              *prefixes;  /* ngx_str_t: keys begin with one */
    ngx_str_t                 own;       /* with this they must not, unless a
                                            prefix says so */
    ngx_log_t                *log;
    void                     *data;

    ngx_uint_t                written;   /* rows, ever */
    ngx_uint_t                ignored;

    /* private */

    u_char                    hex[NGX_TOKEN_REFILL_HEX];
    u_char                   *progress;
    ngx_uint_t                era;       /* in which it was begun */
    u_char                    run[NGX_TOKEN_MARKER_RUN];
    size_t                    run_len;
    ngx_uint_t                refused;   /* and that was logged */
    ngx_msec_t                since;     /* ... then */
    ngx_uint_t                slot;      /* the next to do */
    ngx_uint_t                slots;     /* there are; 0: they are not done */
    ngx_uint_t                finish;    /* 1: the end is being done */
    ngx_int_t                 rc;        /* the worst of all answers */
    ngx_uint_t                pending;
    ngx_token_refill_part_t   parts[NGX_TOKEN_REFILL_PARTS];
    ngx_token_refill_pt       handler;
};


/* NGX_ERROR when out of memory. */

ngx_int_t ngx_token_refill_init(ngx_token_refill_t *refill, ngx_pool_t *pool);

/*
 * All three return NGX_AGAIN if the handler is going to be called, once and
 * not from within; NGX_ERROR if Redis is not there.  _begin() and _finish()
 * enclose the writing of all rows.
 *
 * _write() returns NGX_OK if none of the rows is to be written; it takes at
 * most NGX_TOKEN_REFILL_ROWS.  Rows that cannot be a revocation are ignored.
 */

ngx_int_t ngx_token_refill_begin(ngx_token_refill_t *refill,
    ngx_token_refill_pt handler);
ngx_int_t ngx_token_refill_write(ngx_token_refill_t *refill, PGresult *rows,
    ngx_uint_t all, ngx_token_refill_pt handler);
ngx_int_t ngx_token_refill_finish(ngx_token_refill_t *refill,
    ngx_token_refill_pt handler);

/* Nobody waits any more. */

void ngx_token_refill_abandon(ngx_token_refill_t *refill);


#endif /* _NGX_TOKEN_REFILL_H_INCLUDED_ */
