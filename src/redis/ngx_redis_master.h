
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Where the master is, as a sentinel tells: the reply to
 * SENTINEL GET-MASTER-ADDR-BY-NAME, which is not trusted a byte.
 *
 * Pure: replies and addresses, no connection.
 */


#ifndef _NGX_REDIS_MASTER_H_INCLUDED_
#define _NGX_REDIS_MASTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_reply.h"


#define NGX_REDIS_MASTER_MAX_NAME  255   /* of "sentinel=" */
#define NGX_REDIS_MASTER_MAX_HOST  253   /* RFC 1035, as text */


typedef struct {
    size_t                    len;       /* of the host; 0: not known */
    u_char                    host[NGX_REDIS_MASTER_MAX_HOST + 1];
                                         /* zero terminated, without [] */
    in_port_t                 port;

    unsigned                  named:1;   /* the host is a name to resolve */
} ngx_redis_master_t;


/* room for the address of a master */

typedef struct {
    ngx_addr_t                addr;
    ngx_sockaddr_t            sockaddr;
    u_char                    text[NGX_SOCKADDR_STRLEN];
} ngx_redis_master_addr_t;


/* 1 if that may be the name of a master: printable bytes without a space. */

ngx_uint_t ngx_redis_master_name_valid(ngx_str_t *name);

/*
 * Takes the master out of a sentinel's reply, which must be an array of two
 * bulk strings: an address or a host name, and a port from 1 to 65535.
 * NGX_OK, or NGX_ERROR with *err set to a static string for the log.
 */

ngx_int_t ngx_redis_master_parse(redisReply *reply, ngx_redis_master_t *m,
    const char **err);

/* 1 if both are the same host, by its text, and port. */

ngx_uint_t ngx_redis_master_equal(ngx_redis_master_t *a,
    ngx_redis_master_t *b);

/* The address of a master that is not named. */

void ngx_redis_master_addr(ngx_redis_master_t *m,
    ngx_redis_master_addr_t *addr);


#endif /* _NGX_REDIS_MASTER_H_INCLUDED_ */
