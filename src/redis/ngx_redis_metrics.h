
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a client of Redis counts: in a worker, since that was started, and,
 * once ngx_redis_client_metrics() was called, in a block of a host's counters,
 * too.  All nodes of a cluster, and whichever is the master, count as one.
 *
 * Latencies are of commands that were answered in time, with an error or not:
 * from being handed to the connection until bytes came that the reply ended
 * in, on a clock that never goes back.  That is read once for all that leaves
 * in one write, and once for all that comes in one read.
 */


#ifndef _NGX_REDIS_METRICS_H_INCLUDED_
#define _NGX_REDIS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_metrics.h"


/* of latencies */
#define NGX_REDIS_METRICS_BOUNDS  12


typedef enum {
    NGX_REDIS_METRICS_COMMANDS = 0,  /* accepted */
    NGX_REDIS_METRICS_REJECTED,      /* not accepted */
    NGX_REDIS_METRICS_REPLIES,       /* from here as ngx_redis_result_e */
    NGX_REDIS_METRICS_ERRORS,
    NGX_REDIS_METRICS_TIMEOUTS,
    NGX_REDIS_METRICS_CLOSED,
    NGX_REDIS_METRICS_WRITES,        /* system calls */
    NGX_REDIS_METRICS_CONNECTS,      /* connections that came up */
    NGX_REDIS_METRICS_OUTAGES,       /* times a breaker opened */
    NGX_REDIS_METRICS_USEC,          /* the sum of latencies, microseconds */
    NGX_REDIS_METRICS_LATENCY,       /* so many up to the first bound, and so
                                        on; the last one is of all above */
    NGX_REDIS_METRICS = NGX_REDIS_METRICS_LATENCY + NGX_REDIS_METRICS_BOUNDS
                        + 1
} ngx_redis_metrics_e;


/* zeroed at first; never reset */

typedef struct {
    uint64_t                  counters[NGX_REDIS_METRICS];
    ngx_metrics_block_t      *block;      /* of the host; NULL: none */
} ngx_redis_stats_t;


/* microseconds, ascending: NGX_REDIS_METRICS_BOUNDS of them */

extern const uint64_t  ngx_redis_metrics_bounds[];


/* Counts one of ngx_redis_metrics_e. */

void ngx_redis_metrics_count(ngx_redis_stats_t *stats, ngx_uint_t i);

/* Microseconds of CLOCK_MONOTONIC. */

uint64_t ngx_redis_metrics_clock(void);

/* Counts the latency of a command that was sent and answered then. */

void ngx_redis_metrics_latency(ngx_redis_stats_t *stats, uint64_t sent,
    uint64_t answered);


#endif /* _NGX_REDIS_METRICS_H_INCLUDED_ */
