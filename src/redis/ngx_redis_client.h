
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A client of one Redis, one per worker and "..._redis_server" directive.
 * Commands sent within one turn of the event loop leave in one write; replies
 * are matched in order; each command has a deadline; a circuit breaker stops
 * asking a server that does not answer and probes it back to life.
 *
 * hiredis parses replies, nginx carries the bytes.
 */


#ifndef _NGX_REDIS_CLIENT_H_INCLUDED_
#define _NGX_REDIS_CLIENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>

#include "ngx_redis_breaker.h"
#include "ngx_redis_metrics.h"


/* a longer argument is never taken, bytes: the command has others, too */
#define NGX_REDIS_CLIENT_MAX  (32 * 1024 * 1024 - 4096)


typedef struct ngx_redis_conf_s     ngx_redis_conf_t;
typedef struct ngx_redis_client_s   ngx_redis_client_t;
typedef struct ngx_redis_command_s  ngx_redis_command_t;


/* how a command ended */

typedef enum {
    NGX_REDIS_REPLY = 0,     /* a whole reply that is not an error */
    NGX_REDIS_REFUSED,       /* a whole error reply, see reply->str */
    NGX_REDIS_TIMEOUT,       /* no reply before the deadline */
    NGX_REDIS_CLOSED         /* connection lost, or not understood */
} ngx_redis_result_e;


/* what a client is doing, for status pages and logs */

typedef enum {
    NGX_REDIS_IDLE = 0,      /* not connected, nothing known against it */
    NGX_REDIS_CONNECTING,
    NGX_REDIS_UP,
    NGX_REDIS_DOWN           /* the breaker is open */
} ngx_redis_state_e;


/*
 * "reply" is NULL for TIMEOUT and CLOSED, and is freed by the client when the
 * handler returns.  Called exactly once for every command that was accepted
 * and not abandoned, never from inside ngx_redis_client_send().  The handler
 * may send further commands, finalize requests and abandon other commands.
 */

typedef void (*ngx_redis_reply_pt)(void *data, ngx_redis_result_e result,
    redisReply *reply);


/*
 * Parses the arguments of a "..._redis_server" directive, as the "set"
 * handler of an NGX_CONF_1MORE directive:
 *
 *     URL [URL ...] [password_file=PATH] [connections=N] [connect_timeout=T]
 *     [timeout=T] [tls_verify=on|off] [tls_ca=FILE] [tls_name=NAME]
 *
 * Several URLs are tried in turn until one accepts.  Everything is allocated
 * from cf->pool.  Returns NGX_CONF_OK, or NGX_CONF_ERROR after logging the
 * directive, the value and what was expected.
 */

char *ngx_redis_conf_parse(ngx_conf_t *cf, ngx_redis_conf_t **conf);

/*
 * A number that tells servers, with their database, from others by what the
 * directive says of them, in whatever order; the same if they are the same.
 */

uint64_t ngx_redis_conf_servers(ngx_redis_conf_t *conf);

/*
 * Gives the client the resolver that host names are resolved with after
 * start-up (once per reconnect).  Without one the addresses found while the
 * configuration was read stay.  Optional; call it before init_process.
 */

void ngx_redis_conf_resolver(ngx_redis_conf_t *conf, ngx_resolver_t *resolver,
    ngx_msec_t timeout);

/*
 * Limits the bytes of one reply; a longer one is a protocol error and closes
 * the connection.  Default 1m.  Not a promise about any reply being shorter.
 */

void ngx_redis_conf_max_reply(ngx_redis_conf_t *conf, size_t max);

/*
 * Creates the client of this worker (init_process) and starts to connect.
 * It lives in cycle->pool.  Returns NULL when out of memory.
 */

ngx_redis_client_t *ngx_redis_client_create(ngx_cycle_t *cycle,
    ngx_redis_conf_t *conf);

/*
 * Closes connections and timers (exit_process); no handler is called any
 * more.
 */

void ngx_redis_client_close(ngx_redis_client_t *client);

/*
 * Sends a command: it leaves at the end of this turn of the event loop, or as
 * soon as the connection is up.  The arguments are copied and may hold any
 * bytes.  argv[key] is the key, by which a cluster would find the node; pass
 * 0 when there is none.
 *
 * Returns NULL when the command is not accepted (breaker open, queue full,
 * out of memory): the handler will not be called and the caller degrades at
 * once.  The command returned belongs to the client; it stays valid until its
 * handler is called or it is abandoned.
 *
 * Without a handler nobody waits: the reply is dropped, and a worker that is
 * to exit does not stay for it.  The command returned is not to be kept then.
 */

ngx_redis_command_t *ngx_redis_client_send(ngx_redis_client_t *client,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key,
    ngx_redis_reply_pt handler, void *data);

/*
 * The same for a command that is large: it has a connection of its own, made
 * when there is something to send, if the client was told to have one before
 * its creation.  Commands here and there are in no order.  "read": the reply may
 * be large, and is waited for; NULL, too, while none comes (ngx_redis_large.h).
 */

void ngx_redis_conf_large(ngx_redis_conf_t *conf);

ngx_redis_command_t *ngx_redis_client_send_large(ngx_redis_client_t *client,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key,
    ngx_redis_reply_pt handler, void *data);
ngx_redis_command_t *ngx_redis_client_read_large(ngx_redis_client_t *client,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key,
    ngx_redis_reply_pt handler, void *data);

/*
 * The caller is going away: the reply will be read and dropped, the handler
 * is not called.
 */

void ngx_redis_command_abandon(ngx_redis_command_t *cmd);

/* The caller is going away, and somebody else waits: another handler. */

void ngx_redis_command_hand(ngx_redis_command_t *cmd,
    ngx_redis_reply_pt handler, void *data);

/*
 * 1 if it was not answered by the server that it was sent to first, but by
 * another of a cluster, or at a later time.  To be asked from its handler.
 */

ngx_uint_t ngx_redis_command_sent_on(ngx_redis_command_t *cmd);

/*
 * A number that stands for the server that has answered, by the address that
 * was connected to, as in ngx_redis_tracking.h.  To be asked from the handler,
 * for a reply; else it may be 0.
 */

uint64_t ngx_redis_command_server(ngx_redis_command_t *cmd);

/*
 * The hash slot of a key when the client is of a cluster: one command may
 * only have keys of one slot.  NGX_DECLINED when it is of one server, where
 * all keys may be in one command.
 */

ngx_int_t ngx_redis_client_slot(ngx_redis_client_t *client, ngx_str_t *key);

/*
 * Counts, from 1, the times that what servers remembered may have been lost
 * or have fallen back: a connection that was up was lost, or the keys of a
 * slot are with another server than before.  Never less than it was; it is to
 * be compared with what it was when something was learned from Redis.
 */

ngx_uint_t ngx_redis_client_era(ngx_redis_client_t *client);

/* The state, and whether send() would be accepted now. */

ngx_redis_state_e ngx_redis_client_state(ngx_redis_client_t *client);

/* The breaker; of a cluster, that of the master that is worst off. */

ngx_redis_breaker_state_e ngx_redis_client_breaker(
    ngx_redis_client_t *client);

/*
 * The counters of this worker, ngx_redis_metrics_e, which live as long as the
 * client.
 */

ngx_redis_stats_t *ngx_redis_client_stats(ngx_redis_client_t *client);

/*
 * Counts in a block of NGX_REDIS_METRICS counters of the host, too, from now
 * on and what was counted before; to be called once.
 */

void ngx_redis_client_metrics(ngx_redis_client_t *client,
    ngx_metrics_block_t *block);


#endif /* _NGX_REDIS_CLIENT_H_INCLUDED_ */
