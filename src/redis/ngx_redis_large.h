
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The connection of large values, and a breaker of its own for those that a
 * request waits for: a server may answer all that is small, and give no large
 * value, as where a path drops long packets.  That is no outage, but must not
 * cost each request its timeout.
 *
 *     five in a row had no reply    none is asked for, and requests do without
 *     now and then                  one is, by whichever request comes next
 *     it has a reply                all are again
 *
 * What is stored is sent all the same: nobody waits for that, and it tells
 * nothing of the way back.
 */


#ifndef _NGX_REDIS_LARGE_H_INCLUDED_
#define _NGX_REDIS_LARGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_breaker.h"
#include "ngx_redis_command.h"
#include "ngx_redis_pipe.h"


/* of a command; 0: it is not large */
#define NGX_REDIS_LARGE_SENT  1    /* it may be */
#define NGX_REDIS_LARGE_READ  2    /* its reply may be, which is waited for */


/* of a node; zeroed, it is ready */

typedef struct {
    ngx_redis_breaker_t       breaker;
    ngx_msec_t                next;    /* when one is asked for, if not closed */
} ngx_redis_large_t;


/* Whether a command may be sent, by what is large about it. */

ngx_uint_t ngx_redis_large_takes(ngx_redis_node_t *node, ngx_uint_t large);

/*
 * Whether a pipe is that of large values, and others are up, by which one
 * sees whether the server answers.
 */

ngx_uint_t ngx_redis_large_apart(ngx_redis_node_t *node,
    ngx_redis_pipe_t *pipe);

/*
 * A command is about to end, or to go elsewhere, with this result: counts it if
 * it is one of NGX_REDIS_LARGE_READ, and tells, once, of the beginning and of
 * the end.
 */

void ngx_redis_large_ended(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, ngx_redis_result_e result);


#endif /* _NGX_REDIS_LARGE_H_INCLUDED_ */
