
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_round.h"


static ngx_int_t ngx_redis_round_target(ngx_redis_round_t *round);
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
    ngx_int_t            rc;
    ngx_redis_target_t  *t;

    round->targets_left--;
    round->target = (round->target + 1) % round->targets->nelts;

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
}


ngx_int_t
ngx_redis_round_leave(ngx_redis_round_t *round)
{
    ngx_redis_target_t  *t;

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
}
