
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_target.h"
#include "ngx_redis_sentinel.h"


/* more are not tried one after the other */
#define NGX_REDIS_TARGET_MAX_ADDRS  32

/* a name server is waited for so long when there are addresses to try */
#define NGX_REDIS_TARGET_PATIENCE   1000  /* ms */


static ngx_int_t ngx_redis_target_copy(ngx_addr_t *addr,
    ngx_resolver_addr_t *found, in_port_t port, ngx_pool_t *pool);


ngx_int_t
ngx_redis_targets_init(ngx_redis_targets_t *targets, ngx_redis_conf_t *conf,
    ngx_pool_t *pool, ngx_log_t *log)
{
    if (conf->sentinel.len == 0) {
        return ngx_redis_targets_urls(targets, conf->servers.elts,
                                      conf->servers.nelts, pool, log);
    }

    targets->elts = ngx_pcalloc(pool, sizeof(ngx_redis_target_t));
    if (targets->elts == NULL) {
        return NGX_ERROR;
    }

    targets->nelts = 1;
    targets->log = log;

    targets->sentinel = ngx_redis_sentinel_create(conf, targets->elts, pool,
                                                  log);

    return targets->sentinel ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_redis_targets_urls(ngx_redis_targets_t *targets,
    ngx_redis_server_t *server, ngx_uint_t n, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_uint_t           i;
    ngx_redis_target_t  *t;

    t = ngx_pcalloc(pool, n * sizeof(ngx_redis_target_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    targets->elts = t;
    targets->nelts = n;
    targets->log = log;

    for (i = 0; i < targets->nelts; i++) {
        t[i].server = &server[i];
        t[i].addrs = server[i].addrs;
        t[i].naddrs = server[i].naddrs;
    }

    return NGX_OK;
}


void
ngx_redis_targets_free(ngx_redis_targets_t *targets)
{
    ngx_uint_t  i;

    if (targets->sentinel) {
        ngx_redis_sentinel_close(targets->sentinel);
    }

    for (i = 0; i < targets->nelts; i++) {
        if (targets->elts[i].pool) {
            ngx_redis_target_forget(&targets->elts[i]);
        }
    }
}


ngx_uint_t
ngx_redis_targets_addrs(ngx_redis_targets_t *targets)
{
    ngx_uint_t  i, n;

    if (targets->sentinel) {
        return ngx_redis_sentinel_count(targets->sentinel) + 1;
    }

    n = 0;

    for (i = 0; i < targets->nelts; i++) {
        n += targets->elts[i].naddrs;
    }

    return n;
}


ngx_int_t
ngx_redis_target_resolve(ngx_redis_target_t *t, ngx_redis_conf_t *conf,
    ngx_resolver_ctx_t **ctxp, ngx_resolver_handler_pt handler, void *data)
{
    ngx_resolver_ctx_t  *ctx;

    if (!t->server->named || conf->resolver == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_exiting && t->naddrs) {
        return NGX_DECLINED;
    }

    ctx = ngx_resolve_start(conf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return NGX_DECLINED;
    }

    ctx->name = t->server->url.host;
    ctx->handler = handler;
    ctx->data = data;
    ctx->timeout = conf->resolver_timeout;

    if (t->naddrs) {
        ctx->timeout = ngx_min(ctx->timeout, NGX_REDIS_TARGET_PATIENCE);
    }

    ctx->cancelable = 1;

    /* the handler may be called from within, and finds it there */

    *ctxp = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        *ctxp = NULL;
        return NGX_DECLINED;
    }

    return NGX_AGAIN;
}


void
ngx_redis_target_resolved(ngx_redis_target_t *t, ngx_resolver_ctx_t *ctx,
    ngx_log_t *log)
{
    ngx_uint_t   i, n, first;
    ngx_addr_t  *addrs, *was;
    ngx_pool_t  *pool;

    n = ngx_min(ctx->naddrs, NGX_REDIS_TARGET_MAX_ADDRS);

    if (ctx->state || n == 0) {
        return;
    }

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return;
    }

    addrs = ngx_palloc(pool, n * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        goto failed;
    }

    was = t->naddrs ? &t->addrs[t->first % t->naddrs] : NULL;
    first = 0;

    for (i = 0; i < n; i++) {
        if (ngx_redis_target_copy(&addrs[i], &ctx->addrs[i],
                                  t->server->url.port, pool)
            != NGX_OK)
        {
            goto failed;
        }

        if (was && ngx_cmp_sockaddr(was->sockaddr, was->socklen,
                                    addrs[i].sockaddr, addrs[i].socklen, 1)
                   == NGX_OK)
        {
            first = i;
        }
    }

    if (t->pool) {
        ngx_destroy_pool(t->pool);
    }

    t->pool = pool;
    t->addrs = addrs;
    t->naddrs = n;
    t->first = first;

    return;

failed:

    ngx_destroy_pool(pool);
}


void
ngx_redis_target_forget(ngx_redis_target_t *t)
{
    if (t->pool) {
        ngx_destroy_pool(t->pool);
        t->pool = NULL;
    }

    t->addrs = NULL;
    t->naddrs = 0;
    t->first = 0;
}


static ngx_int_t
ngx_redis_target_copy(ngx_addr_t *addr, ngx_resolver_addr_t *found,
    in_port_t port, ngx_pool_t *pool)
{
    addr->socklen = found->socklen;
    addr->sockaddr = ngx_palloc(pool, found->socklen);

    if (addr->sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(addr->sockaddr, found->sockaddr, found->socklen);
    ngx_inet_set_port(addr->sockaddr, port);

    addr->name.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);
    if (addr->name.data == NULL) {
        return NGX_ERROR;
    }

    addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                   addr->name.data, NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}
