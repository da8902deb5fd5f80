
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_master.h"
#include "ngx_redis_url.h"


static ngx_int_t ngx_redis_master_parse_host(redisReply *reply,
    ngx_redis_master_t *m);
static ngx_uint_t ngx_redis_master_numeric(ngx_str_t *host);
static ngx_int_t ngx_redis_master_parse_port(redisReply *reply,
    ngx_redis_master_t *m);


ngx_uint_t
ngx_redis_master_name_valid(ngx_str_t *name)
{
    size_t  i;

    if (name->len == 0 || name->len > NGX_REDIS_MASTER_MAX_NAME) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        if (name->data[i] <= ' ' || name->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_redis_master_parse(redisReply *reply, ngx_redis_master_t *m,
    const char **err)
{
    ngx_memzero(m, sizeof(ngx_redis_master_t));

    if (ngx_redis_reply_nil(reply)) {
        *err = "does not know a master of this name";
        return NGX_ERROR;
    }

    if (ngx_redis_reply_array(reply, 2) != NGX_OK) {
        *err = "does not tell where the master is";
        return NGX_ERROR;
    }

    if (ngx_redis_master_parse_host(reply->element[0], m) != NGX_OK) {
        *err = "tells an invalid address of the master";
        return NGX_ERROR;
    }

    if (ngx_redis_master_parse_port(reply->element[1], m) != NGX_OK) {
        *err = "tells an invalid port of the master";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_master_parse_host(redisReply *reply, ngx_redis_master_t *m)
{
    ngx_str_t   host;
    ngx_uint_t  ipv6;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    host.data = (u_char *) reply->str;
    host.len = reply->len;

    if (host.len == 0 || host.len > NGX_REDIS_MASTER_MAX_HOST) {
        return NGX_ERROR;
    }

    ipv6 = (ngx_strlchr(host.data, host.data + host.len, ':') != NULL);

    if (!ngx_redis_url_host_valid(&host, ipv6)) {
        return NGX_ERROR;
    }

    if (!ipv6 && ngx_inet_addr(host.data, host.len) == INADDR_NONE) {

        if (ngx_redis_master_numeric(&host)) {
            return NGX_ERROR;
        }

        m->named = 1;
    }

    ngx_memcpy(m->host, host.data, host.len);
    m->len = host.len;

    return NGX_OK;
}


/* a name that ends in a number is an address that is none: 10.0.0.300 */

static ngx_uint_t
ngx_redis_master_numeric(ngx_str_t *host)
{
    u_char  *p;

    for (p = host->data + host->len; p > host->data && p[-1] != '.'; p--) {
        if (p[-1] < '0' || p[-1] > '9') {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_redis_master_parse_port(redisReply *reply, ngx_redis_master_t *m)
{
    ngx_int_t  port;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING
        || reply->len > sizeof("65535") - 1)
    {
        return NGX_ERROR;
    }

    port = ngx_atoi((u_char *) reply->str, reply->len);

    if (port < 1 || port > 65535 || reply->str[0] == '0') {
        return NGX_ERROR;
    }

    m->port = (in_port_t) port;

    return NGX_OK;
}


ngx_uint_t
ngx_redis_master_equal(ngx_redis_master_t *a, ngx_redis_master_t *b)
{
    return a->port == b->port
           && a->len == b->len
           && ngx_strncasecmp(a->host, b->host, a->len) == 0;
}


void
ngx_redis_master_addr(ngx_redis_master_t *m, ngx_redis_master_addr_t *addr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(&addr->sockaddr, sizeof(ngx_sockaddr_t));

    addr->addr.sockaddr = &addr->sockaddr.sockaddr;

    sin = &addr->sockaddr.sockaddr_in;
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = ngx_inet_addr(m->host, m->len);
    addr->addr.socklen = sizeof(struct sockaddr_in);

#if (NGX_HAVE_INET6)

    if (ngx_strlchr(m->host, m->host + m->len, ':')) {
        ngx_memzero(&addr->sockaddr, sizeof(ngx_sockaddr_t));

        sin6 = &addr->sockaddr.sockaddr_in6;
        sin6->sin6_family = AF_INET6;
        (void) ngx_inet6_addr(m->host, m->len, sin6->sin6_addr.s6_addr);
        addr->addr.socklen = sizeof(struct sockaddr_in6);
    }

#endif

    ngx_inet_set_port(addr->addr.sockaddr, m->port);

    addr->addr.name.data = addr->text;
    addr->addr.name.len = ngx_sock_ntop(addr->addr.sockaddr,
                                        addr->addr.socklen, addr->text,
                                        NGX_SOCKADDR_STRLEN, 1);
}
