
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A connection to one of the configured addresses, or to the master that
 * sentinels name: resolves, connects, greets (AUTH, SELECT, PING), carries
 * bytes out and whole replies in.  It knows nothing of commands.
 *
 *     IDLE -> RESOLVING -> CONNECTING -> SECURING -> GREETING -> UP -> IDLE
 *
 * A round ends with up() or, when there is no other address, with lost().
 */


#ifndef _NGX_REDIS_CONN_H_INCLUDED_
#define _NGX_REDIS_CONN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_redis_conf.h"
#include "ngx_redis_reply.h"
#include "ngx_redis_round.h"


typedef enum {
    NGX_REDIS_CONN_IDLE = 0,
    NGX_REDIS_CONN_RESOLVING,
    NGX_REDIS_CONN_CONNECTING,
    NGX_REDIS_CONN_SECURING,
    NGX_REDIS_CONN_GREETING,
    NGX_REDIS_CONN_UP
} ngx_redis_conn_state_e;


/*
 * Called from event handlers only.  Any of them may close the connection and
 * open it again.
 */

typedef struct {
    /* greeted: commands may be written */
    void                    (*up)(void *data);

    /*
     * A reply, which lives until the callee returns.  NGX_ERROR when nothing
     * was asked, which closes the connection.
     */
    ngx_int_t               (*reply)(void *data, redisReply *reply);

    /* all that was readable has been read */
    void                    (*quiet)(void *data);

    /* more can be written */
    void                    (*writable)(void *data);

    /*
     * The connection is IDLE: it was up and has been lost, or all addresses
     * have failed.  The reason is conn->reason.
     */
    void                    (*lost)(void *data, ngx_uint_t was_up);
} ngx_redis_conn_handlers_t;


typedef struct {
    ngx_redis_conn_state_e    state;
    ngx_connection_t         *connection;
    ngx_uint_t                generation;  /* counts closes */

    ngx_redis_conf_t         *conf;
    ngx_redis_stats_t        *stats;
    ngx_redis_round_t         round;       /* the address it is at */

    ngx_redis_reader_t        reader;
    ngx_uint_t                words;       /* greeted, not answered yet */

    u_char                   *out;         /* NGX_REDIS_CONN_OUT bytes */
    u_char                   *pos;         /* what is left to be written */
    u_char                   *last;

    ngx_msec_t                established; /* when it came up */
    ngx_msec_t                heard;       /* when bytes came last */
    uint64_t                  clock;       /* the same, finer: .._metrics.h */

    ngx_event_t               timer;       /* until it is up */
    ngx_log_t                 log;
    ngx_uint_t                log_level;
    ngx_str_t                 peer;        /* address, for the log */
    u_char                    peer_text[NGX_SOCKADDR_STRLEN];
    uint64_t                  server;      /* a hash of that */
    ngx_str_t                 reason;      /* why it failed, printable */
    u_char                    text[192];   /* of the reason */

    ngx_redis_conn_handlers_t  *handlers;
    void                     *data;

    ngx_queue_t               queue;       /* of the sentinel's connections */

    unsigned                  sentinel:1;  /* this is to one: it has no
                                              databases, and is sent the
                                              password when it asks for it */
    unsigned                  authed:1;    /* ... and was */
    unsigned                  moved:1;     /* lost for another master */
} ngx_redis_conn_t;


/* the bytes that leave in one write at most */

#define NGX_REDIS_CONN_OUT  65536

/* the bytes of a reply of a sentinel, which tells a host and a port */

#define NGX_REDIS_CONN_SENTINEL_REPLY  4096


/*
 * Prepares a zeroed connection.  Memory is taken from the pool.  "log" is
 * what is logged to, with the connection's own action and peer.
 */

ngx_int_t ngx_redis_conn_init(ngx_redis_conn_t *conn, ngx_redis_conf_t *conf,
    ngx_redis_targets_t *targets, ngx_pool_t *pool, ngx_log_t *log);

/*
 * Starts a round, if IDLE.  May call lost() before it returns.  "quiet" keeps
 * nginx's own messages about failed attempts out of the log.
 */

void ngx_redis_conn_open(ngx_redis_conn_t *conn, ngx_uint_t quiet);

/* Closes without calling anything. */

void ngx_redis_conn_close(ngx_redis_conn_t *conn);

/*
 * Closes for a reason, in the manner of ngx_log_error(); when it was not up
 * yet, the round goes on.
 */

void ngx_redis_conn_fail(ngx_redis_conn_t *conn, ngx_err_t err,
    const char *fmt, ...);

/* Closes for a reason and goes on with the round, even if it is up. */

void ngx_redis_conn_skip(ngx_redis_conn_t *conn, const char *fmt, ...);

/* The same from lost(), to which the reason is known. */

void ngx_redis_conn_go_on(ngx_redis_conn_t *conn);

/*
 * The master is another: begins anew, whatever the state.  lost() is called
 * if the connection was up, with conn->moved set: nothing has failed.
 */

void ngx_redis_conn_move(ngx_redis_conn_t *conn, const char *fmt, ...);


/* ngx_redis_conn_io.c */

/*
 * Writes conn->pos .. conn->last.  NGX_OK when all is written and the buffer
 * is empty again, NGX_AGAIN when writable() is going to be called, NGX_ERROR
 * after lost() was called.
 */

ngx_int_t ngx_redis_conn_write(ngx_redis_conn_t *conn);

/*
 * Reads what has come; calls reply(), quiet() or lost().  Of what is much the
 * rest is read in the next turns of the event loop: it is being read then.
 */

void ngx_redis_conn_read(ngx_redis_conn_t *conn);
ngx_uint_t ngx_redis_conn_reading(ngx_redis_conn_t *conn);

/* the handlers of the connection's events */

void ngx_redis_conn_read_handler(ngx_event_t *rev);
void ngx_redis_conn_write_handler(ngx_event_t *wev);


/* The steps of getting up, as events tell of them. */

void ngx_redis_conn_connected(ngx_redis_conn_t *conn);
void ngx_redis_conn_secured(ngx_redis_conn_t *conn);
void ngx_redis_conn_greeted(ngx_redis_conn_t *conn, redisReply *reply);


#endif /* _NGX_REDIS_CONN_H_INCLUDED_ */
