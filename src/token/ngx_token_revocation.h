
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Asks whether a token is revoked, and revokes it.  A token is revoked when
 * any of its blacklist keys is there: in Redis, where any application may
 * write it, or in the shared memory of this host, which remembers what was
 * revoked through it.
 *
 * The payload of a slot of ngx_limiter_table.h, whose key is the SHA-256 of a
 * blacklist key:
 *
 *     0  until       8   ms of ngx_limiter_local_now()
 *     8  before      8   0
 *
 * or, with an 's' before it, of a key that holds a time
 *
 *     8  before      8   s since the epoch: refuses tokens issued before
 *
 * A table of its own has what is kept to save work, and can be found out again:
 * see ngx_token_watch.h and ngx_http_ratelimit_redis_token_read.c.  Whoever
 * sends tokens fills that one, and makes no revocation leave.
 *
 * Locks: the mutex of the zone's slab pool, never together with another.
 */


#ifndef _NGX_TOKEN_REVOCATION_H_INCLUDED_
#define _NGX_TOKEN_REVOCATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_table.h"
#include "ngx_redis_client.h"
#include "ngx_redis_refusal.h"
#include "ngx_token_digest.h"
#include "ngx_token_postgres.h"
#include "ngx_token_watch.h"


/* as configured for one location */
#define NGX_TOKEN_MAX_KEYS  8

/* bytes of a slot */
#define NGX_TOKEN_PAYLOAD   16


typedef enum {
    NGX_TOKEN_REVOCATION_CLEAR = 0,      /* not revoked; or, it now is */
    NGX_TOKEN_REVOCATION_REVOKED,
    NGX_TOKEN_REVOCATION_UNAVAILABLE     /* Redis did not answer */
} ngx_token_revocation_e;


typedef struct {
    ngx_slab_pool_t          *shpool;
    ngx_limiter_table_t      *table;     /* of revocations */
    ngx_limiter_table_t      *kept;
} ngx_token_zone_t;


typedef struct ngx_token_revocation_s  ngx_token_revocation_t;

typedef void (*ngx_token_revocation_pt)(void *data);

typedef struct {
    ngx_redis_command_t      *command;
    ngx_token_revocation_t   *revocation;
    ngx_uint_t                key;       /* its index */
    ngx_uint_t                era;       /* of the marker */
    u_char                    digest[NGX_TOKEN_DIGEST];    /* of it */
    ngx_token_watch_note_t    note;
    uint64_t                  server;    /* that has answered */
} ngx_token_question_t;


struct ngx_token_revocation_s {

    /* set by the caller */

    ngx_token_zone_t         *zone;
    ngx_redis_client_t       *client;    /* NULL without Redis */
    ngx_token_watch_t        *watch;     /* NULL: nothing is kept */
    ngx_token_postgres_t     *postgres;  /* NULL: none */
    ngx_redis_refusal_t      *refusal;   /* of the worker: of checks */
    ngx_redis_refusal_t      *revoking;  /* the same: of what revokes */
    ngx_str_t                *keys;
    ngx_uint_t                nkeys;     /* with the next */
    ngx_uint_t                since;     /* 1: the last key holds a time, and
                                            refuses tokens issued before it */
    int64_t                   issued;    /* s since the epoch; 0: not told */
    time_t                    ttl;       /* s, to revoke for */
    time_t                    before;    /* to revoke: 0, or all keys hold a
                                            time, which is to be this */
    ngx_pool_t               *pool;
    ngx_log_t                *log;
    ngx_token_revocation_pt   handler;
    void                     *data;

    /* the answer */

    ngx_token_revocation_e    result;

    /* private */

    ngx_uint_t                revoke;
    ngx_uint_t                pending;
    ngx_uint_t                nquestions;
    ngx_token_question_t     *questions; /* NULL: nobody was asked */
};


/*
 * Makes the zone's tables, or takes up those that are there.  Called by the
 * zone's init handler.  Errors are logged.
 */

ngx_int_t ngx_token_revocation_init(ngx_token_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log);

/*
 * Asks for all keys at once: EXISTS, and GET for the one that holds a time.
 * With PostgreSQL each is asked for together with the marker, without which
 * the answer is UNAVAILABLE: see ngx_token_marker.h.  Keys whose answer is
 * known and good are not asked for.  Returns NGX_OK when the answer is there,
 * NGX_AGAIN when the handler will be called once.
 */

ngx_int_t ngx_token_revocation_ask(ngx_token_revocation_t *revocation);

/*
 * Whether what was asked before answers another question: it was about the
 * same keys, in the same sense and of the same time of issue, and there was
 * an answer.
 */

ngx_uint_t ngx_token_revocation_answers(
    const ngx_token_revocation_t *revocation,
    const ngx_token_revocation_t *other);

/*
 * In _revocation_revoke.c.  Revokes: this host refuses the token when the
 * function returns, the others when the answer is CLEAR.  What lasts longer
 * already, or refuses more, stays.  PostgreSQL is told in its own time, but of
 * no times.  Returns as above.
 */

ngx_int_t ngx_token_revocation_revoke(ngx_token_revocation_t *revocation);

/*
 * Whether this host has revoked all that was issued before a time, under the
 * key of this digest, and the token is one of these.
 */

ngx_uint_t ngx_token_revocation_before(ngx_token_revocation_t *revocation,
    const u_char *digest);

/*
 * Nobody waits for the answer any more: the handler is not called.  What is to
 * be revoked is, though.
 */

void ngx_token_revocation_abandon(ngx_token_revocation_t *revocation);


/*
 * Between the two files: begins a question or a revocation, and sends the
 * command for one key.  NGX_DECLINED when there is no answer to wait for, and
 * the result is there.
 */

void ngx_token_revocation_begin(ngx_token_revocation_t *revocation,
    ngx_uint_t revoke);
ngx_int_t ngx_token_revocation_send(ngx_token_revocation_t *revocation,
    ngx_uint_t i, const u_char *digest, ngx_uint_t argc, ngx_str_t *argv);


#endif /* _NGX_TOKEN_REVOCATION_H_INCLUDED_ */
