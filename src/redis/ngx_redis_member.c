
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_member.h"
#include "ngx_text.h"


static ngx_int_t ngx_redis_member_endpoint(ngx_redis_member_t *member,
    ngx_redis_endpoint_t *endpoint);
static void ngx_redis_member_name(ngx_redis_member_t *member,
    ngx_str_t *name);
static ngx_int_t ngx_redis_member_server(ngx_redis_member_t *member,
    ngx_redis_conf_t *conf);
static ngx_int_t ngx_redis_member_copy(ngx_pool_t *pool, ngx_str_t *to,
    ngx_str_t *from);


ngx_redis_member_t *
ngx_redis_member_create(ngx_redis_endpoint_t *endpoint,
    ngx_redis_conf_t *conf, ngx_redis_stats_t *stats, ngx_log_t *log,
    ngx_redis_node_handlers_t *handlers, void *data)
{
    ngx_pool_t          *pool;
    ngx_redis_node_t    *node;
    ngx_redis_member_t  *member;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NULL;
    }

    member = ngx_pcalloc(pool, sizeof(ngx_redis_member_t));
    if (member == NULL) {
        goto failed;
    }

    member->pool = pool;

    member->conf = *conf;
    member->conf.servers.elts = &member->server;
    member->conf.servers.nelts = 1;
    member->conf.servers.nalloc = 1;

    if (ngx_redis_member_endpoint(member, endpoint) != NGX_OK
        || ngx_redis_member_server(member, conf) != NGX_OK)
    {
        goto failed;
    }

    node = &member->node;

    node->conf = &member->conf;
    node->stats = stats;
    node->log = log;
    node->handlers = handlers;
    node->data = data;

    if (ngx_redis_node_init(node, pool) != NGX_OK) {
        goto failed;
    }

    return member;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_redis_member_endpoint(ngx_redis_member_t *member,
    ngx_redis_endpoint_t *endpoint)
{
    member->endpoint.port = endpoint->port;

    if (ngx_redis_member_copy(member->pool, &member->endpoint.host,
                              &endpoint->host)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_redis_member_name(member, &endpoint->name);

    return NGX_OK;
}


/* zero terminated, for OpenSSL; the map takes no longer ones */

static void
ngx_redis_member_name(ngx_redis_member_t *member, ngx_str_t *name)
{
    ngx_str_t  *own;

    own = &member->endpoint.name;

    own->data = member->name;
    own->len = 0;

    if (name->len <= NGX_REDIS_MAP_MAX_HOST) {
        (void) ngx_text_copy(own->data, name);
        own->len = name->len;
    }

    own->data[own->len] = '\0';
}


void
ngx_redis_member_rename(ngx_redis_member_t *member, ngx_str_t *name)
{
    if (name->len == 0
        || (name->len == member->endpoint.name.len
            && ngx_memcmp(name->data, member->name, name->len) == 0))
    {
        return;
    }

    ngx_redis_member_name(member, name);

#if (NGX_SSL)
    if (member->conf.tls_name.len == 0) {
        member->server.tls_name = member->endpoint.name;
        member->server.tls_ip = 0;
    }
#endif
}


/* what a URL would have said; the rest is as in the first one that does */

static ngx_int_t
ngx_redis_member_server(ngx_redis_member_t *member, ngx_redis_conf_t *conf)
{
    u_char              *p;
    ngx_int_t            rc;
    ngx_redis_server_t  *server, *seed;

    server = &member->server;
    seed = conf->servers.elts;

    server->url = seed->url;
    server->url.host = member->endpoint.host;
    server->url.port = member->endpoint.port;
    server->url.db = 0;

    server->text.data = ngx_pnalloc(member->pool, server->url.host.len
                                    + sizeof("rediss://[]:65535") - 1);
    if (server->text.data == NULL) {
        return NGX_ERROR;
    }

    p = server->text.data;

    if (ngx_strlchr(server->url.host.data,
                    server->url.host.data + server->url.host.len, ':'))
    {
        p = ngx_sprintf(p, "%s://[%V]:%d", seed->url.tls ? "rediss" : "redis",
                        &server->url.host, (int) server->url.port);

    } else {
        p = ngx_sprintf(p, "%s://%V:%d", seed->url.tls ? "rediss" : "redis",
                        &server->url.host, (int) server->url.port);
    }

    server->text.len = p - server->text.data;

#if (NGX_SSL)

    /*
     * The certificate is for the name that was configured, or the one that
     * the cluster tells of the server, or that of the seed; if the seed is
     * known by its address, servers are.
     */

    server->tls_name = seed->tls_name;
    server->tls_ip = seed->tls_ip;

    if (conf->tls_name.len == 0) {

        if (member->endpoint.name.len) {
            server->tls_name = member->endpoint.name;
            server->tls_ip = 0;

        } else if (seed->tls_ip
                   || !ngx_redis_map_address(&member->endpoint.host))
        {
            server->tls_name = member->endpoint.host;
            server->tls_ip = ngx_redis_map_address(&member->endpoint.host);
        }
    }

#endif

    rc = ngx_parse_addr(member->pool, &member->addr, server->url.host.data,
                        server->url.host.len);

    if (rc == NGX_DECLINED) {
        server->named = 1;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_inet_set_port(member->addr.sockaddr, server->url.port);

    /* what an address is called in the log: without the scheme */

    member->addr.name = server->text;
    member->addr.name.data += seed->url.tls ? 9 : 8;
    member->addr.name.len -= seed->url.tls ? 9 : 8;

    server->addrs = &member->addr;
    server->naddrs = 1;

    return NGX_OK;
}


/* zero terminated, for OpenSSL */

static ngx_int_t
ngx_redis_member_copy(ngx_pool_t *pool, ngx_str_t *to, ngx_str_t *from)
{
    u_char  *p;

    to->len = from->len;
    to->data = ngx_pnalloc(pool, from->len + 1);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_text_copy(to->data, from);
    *p = '\0';

    return NGX_OK;
}


void
ngx_redis_member_free(ngx_redis_member_t *member)
{
    ngx_redis_node_close(&member->node);

    ngx_destroy_pool(member->pool);
}


ngx_uint_t
ngx_redis_member_is(ngx_redis_member_t *member,
    ngx_redis_endpoint_t *endpoint)
{
    ngx_str_t  *host;

    if (member->endpoint.port != endpoint->port) {
        return 0;
    }

    host = &member->endpoint.host;

    if (host->len == endpoint->host.len
        && ngx_strncasecmp(host->data, endpoint->host.data, host->len) == 0)
    {
        return 1;
    }

    host = &member->endpoint.name;

    return host->len
           && host->len == endpoint->host.len
           && ngx_strncasecmp(host->data, endpoint->host.data, host->len) == 0;
}
