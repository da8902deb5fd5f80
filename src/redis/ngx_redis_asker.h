
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Asks one sentinel, by a connection that is kept: when it is told to, and
 * each second besides.  If its URL is a name of several addresses, it asks
 * them in turn until one tells.
 */


#ifndef _NGX_REDIS_ASKER_H_INCLUDED_
#define _NGX_REDIS_ASKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_conf.h"
#include "ngx_redis_conn.h"
#include "ngx_redis_master.h"
#include "ngx_redis_target.h"


#define NGX_REDIS_ASKER_INTERVAL  1000   /* ms, from an answer to the next
                                            question */


typedef struct {
    ngx_redis_sentinel_t     *sentinel;    /* all of them */
    ngx_redis_conf_t         *conf;

    ngx_redis_targets_t       targets;     /* this one */
    ngx_redis_conn_t          conn;
    ngx_redis_stats_t         stats;       /* of that, not of the client */

    ngx_redis_master_t        master;      /* what it told, if it did */
    ngx_event_t               timer;       /* for an answer, or a question */

    unsigned                  walking:1;   /* from address to address */
    unsigned                  asked:1;     /* an answer is due */
} ngx_redis_asker_t;


/* Prepares a zeroed asker, with memory from the pool. */

ngx_int_t ngx_redis_asker_init(ngx_redis_asker_t *a,
    ngx_redis_sentinel_t *sentinel, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server, ngx_pool_t *pool, ngx_log_t *log);

/* Closes, and asks no more until it is told to. */

void ngx_redis_asker_close(ngx_redis_asker_t *a);

/* Frees what it has found. */

void ngx_redis_asker_free(ngx_redis_asker_t *a);

/* Asks in a while, if it does not anyway. */

void ngx_redis_asker_start(ngx_redis_asker_t *a);

/*
 * Asks now: ngx_redis_sentinel_answered() will be called, maybe from within.
 * If it is asking already, that counts.
 */

void ngx_redis_asker_ask(ngx_redis_asker_t *a);

/* Not this address again, if there is another. */

void ngx_redis_asker_leave(ngx_redis_asker_t *a);


#endif /* _NGX_REDIS_ASKER_H_INCLUDED_ */
