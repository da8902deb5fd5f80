
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_tls.h"


static ngx_uint_t ngx_redis_tls_wanted(ngx_redis_conf_t *conf);


#if (NGX_SSL)

static ngx_int_t ngx_redis_tls_context(ngx_conf_t *cf,
    ngx_redis_conf_t *conf);
static ngx_int_t ngx_redis_tls_trust(ngx_conf_t *cf, ngx_redis_conf_t *conf);
static void ngx_redis_tls_no_ca(ngx_conf_t *cf, ngx_redis_conf_t *conf);
static ngx_int_t ngx_redis_tls_name(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server);
static ngx_int_t ngx_redis_tls_expect(ngx_connection_t *c,
    ngx_redis_conf_t *conf, ngx_redis_server_t *server);
static void ngx_redis_tls_handshake_handler(ngx_connection_t *c);


char *
ngx_redis_tls_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_redis_server_t  *server;

    if (!ngx_redis_tls_wanted(conf)) {

        if (conf->tls_ca.len || conf->tls_name.len
            || conf->tls_verify != NGX_CONF_UNSET)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has a \"tls_\" parameter, "
                               "but no \"rediss://\" URL", &conf->directive);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    ngx_conf_init_value(conf->tls_verify, 1);

    if (ngx_redis_tls_context(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        if (server[i].url.tls
            && ngx_redis_tls_name(cf, conf, &server[i]) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_redis_tls_context(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    conf->ssl = ssl;

    /* what could not be written is offered again from another address */

    SSL_CTX_set_mode(ssl->ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (conf->tls_verify) {
        return ngx_redis_tls_trust(cf, conf);
    }

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "\"tls_verify=off\" in \"%V\": anybody may pose as "
                       "this Redis", &conf->directive);

    return NGX_OK;
}


static ngx_int_t
ngx_redis_tls_trust(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    /* the handshake fails: no byte is sent to a server that is not known */

    SSL_CTX_set_verify(conf->ssl->ctx, SSL_VERIFY_PEER, NULL);

    if (conf->tls_ca.len == 0) {

        if (SSL_CTX_set_default_verify_paths(conf->ssl->ctx) == 0) {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                          "SSL_CTX_set_default_verify_paths() failed");
            return NGX_ERROR;
        }

    } else {

        if (ngx_conf_full_name(cf->cycle, &conf->tls_ca, 1) != NGX_OK) {
            return NGX_ERROR;
        }

        if (SSL_CTX_load_verify_locations(conf->ssl->ctx,
                                          (char *) conf->tls_ca.data, NULL)
            == 0)
        {
            ngx_redis_tls_no_ca(cf, conf);
            return NGX_ERROR;
        }
    }

    /* both may leave errors in the queue while returning success */

    ERR_clear_error();

    return NGX_OK;
}


/* ngx_ssl_error() has no place in the configuration */

static void
ngx_redis_tls_no_ca(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    u_long       error;
    ngx_err_t    err;
    const char  *reason;

    err = 0;
    reason = NULL;
    error = ERR_peek_error();

    if (ERR_GET_LIB(error) == ERR_LIB_SYS) {
        err = ERR_GET_REASON(error);

    } else {
        reason = ERR_reason_error_string(error);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                       "could not load \"tls_ca\" \"%V\" in \"%V\"%s%s, "
                       "expected certificates in PEM",
                       &conf->tls_ca, &conf->directive,
                       reason ? ": " : "", reason ? reason : "");

    ERR_clear_error();
}


static ngx_int_t
ngx_redis_tls_name(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server)
{
    u_char           *p;
    ngx_str_t        *name;
#if (NGX_HAVE_INET6)
    struct in6_addr   in6;
#endif

    name = conf->tls_name.len ? &conf->tls_name : &server->url.host;

    server->tls_name.len = name->len;
    server->tls_name.data = ngx_pnalloc(cf->pool, name->len + 1);

    if (server->tls_name.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(server->tls_name.data, name->data, name->len);
    *p = '\0';

    if (ngx_inet_addr(name->data, name->len) != INADDR_NONE) {
        server->tls_ip = 1;
    }

#if (NGX_HAVE_INET6)
    if (ngx_inet6_addr(name->data, name->len, in6.s6_addr) == NGX_OK) {
        server->tls_ip = 1;
    }
#endif

    return NGX_OK;
}


void
ngx_redis_tls_connect(ngx_redis_conn_t *conn, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server)
{
    ngx_connection_t  *c;

    c = conn->connection;

    c->pool = ngx_create_pool(1024, c->log);
    if (c->pool == NULL) {
        ngx_redis_conn_fail(conn, 0, "out of memory");
        return;
    }

    if (ngx_ssl_create_connection(conf->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || ngx_redis_tls_expect(c, conf, server) != NGX_OK)
    {
        ngx_redis_conn_fail(conn, 0, "could not prepare TLS");
        return;
    }

    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_redis_tls_handshake_handler;
        return;
    }

    ngx_redis_tls_handshake_handler(c);
}


static ngx_int_t
ngx_redis_tls_expect(ngx_connection_t *c, ngx_redis_conf_t *conf,
    ngx_redis_server_t *server)
{
    char               *name;
    X509_VERIFY_PARAM  *param;

    name = (char *) server->tls_name.data;

    /* RFC 6066, 3: literal addresses are not permitted in "HostName" */

    if (!server->tls_ip
        && SSL_set_tlsext_host_name(c->ssl->connection, name) == 0)
    {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "SSL_set_tlsext_host_name(\"%s\") failed", name);
        return NGX_ERROR;
    }

    if (!conf->tls_verify) {
        return NGX_OK;
    }

    param = SSL_get0_param(c->ssl->connection);

    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);

    if (server->tls_ip) {
        if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) {
            return NGX_OK;
        }

    } else {
        if (X509_VERIFY_PARAM_set1_host(param, name, server->tls_name.len)
            == 1)
        {
            return NGX_OK;
        }
    }

    ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                  "could not expect a certificate for \"%s\"", name);

    return NGX_ERROR;
}


static void
ngx_redis_tls_handshake_handler(ngx_connection_t *c)
{
    long               rc;
    ngx_redis_conn_t  *conn;

    conn = c->data;
    rc = X509_V_OK;

    if (c->ssl->handshaked) {
        ngx_redis_conn_secured(conn);
        return;
    }

    if (conn->conf->tls_verify) {
        rc = SSL_get_verify_result(c->ssl->connection);
    }

    if (rc != X509_V_OK) {
        ngx_redis_conn_fail(conn, 0, "certificate of %V is not accepted: %s",
                            &conn->peer, X509_verify_cert_error_string(rc));
        return;
    }

    ngx_redis_conn_fail(conn, 0, "TLS handshake with %V failed",
                        &conn->peer);
}


void
ngx_redis_tls_close(ngx_connection_t *c)
{
    if (c->ssl) {
        /* Redis does not need to be told, and nothing is to be waited for */

        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }
}


#else


char *
ngx_redis_tls_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    if (conf->tls_ca.len || conf->tls_name.len
        || conf->tls_verify != NGX_CONF_UNSET
        || ngx_redis_tls_wanted(conf))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "TLS in \"%V\" requires nginx built with SSL",
                           &conf->directive);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


#endif


static ngx_uint_t
ngx_redis_tls_wanted(ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_redis_server_t  *server;

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        if (server[i].url.tls) {
            return 1;
        }
    }

    return 0;
}
