
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the files of ngx_optcache_postgres.h share: the chains of queries that
 * the worker with the connection goes through.
 *
 *     _hello.c    standby? LISTEN, probe, which table, from where on
 *     _rows.c     read what is new, a page at a time; tell each row
 */


#ifndef _NGX_OPTCACHE_POSTGRES_CHAIN_H_INCLUDED_
#define _NGX_OPTCACHE_POSTGRES_CHAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_postgres.h"
#include "ngx_pgsql_conn.h"
#include "ngx_pgsql_query.h"
#include "ngx_redis_tracking.h"


#define NGX_OPTCACHE_POSTGRES_PAGE    256    /* rows at once */
#define NGX_OPTCACHE_POSTGRES_PROBE   1000   /* ms, to hear of oneself */
#define NGX_OPTCACHE_POSTGRES_ONCE    256    /* bytes, of a name */
#define NGX_OPTCACHE_POSTGRES_TOKEN   16     /* hex digits, of a probe */
#define NGX_OPTCACHE_POSTGRES_DIGEST  65     /* hex digits, with a NUL */

/* nothing is visible in this snapshot */
#define NGX_OPTCACHE_POSTGRES_FIRST   "1:1:"

/* the snapshot "s" as text, or an earlier one that is shorter */
#define NGX_OPTCACHE_POSTGRES_SHORT                                           \
    "CASE WHEN pg_catalog.length(s::pg_catalog.text)" NGX_PGSQL_LT "4000"     \
    " THEN s::pg_catalog.text ELSE pg_catalog.concat("                        \
    "pg_catalog.txid_snapshot_xmin(s), ':',"                                  \
    " pg_catalog.txid_snapshot_xmin(s), ':') END"


/* a row that Redis is being told of */

typedef struct {
    ngx_optcache_postgres_t           *op;
    ngx_optcache_telling_t            *telling;  /* NULL: it is not */
} ngx_optcache_postgres_part_t;


/*
 * Each step is begun when the one before it is done, and while one is under
 * way nothing else is begun.
 */

struct ngx_optcache_postgres_s {
    ngx_optcache_postgres_shm_t       *shm;
    ngx_slab_pool_t                   *shpool;
    ngx_pgsql_conn_t                  *conn;
    ngx_optcache_teller_t             *teller;
    ngx_event_t                        timer;
    ngx_log_t                         *log;

    /* when to do so again, in ms of ngx_redis_tracking_now() */

    uint64_t                           look;
    uint64_t                           cleanup;
    uint64_t                           probe;    /* 0: it is over */
    uint64_t                           suspect;  /* 0: of nothing */

    ngx_optcache_postgres_position_t   position; /* on this connection */
    u_char                             cleaned[NGX_OPTCACHE_POSTGRES_NUMBER];
    u_char                             token[NGX_OPTCACHE_POSTGRES_TOKEN + 1];

    /* the look under way */

    u_char                             now[NGX_OPTCACHE_POSTGRES_SNAPSHOT];
    u_char                             bound[NGX_OPTCACHE_POSTGRES_SNAPSHOT];
    u_char                             xact[NGX_OPTCACHE_POSTGRES_NUMBER];
    u_char                             digest[NGX_OPTCACHE_POSTGRES_DIGEST];
    ngx_optcache_postgres_row_t        row;
    ngx_uint_t                         rows;
    ngx_uint_t                         odd;
    ngx_uint_t                         waiting;  /* for Redis */
    ngx_optcache_postgres_part_t       parts[NGX_OPTCACHE_POSTGRES_PAGE];
    uint64_t                           kept_since;  /* ms, if kept */

    unsigned                           up:1;
    unsigned                           greeted:1;
    unsigned                           busy:1;
    unsigned                           notified:1;
    unsigned                           woken:1;  /* the look, by that */
    unsigned                           full:1;   /* the page */
    unsigned                           first:1;  /* nothing was read before */
    unsigned                           kept:1;   /* rows are, and was logged */
};


/* Begins the next chain, unless one is under way. */

void ngx_optcache_postgres_next(ngx_optcache_postgres_t *op);

/* The next step of a chain, or the first. */

void ngx_optcache_postgres_query(ngx_optcache_postgres_t *op,
    const char *text, ngx_uint_t n, ngx_str_t *params,
    ngx_pgsql_result_pt handler);

/*
 * Copies a value with a NUL if it is made of digits, also hexadecimal ones,
 * and what is between numbers; else returns NGX_DECLINED.
 */

ngx_int_t ngx_optcache_postgres_copy(u_char *buf, size_t size,
    PGresult *result, ngx_uint_t row, ngx_uint_t column);

/* Whether a column of the first row is true. */

ngx_uint_t ngx_optcache_postgres_flag(PGresult *result, ngx_uint_t column);

/* What was copied, as a parameter. */

void ngx_optcache_postgres_text(ngx_str_t *text, u_char *buf);

/* A new state; and whether notifications come, which is logged. */

void ngx_optcache_postgres_state(ngx_optcache_postgres_t *op,
    ngx_uint_t state);
void ngx_optcache_postgres_deaf(ngx_optcache_postgres_t *op, ngx_uint_t deaf);

/*
 * Writes the position to shared memory: who is killed on the way leaves that of
 * before.
 */

void ngx_optcache_postgres_save(ngx_optcache_postgres_t *op);


/* _hello.c: before anything else; op->greeted is set in the end */

void ngx_optcache_postgres_hello(ngx_optcache_postgres_t *op);

/* What was told on a channel: whether it was the probe. */

ngx_uint_t ngx_optcache_postgres_probed(ngx_optcache_postgres_t *op,
    const char *channel, const char *payload);


/* _rows.c: tells of all rows that are new */

void ngx_optcache_postgres_look(ngx_optcache_postgres_t *op);

/* Tells that all is invalidated, by a name for that, ended by a NUL. */

void ngx_optcache_postgres_tell_all(ngx_optcache_postgres_t *op,
    u_char *name);

/* Nobody waits for Redis any more. */

void ngx_optcache_postgres_abandon(ngx_optcache_postgres_t *op);


#endif /* _NGX_OPTCACHE_POSTGRES_CHAIN_H_INCLUDED_ */
