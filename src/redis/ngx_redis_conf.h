
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a "..._redis_server" directive said.  Seen by the client and the
 * connection only; read-only once the configuration is read.
 */


#ifndef _NGX_REDIS_CONF_H_INCLUDED_
#define _NGX_REDIS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"
#include "ngx_redis_url.h"


#define NGX_REDIS_CONF_TIMEOUT          50       /* ms */
#define NGX_REDIS_CONF_CONNECT_TIMEOUT  200      /* ms, with TLS and greeting */
#define NGX_REDIS_CONF_MAX_REPLY        1048576


/* one URL */

typedef struct {
    ngx_str_t           text;            /* as configured, for logs */
    ngx_redis_url_t     url;
    ngx_addr_t         *addrs;           /* found at configuration time */
    ngx_uint_t          naddrs;          /* 0: the name was not found */

#if (NGX_SSL)
    ngx_str_t           tls_name;        /* to verify, zero terminated */
#endif

    unsigned            named:1;         /* the host is a name to resolve */
    unsigned            tls_ip:1;        /* tls_name is an address */
} ngx_redis_server_t;


struct ngx_redis_conf_s {
    ngx_str_t           directive;
    ngx_array_t         servers;         /* of ngx_redis_server_t */
    ngx_str_t           sentinel;        /* the master's name; not empty: the
                                            servers are sentinels */
    ngx_str_t           password;        /* never logged */

    ngx_uint_t          connections;     /* of each worker */
    ngx_uint_t          large;           /* 1: one more for what is large */
    ngx_msec_t          connect_timeout;
    ngx_msec_t          timeout;
    size_t              max_reply;       /* bytes */
    ngx_uint_t          max_elements;    /* of a reply's arrays */

    ngx_resolver_t     *resolver;        /* NULL: none */
    ngx_msec_t          resolver_timeout;

    ngx_str_t           tls_name;        /* empty: the host of the URL */
    ngx_str_t           tls_ca;          /* empty: what the system trusts */
    ngx_flag_t          tls_verify;
    ngx_flag_t          cluster;         /* the servers are seeds */
#if (NGX_SSL)
    ngx_ssl_t          *ssl;             /* NULL: no rediss:// URL */
#endif
};


#endif /* _NGX_REDIS_CONF_H_INCLUDED_ */
