
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One request upstream for each key of all hosts with one Redis.  Who leads on
 * its host (ngx_http_optcache_lock.h) takes a lease of the key there, which
 * ends by itself when it is not renewed:
 *
 *     <prefix>l:{<name of the entry>}    32 hex digits: who has it
 *                                        u: the answer is uncacheable
 *
 * With the question whether it may have the lease goes another, for the entry:
 * what was stored since it has looked is found then.
 *
 *     taken        it goes upstream, and renews the lease until the answer is
 *                  stored; the end of the lease is sent behind the entry
 *     another's    it waits until it is told that the lease has changed
 *                  (ngx_optcache_watch.h) or that ought to have ended, and
 *                  then does the same again
 *     uncacheable  all of the host go upstream
 *
 * Nobody waits for others when Redis has not answered just before, or does not
 * tell of changes.
 */


#ifndef _NGX_HTTP_OPTCACHE_LEASE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_optcache_lock.h"
#include "ngx_rare.h"


#define NGX_HTTP_OPTCACHE_LEASE_TIME   1000   /* ms */
#define NGX_HTTP_OPTCACHE_LEASE_RENEW  400    /* ms */
#define NGX_HTTP_OPTCACHE_LEASE_TOKEN  32     /* hex digits */

#define NGX_HTTP_OPTCACHE_LEASE_LEAST  50     /* ms that others are left it */

/* an answer of Redis: n ms that another one has the lease for, or */
#define NGX_HTTP_OPTCACHE_LEASE_TAKEN        0
#define NGX_HTTP_OPTCACHE_LEASE_UNCACHEABLE  -1


typedef enum {
    NGX_HTTP_OPTCACHE_LEASE_NONE = 0,   /* it does without */
    NGX_HTTP_OPTCACHE_LEASE_ASKED,
    NGX_HTTP_OPTCACHE_LEASE_LEADS,
    NGX_HTTP_OPTCACHE_LEASE_OTHER,      /* another one leads */
    NGX_HTTP_OPTCACHE_LEASE_PASSED,     /* the answer is uncacheable */
    NGX_HTTP_OPTCACHE_LEASE_TOLD        /* it has waited */
} ngx_http_optcache_lease_state_e;


/* from the pool of its request */

struct ngx_http_optcache_lease_s {
    ngx_queue_t                       queue;     /* of who waits */
    ngx_event_t                       timer;     /* to look, or to renew */
    ngx_http_request_t               *request;
    ngx_http_optcache_ctx_t          *ctx;
    ngx_redis_client_t               *client;
    ngx_optcache_watch_t             *watch;
    ngx_redis_command_t              *command;   /* take or renew */
    ngx_http_optcache_lease_state_e   state;

    ngx_str_t                         name;
    u_char                           *identity;  /* that the name is of */
    uint64_t                          hash;      /* of the name */
    uint64_t                          note;      /* before it was asked */
    u_char                            token[NGX_HTTP_OPTCACHE_LEASE_TOKEN];

    ngx_uint_t                        times;     /* that it was asked */
    ngx_msec_t                        asked;     /* when it was */
    ngx_msec_t                        until;     /* another one has it */
    ngx_msec_t                        deadline;  /* to wait */

    unsigned                          stalls:1;  /* for the answer */
    unsigned                          waits:1;   /* for another one */
    unsigned                          waited:1;
    unsigned                          over:1;
};


/*
 * To be called when the configuration is read, and for each process and its
 * end: omcf->watch is NULL if no location needs it.  NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lease_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);
ngx_int_t ngx_http_optcache_lease_init_process(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf);
void ngx_http_optcache_lease_exit_process(
    ngx_http_optcache_main_conf_t *omcf);

/*
 * To be called, each time the phases are run, behind ngx_http_optcache_lock():
 * for a request that has found nothing, or that has a lease.  NGX_OK: go on, by
 * ctx->found; NGX_AGAIN: wait, the phases are run again; NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lease(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * What became of the answer, told by the lock of this host; what is stored in
 * Redis must have been sent there.  The first word counts.
 */

void ngx_http_optcache_lease_release(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome);

/* The handler of its pool's cleanup, by which a request's leases are found. */

void ngx_http_optcache_lease_cleanup(void *data);


/* ngx_http_optcache_lease_wait.c */

/* To be called once in each process. */

void ngx_http_optcache_lease_wait_init(void);

/*
 * Waits while another one has the lease; then the state is TOLD.  Returns as
 * ngx_http_optcache_lease(): NGX_OK if it must not wait, or no longer.
 */

ngx_rare ngx_int_t ngx_http_optcache_lease_wait(ngx_http_request_t *r,
    ngx_http_optcache_lease_t *ls);

/* Waits no more, nor is it resumed. */

void ngx_http_optcache_lease_end_wait(ngx_http_optcache_lease_t *ls);

/* Runs the phases of a request again that has begun to wait. */

void ngx_http_optcache_lease_resume(ngx_http_optcache_lease_t *ls);

/* Called in a worker that is woken: see ngx_waker.h, reasons are lists. */

void ngx_http_optcache_lease_wake(uint64_t reasons);


/* ngx_http_optcache_lease_redis.c */

/*
 * The name of the lease of ctx->key, in the request's pool; NGX_ERROR when out
 * of memory.
 */

ngx_int_t ngx_http_optcache_lease_name(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *name);

/* Makes a token that no other fetch has; NGX_ERROR if there is no chance. */

ngx_int_t ngx_http_optcache_lease_token(u_char *token);

/*
 * Asks for the lease: the integer that Redis answers is one of the above.
 * NULL: Redis is not asked.
 */

ngx_redis_command_t *ngx_http_optcache_lease_take(ngx_redis_client_t *client,
    ngx_str_t *name, u_char *token, ngx_redis_reply_pt handler, void *data);

/* Renews the lease: 1, or 0 if it is not one's own any more. */

ngx_redis_command_t *ngx_http_optcache_lease_renew(ngx_redis_client_t *client,
    ngx_str_t *name, u_char *token, ngx_redis_reply_pt handler, void *data);

/*
 * Ends the lease if it is one's own; "uncacheable" (ms) more than 0: it says
 * so for as long; "large" tells that what was stored went by the connection of
 * large commands, which it is not to overtake.  Nobody waits for an answer.
 */

void ngx_http_optcache_lease_end(ngx_redis_client_t *client, ngx_str_t *name,
    u_char *token, ngx_msec_t uncacheable, ngx_uint_t large);


#endif /* _NGX_HTTP_OPTCACHE_LEASE_H_INCLUDED_ */
