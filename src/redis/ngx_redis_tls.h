
/*
 * Copyright (C) The Optcache authors
 */


/*
 * rediss://: TLS 1.2 and up, with the certificate chain and the host name
 * verified unless "tls_verify=off".  Compiled in only if nginx has SSL.
 */


#ifndef _NGX_REDIS_TLS_H_INCLUDED_
#define _NGX_REDIS_TLS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_conf.h"
#include "ngx_redis_conn.h"


/*
 * Prepares conf->ssl and the names to verify, when the configuration is read;
 * without a rediss:// URL it only checks that no tls_... parameter is there.
 * NGX_CONF_OK, or NGX_CONF_ERROR after logging.
 */

char *ngx_redis_tls_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf);


#if (NGX_SSL)

/* Handshakes; then ngx_redis_conn_secured() or ngx_redis_conn_fail(). */

void ngx_redis_tls_connect(ngx_redis_conn_t *conn, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server);

/* Frees what TLS added to a connection that is to be closed; never waits. */

void ngx_redis_tls_close(ngx_connection_t *c);

#endif


#endif /* _NGX_REDIS_TLS_H_INCLUDED_ */
