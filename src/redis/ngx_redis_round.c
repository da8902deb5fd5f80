
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_round.h"
#include "ngx_redis_sentinel.h"


static ngx_int_t ngx_redis_round_target(ngx_redis_round_t *round);
static ngx_int_t ngx_redis_round_resolve(ngx_redis_round_t *round);
static void ngx_redis_round_resolve_handler(ngx_resolver_ctx_t *ctx);


void
ngx_redis_round_init(ngx_redis_round_t *round, ngx_redis_targets_t *targets,
    ngx_redis_conf_t *conf, void (*handler)(void *data), void *data)
{
    round->targets = targets;
    round->conf = conf;
    round->handler = handler;
    round->data = data;
}


void
ngx_redis_round_start(ngx_redis_round_t *round)
{
    /* the first step is to the current target */

    round->target = round->targets->current + round->targets->nelts - 1;
    round->targets_left = round->targets->nelts;
    round->addrs_left = 0;

    if (round->targets->sentinel) {
        round->targets_left = ngx_redis_sentinel_count(
                                                    round->targets->sentinel);
        round->master = 0;
        round->asked = 0;
    }
}


ngx_int_t
ngx_redis_round_next(ngx_redis_round_t *round, ngx_addr_t **addr)
{
    ngx_redis_target_t  *t;

    while (round->addrs_left == 0) {

        if (round->targets_left == 0) {
            return NGX_DONE;
        }

        if (ngx_redis_round_target(round) == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    t = &round->targets->elts[round->target];

    /* they may be others, and fewer, than at the last step */

    round->addrs_left--;
    round->addr = (round->addr + 1) % t->naddrs;

    *addr = &t->addrs[round->addr];

    return NGX_OK;
}


static ngx_int_t
ngx_redis_round_target(ngx_redis_round_t *round)
{
    round->targets_left--;
    round->target = (round->target + 1) % round->targets->nelts;

    if (round->targets->sentinel) {
        ngx_redis_sentinel_wait(round->targets->sentinel, round,
                                round->asked);
        round->asked = 1;

        return NGX_AGAIN;
    }

    return ngx_redis_round_resolve(round);
}


static ngx_int_t
ngx_redis_round_resolve(ngx_redis_round_t *round)
{
    ngx_int_t            rc;
    ngx_redis_target_t  *t;

    t = &round->targets->elts[round->target];

    round->within = 1;

    rc = ngx_redis_target_resolve(t, round->conf, &round->resolving,
                                  ngx_redis_round_resolve_handler, round);
    round->within = 0;

    if (rc == NGX_AGAIN && round->resolving) {
        return NGX_AGAIN;
    }

    round->addrs_left = t->naddrs;
    round->addr = t->first + t->naddrs - 1;

    return NGX_OK;
}


static void
ngx_redis_round_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_redis_round_t   *round;
    ngx_redis_target_t  *t;

    round = ctx->data;
    t = &round->targets->elts[round->target];

    ngx_redis_target_resolved(t, ctx, round->targets->log);

    round->resolving = NULL;

    ngx_resolve_name_done(ctx);

    if (round->within) {
        return;
    }

    round->addrs_left = t->naddrs;
    round->addr = t->first + t->naddrs - 1;

    round->handler(round->data);
}


void
ngx_redis_round_told(ngx_redis_round_t *round, ngx_int_t rc)
{
    ngx_uint_t  master;

    if (rc != NGX_OK) {
        round->targets_left = 0;
        round->handler(round->data);
        return;
    }

    master = ngx_redis_sentinel_master(round->targets->sentinel);

    if (round->master == master) {

        /* it has failed in this round, another sentinel may know better */

        round->handler(round->data);
        return;
    }

    round->master = master;

    if (ngx_redis_round_resolve(round) == NGX_OK) {
        round->handler(round->data);
    }
}


ngx_redis_server_t *
ngx_redis_round_server(ngx_redis_round_t *round)
{
    return round->targets->elts[round->target % round->targets->nelts].server;
}


void
ngx_redis_round_stay(ngx_redis_round_t *round)
{
    round->targets->current = round->target;
    round->targets->elts[round->target].first = round->addr;
    round->targets->left = 0;
}


ngx_int_t
ngx_redis_round_leave(ngx_redis_round_t *round)
{
    ngx_redis_target_t  *t;

    if (round->targets->sentinel) {

        /* they are asked each time, there is nothing to remember */

        if (round->targets->left) {
            return NGX_DECLINED;
        }

        round->targets->left = 1;

        return NGX_OK;
    }

    t = &round->targets->elts[round->target];

    if (round->targets->current != round->target || t->first != round->addr) {
        return NGX_DECLINED;
    }

    t->first++;

    if (t->first >= t->naddrs) {
        t->first = 0;
        round->targets->current = (round->target + 1) % round->targets->nelts;
    }

    return NGX_OK;
}


void
ngx_redis_round_cancel(ngx_redis_round_t *round)
{
    if (round->resolving) {
        ngx_resolve_name_done(round->resolving);
        round->resolving = NULL;
    }

    if (round->waiting) {
        ngx_queue_remove(&round->queue);
        round->waiting = 0;
    }
}
