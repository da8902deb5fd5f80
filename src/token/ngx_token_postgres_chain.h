
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the files of ngx_token_postgres.h share: the chains of steps that the
 * worker with the connection goes through.
 */


#ifndef _NGX_TOKEN_POSTGRES_CHAIN_H_INCLUDED_
#define _NGX_TOKEN_POSTGRES_CHAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_limiter_local.h"
#include "ngx_pgsql_query.h"
#include "ngx_token_postgres.h"


#define NGX_TOKEN_POSTGRES_TURN      50      /* ms, of the keeper */
#define NGX_TOKEN_POSTGRES_LOOK      1000    /* ms, if nothing is notified */
#define NGX_TOKEN_POSTGRES_FORBIDDEN 60000   /* ms, when it must not */

#define NGX_TOKEN_POSTGRES_SERVER    96      /* bytes, with a NUL */

/*
 * The run of a server, and the table: what snapshots mean something for.
 *
 * After a crash numbers of transactions are given away again, and if only a
 * process of it was killed, the server has still been started when it was; but
 * its statistics begin anew.  Before PostgreSQL 15 they had to be read from
 * a file.
 *
 * Without the trigger rows come with other numbers than those of who writes
 * them, as from a dump: when it is made, or was disabled, all are new.
 */
#define NGX_TOKEN_POSTGRES_WHO                                                \
    "pg_catalog.concat_ws('/',"                                               \
    " extract(epoch FROM pg_catalog.pg_postmaster_start_time()),"             \
    " CASE WHEN pg_catalog.current_setting('server_version_num')::integer"    \
    NGX_PGSQL_GE "150000 THEN extract(epoch FROM"                             \
    " pg_catalog.pg_stat_get_bgwriter_stat_reset_time()) END,"                \
    " (SELECT t.xmin FROM pg_catalog.pg_trigger AS t"                         \
    " WHERE t.tgrelid" NGX_PGSQL_EQ                                           \
    "'optcache.token_blacklist'::pg_catalog.regclass"                         \
    " AND t.tgname" NGX_PGSQL_EQ "'token_blacklist_stamp'),"                  \
    " (SELECT d.oid FROM pg_catalog.pg_database AS d"                         \
    " WHERE d.datname" NGX_PGSQL_EQ "pg_catalog.current_database()),"         \
    " 'optcache.token_blacklist'::pg_catalog.regclass::pg_catalog.oid)"


/*
 * A chain of steps: each is begun when the one before it is done, and while
 * one is under way nothing else is begun.
 */

struct ngx_token_postgres_s {
    ngx_token_postgres_shm_t *shm;
    ngx_slab_pool_t          *shpool;
    ngx_pgsql_conn_t         *conn;
    ngx_redis_client_t       *client;
    ngx_token_marker_t        marker;
    ngx_token_refill_t        refill;
    ngx_event_t               timer;
    ngx_log_t                *log;

    uint64_t                  look;      /* when to do so again */
    uint64_t                  retry;     /* not before this, either */
    uint64_t                  store;
    uint64_t                  expire;
    uint64_t                  refresh;
    uint64_t                  check;     /* the marker, or the cluster */
    ngx_uint_t                era;       /* of the cluster, then */

    u_char                    server[NGX_TOKEN_POSTGRES_SERVER];
    u_char                    identity[NGX_TOKEN_POSTGRES_IDENTITY];
    u_char                    last[NGX_TOKEN_POSTGRES_SNAPSHOT];
    u_char                    snapshot[NGX_TOKEN_POSTGRES_SNAPSHOT];
    u_char                    id[NGX_TOKEN_REFILL_NUMBER + 1];
    u_char                    xact[NGX_TOKEN_REFILL_NUMBER + 1];
    ngx_uint_t                limit;     /* rows of the next page */
    ngx_uint_t                written;   /* when the chain began */
    ngx_uint_t                ignored;
    ngx_token_queue_item_t    item;
    ngx_uint_t                refusals;  /* of items, in a row */

    ngx_msec_t                store_since;   /* .. of no_store */
    ngx_msec_t                expire_since;  /* .. of no_expire */

    unsigned                  up:1;
    unsigned                  greeted:1;
    unsigned                  busy:1;
    unsigned                  notified:1;
    unsigned                  synced:1;  /* the kept snapshot can be used */
    unsigned                  all:1;     /* the chain is of all rows */
    unsigned                  more:1;    /* the page was full */
    unsigned                  unread:1;  /* without keys, the next one */
    unsigned                  stored:1;  /* the last chain did */
    unsigned                  no_store:1;   /* it must not, which was */
    unsigned                  no_expire:1;  /* logged */
};


/*
 * ngx_token_postgres.c: begins the next chain, unless one is under way.
 * _again(): so it does after Redis failed, but not another of that kind before
 * a pause, in ms.
 */

void ngx_token_postgres_next(ngx_token_postgres_t *tp);
void ngx_token_postgres_again(ngx_token_postgres_t *tp, uint64_t pause);

/* The next step of a chain, or the first. */

void ngx_token_postgres_query(ngx_token_postgres_t *tp, const char *text,
    ngx_uint_t n, ngx_str_t *params, ngx_pgsql_result_pt handler);

/*
 * Writes "identity" and "snapshot" down for all workers: who is killed on the
 * way leaves those of before.
 */

void ngx_token_postgres_save(ngx_token_postgres_t *tp);

/*
 * Copies a value with a NUL if it is made of digits and what is between
 * numbers, else returns NGX_DECLINED.
 */

ngx_int_t ngx_token_postgres_copy(u_char *buf, size_t size, PGresult *result,
    ngx_uint_t row, ngx_uint_t column);

/* What was copied, as a parameter. */

void ngx_token_postgres_text(ngx_str_t *text, u_char *buf);


/* _rows.c: all rows to Redis, which has lost them; or those that are new */

void ngx_token_postgres_fill(ngx_token_postgres_t *tp);
void ngx_token_postgres_look(ngx_token_postgres_t *tp);


/*
 * _store.c: the first of the queue to the table, NGX_DECLINED if there is
 * none; expired rows out of it
 */

ngx_int_t ngx_token_postgres_store(ngx_token_postgres_t *tp);
void ngx_token_postgres_expire(ngx_token_postgres_t *tp);


#endif /* _NGX_TOKEN_POSTGRES_CHAIN_H_INCLUDED_ */
