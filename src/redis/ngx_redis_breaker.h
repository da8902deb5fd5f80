
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The circuit breaker of one Redis client: a state machine without a clock,
 * a timer or a connection.  "now" is ngx_current_msec and may wrap around.
 *
 *     CLOSED --- failures in a row, or told to open ---> OPEN
 *     OPEN   --- a probe was answered -----------------> CLOSED, or TRIAL
 *     TRIAL  --- a command was answered ---------------> CLOSED
 *     TRIAL  --- a command failed ---------------------> OPEN
 *
 * TRIAL is where a server goes that answers probes but refuses the work, as a
 * replica does: the outage is over when a command succeeds, not before.
 */


#ifndef _NGX_REDIS_BREAKER_H_INCLUDED_
#define _NGX_REDIS_BREAKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_REDIS_BREAKER_FAILURES  5      /* in a row */
#define NGX_REDIS_BREAKER_MIN_WAIT  100    /* ms */
#define NGX_REDIS_BREAKER_MAX_WAIT  2000   /* ms */
#define NGX_REDIS_BREAKER_CALM      10000  /* ms, closed: then wait is reset */


typedef enum {
    NGX_REDIS_BREAKER_CLOSED = 0,
    NGX_REDIS_BREAKER_OPEN,
    NGX_REDIS_BREAKER_TRIAL
} ngx_redis_breaker_state_e;


typedef struct {
    ngx_redis_breaker_state_e  state;
    ngx_uint_t                 failures;   /* in a row */
    ngx_msec_t                 opened;     /* when the outage began */
    ngx_msec_t                 closed;     /* when the last one ended */
    ngx_msec_t                 wait;       /* before the next probe */

    unsigned                   refused:1;  /* opened by refusals */
    unsigned                   outages:1;  /* there was one: closed is set */
} ngx_redis_breaker_t;


/* A zeroed breaker is closed and ready; there is no init function. */

/*
 * A command failed.  Returns NGX_OK when this began an outage (to be logged),
 * else NGX_DECLINED.
 */

ngx_int_t ngx_redis_breaker_failed(ngx_redis_breaker_t *b, ngx_msec_t now);

/*
 * Opens at once; "refused" says that the server answers but does not serve.
 * Returns as ngx_redis_breaker_failed().
 */

ngx_int_t ngx_redis_breaker_open(ngx_redis_breaker_t *b, ngx_msec_t now,
    ngx_uint_t refused);

/*
 * A command was answered in time.  Returns NGX_OK when this ended an outage
 * that began at b->opened, else NGX_DECLINED.
 */

ngx_int_t ngx_redis_breaker_succeeded(ngx_redis_breaker_t *b, ngx_msec_t now);

/* A probe was answered.  Returns as ngx_redis_breaker_succeeded(). */

ngx_int_t ngx_redis_breaker_probed(ngx_redis_breaker_t *b, ngx_msec_t now);

/*
 * The milliseconds to wait before the next probe, to be asked once for each:
 * doubles up to a maximum.  "random" spreads the probes of many workers over
 * the second half of that time.
 */

ngx_msec_t ngx_redis_breaker_delay(ngx_redis_breaker_t *b, ngx_uint_t random);


#endif /* _NGX_REDIS_BREAKER_H_INCLUDED_ */
