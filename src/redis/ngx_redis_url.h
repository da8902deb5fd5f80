
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_REDIS_URL_H_INCLUDED_
#define _NGX_REDIS_URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t                 user;      /* empty: the default user */
    ngx_str_t                 host;      /* name, address or socket path;
                                            an IPv6 address without its [] */
    in_port_t                 port;      /* 6379 unless written; 0 for unix */
    ngx_uint_t                db;        /* 0 unless written */

    unsigned                  ported:1;  /* the port was written */
    unsigned                  tls:1;     /* rediss:// */
    unsigned                  local:1;   /* unix: */
} ngx_redis_url_t;


/*
 * Parses redis://[user@]host[:port][/db], rediss://... or unix:/path[:db].
 * Pure: the parts point into "text".  A password in the URL is refused, since
 * URLs end up in logs; it belongs to password_file=.
 *
 * Returns NGX_OK, or NGX_ERROR with *err set to a static C string that says
 * what is wrong.
 */

ngx_int_t ngx_redis_url_parse(ngx_str_t *text, ngx_redis_url_t *url,
    const char **err);

/*
 * 1 if that is a host name or an IPv4 address, or with "ipv6" an IPv6 address
 * without its [].
 */

ngx_uint_t ngx_redis_url_host_valid(ngx_str_t *host, ngx_uint_t ipv6);


#endif /* _NGX_REDIS_URL_H_INCLUDED_ */
