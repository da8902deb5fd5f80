
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_node.h"


static void ngx_redis_large_answered(ngx_redis_node_t *node,
    ngx_redis_server_t *server);
static void ngx_redis_large_failed(ngx_redis_node_t *node,
    ngx_redis_server_t *server, ngx_redis_result_e result);


ngx_uint_t
ngx_redis_large_takes(ngx_redis_node_t *node, ngx_uint_t large)
{
    ngx_redis_large_t  *lg;

    lg = &node->large;

    if (large != NGX_REDIS_LARGE_READ
        || lg->breaker.state == NGX_REDIS_BREAKER_CLOSED)
    {
        return 1;
    }

    if ((ngx_msec_int_t) (lg->next - ngx_current_msec) > 0) {
        return 0;
    }

    /* another one when this has failed, or when nobody waits for it any more */

    lg->next = ngx_current_msec + node->conf->timeout
               + NGX_REDIS_BREAKER_MAX_WAIT;

    (void) ngx_redis_breaker_probed(&lg->breaker, ngx_current_msec);

    return 1;
}


ngx_uint_t
ngx_redis_large_apart(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe)
{
    return node->conf->large
           && pipe == &node->pipes[node->npipes - 1]
           && ngx_redis_node_state(node) == NGX_REDIS_UP;
}


void
ngx_redis_large_ended(ngx_redis_node_t *node, ngx_redis_pipe_t *pipe,
    ngx_redis_command_t *cmd, ngx_redis_result_e result)
{
    ngx_redis_server_t  *server;

    if (cmd->large != NGX_REDIS_LARGE_READ) {
        return;
    }

    server = ngx_redis_round_server(&pipe->conn.round);

    if (result == NGX_REDIS_REPLY) {
        ngx_redis_large_answered(node, server);

    } else if (ngx_redis_large_apart(node, pipe)) {
        ngx_redis_large_failed(node, server, result);
    }
}


static void
ngx_redis_large_answered(ngx_redis_node_t *node, ngx_redis_server_t *server)
{
    ngx_redis_breaker_t  *b;

    b = &node->large.breaker;

    if (ngx_redis_breaker_succeeded(b, ngx_current_msec) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, node->log, 0,
                      "redis \"%V\" of \"%V\" gives large values again "
                      "after %Mms",
                      &server->text, &node->conf->directive,
                      b->closed - b->opened);
    }
}


static void
ngx_redis_large_failed(ngx_redis_node_t *node, ngx_redis_server_t *server,
    ngx_redis_result_e result)
{
    ngx_int_t             rc;
    ngx_redis_breaker_t  *b;

    b = &node->large.breaker;

    if (b->state == NGX_REDIS_BREAKER_OPEN) {
        /* it was asked for before */
        return;
    }

    rc = ngx_redis_breaker_failed(b, ngx_current_msec);

    if (b->state == NGX_REDIS_BREAKER_OPEN) {
        /* as after a refusal, only what is wanted itself ends it */
        b->refused = 1;

        node->large.next = ngx_current_msec
                           + ngx_redis_breaker_delay(b, ngx_random());
    }

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, node->log, 0,
                      "redis \"%V\" of \"%V\" gives no large values: %s",
                      &server->text, &node->conf->directive,
                      (result == NGX_REDIS_TIMEOUT)
                      ? "no reply in time" : "the connection was lost");
    }
}
