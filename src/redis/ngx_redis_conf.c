
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_conf_password.h"
#include "ngx_redis_cluster.h"
#include "ngx_redis_conf.h"
#include "ngx_redis_master.h"
#include "ngx_redis_reply.h"
#include "ngx_redis_sentinel.h"
#include "ngx_redis_tls.h"


#define NGX_REDIS_CONF_MAX_CONNECTIONS  64
#define NGX_REDIS_CONF_MAX_PASSWORD     4096


typedef struct {
    ngx_str_t     name;                  /* with the "=" */
    char       *(*set)(ngx_conf_t *cf, ngx_redis_conf_t *conf,
                       ngx_str_t *value);
} ngx_redis_conf_param_t;


static char *ngx_redis_conf_param(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *arg);
static ngx_uint_t ngx_redis_conf_mistyped(ngx_str_t *arg, ngx_str_t *name);
static void ngx_redis_conf_expected(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *name);
static char *ngx_redis_conf_server(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *arg);
static ngx_int_t ngx_redis_conf_addrs(ngx_conf_t *cf,
    ngx_redis_server_t *server);
static char *ngx_redis_conf_connections(ngx_conf_t *cf,
    ngx_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_redis_conf_connect_timeout(ngx_conf_t *cf,
    ngx_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_redis_conf_timeout(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value);
static char *ngx_redis_conf_password_file(ngx_conf_t *cf,
    ngx_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_redis_conf_sentinel(ngx_conf_t *cf,
    ngx_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_redis_conf_tls_verify(ngx_conf_t *cf,
    ngx_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_redis_conf_tls_ca(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value);
static char *ngx_redis_conf_tls_name(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value);


static ngx_redis_conf_param_t  ngx_redis_conf_params[] = {

    { ngx_string("password_file="), ngx_redis_conf_password_file },
    { ngx_string("connections="), ngx_redis_conf_connections },
    { ngx_string("connect_timeout="), ngx_redis_conf_connect_timeout },
    { ngx_string("timeout="), ngx_redis_conf_timeout },
    { ngx_string("tls_verify="), ngx_redis_conf_tls_verify },
    { ngx_string("tls_ca="), ngx_redis_conf_tls_ca },
    { ngx_string("tls_name="), ngx_redis_conf_tls_name },
    { ngx_string("sentinel="), ngx_redis_conf_sentinel },

    { ngx_null_string, NULL }
};


char *
ngx_redis_conf_parse(ngx_conf_t *cf, ngx_redis_conf_t **confp)
{
    char                *rv;
    ngx_str_t           *value;
    ngx_uint_t           i;
    ngx_redis_conf_t    *conf;
    ngx_redis_server_t  *server;

    if (*confp) {
        return "is duplicate";
    }

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_redis_conf_t));
    if (conf == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    conf->directive = value[0];
    conf->connections = NGX_CONF_UNSET_UINT;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->max_reply = NGX_REDIS_CONF_MAX_REPLY;
    conf->max_elements = NGX_REDIS_REPLY_MAX_ELEMENTS;
    conf->tls_verify = NGX_CONF_UNSET;

    if (ngx_array_init(&conf->servers, cf->pool, 2,
                       sizeof(ngx_redis_server_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_redis_conf_param(cf, conf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (conf->servers.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has no URL, expected \"redis://host\", "
                           "\"rediss://host\" or \"unix:/path\"", &value[0]);
        return NGX_CONF_ERROR;
    }

    rv = ngx_redis_sentinel_conf(cf, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_redis_cluster_conf(cf, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        if (ngx_redis_conf_addrs(cf, &server[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_conf_init_uint_value(conf->connections, 1);
    ngx_conf_init_msec_value(conf->connect_timeout,
                             NGX_REDIS_CONF_CONNECT_TIMEOUT);
    ngx_conf_init_msec_value(conf->timeout, NGX_REDIS_CONF_TIMEOUT);

    rv = ngx_redis_tls_conf(cf, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    *confp = conf;

    return NGX_CONF_OK;
}


static char *
ngx_redis_conf_param(ngx_conf_t *cf, ngx_redis_conf_t *conf, ngx_str_t *arg)
{
    ngx_str_t                name, value;
    ngx_redis_conf_param_t  *param;

    for (param = ngx_redis_conf_params; param->name.len; param++) {

        if (arg->len < param->name.len
            || ngx_strncmp(arg->data, param->name.data, param->name.len) != 0)
        {
            continue;
        }

        value.data = arg->data + param->name.len;
        value.len = arg->len - param->name.len;

        if (value.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "empty parameter \"%V\" in \"%V\"", arg,
                               &conf->directive);
            return NGX_CONF_ERROR;
        }

        return param->set(cf, conf, &value);
    }

    if (arg->len == 7 && ngx_strncmp(arg->data, "cluster", 7) == 0) {

        if (conf->cluster) {
            return "has duplicate \"cluster\"";
        }

        conf->cluster = 1;

        return NGX_CONF_OK;
    }

    if (ngx_redis_conf_mistyped(arg, &name)) {
        ngx_redis_conf_expected(cf, conf, &name);
        return NGX_CONF_ERROR;
    }

    return ngx_redis_conf_server(cf, conf, arg);
}


/* Whether it is no URL of any kind: these have a colon, "=" not before it. */

static ngx_uint_t
ngx_redis_conf_mistyped(ngx_str_t *arg, ngx_str_t *name)
{
    u_char  *colon, *equal, *last;

    last = arg->data + arg->len;
    colon = ngx_strlchr(arg->data, last, ':');
    equal = ngx_strlchr(arg->data, colon ? colon : last, '=');

    *name = *arg;

    if (equal) {
        /* the value is not shown, which may be a password */
        name->len = equal + 1 - arg->data;
        return 1;
    }

    return colon == NULL && ngx_strlchr(arg->data, last, '@') == NULL;
}


static void
ngx_redis_conf_expected(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *name)
{
    u_char                  *p, *last, text[NGX_MAX_CONF_ERRSTR / 2];
    ngx_redis_conf_param_t  *param;

    p = text;
    last = text + sizeof(text);

    for (param = ngx_redis_conf_params; param->name.len; param++) {
        p = ngx_slprintf(p, last, "\"%V\", ", &param->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\", expected %*s"
                       "\"cluster\" or a URL: \"redis://host\", "
                       "\"rediss://host\" or \"unix:/path\"",
                       name, &conf->directive, (size_t) (p - text), text);
}


static char *
ngx_redis_conf_server(ngx_conf_t *cf, ngx_redis_conf_t *conf, ngx_str_t *arg)
{
    u_char              *at;
    ngx_str_t            shown;
    const char          *err;
    ngx_redis_url_t      url;
    ngx_redis_server_t  *server;

    if (ngx_redis_url_parse(arg, &url, &err) != NGX_OK) {

        /* a password that should not be there is not shown, too */

        at = ngx_strlchr(arg->data, arg->data + arg->len, '@');

        shown.data = at ? at : arg->data;
        shown.len = arg->data + arg->len - shown.data;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%s%V\" in \"%V\": %s",
                           at ? "..." : "", &shown, &conf->directive, err);
        return NGX_CONF_ERROR;
    }

    server = ngx_array_push(&conf->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_redis_server_t));

    server->text = *arg;
    server->url = url;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_redis_conf_addrs(ngx_conf_t *cf, ngx_redis_server_t *server)
{
    size_t      len;
    u_char     *p;
    ngx_url_t   u;
    ngx_str_t  *host;

    host = &server->url.host;

    ngx_memzero(&u, sizeof(ngx_url_t));

    len = host->len + sizeof("unix:[]:65535");

    u.url.data = ngx_pnalloc(cf->pool, len);
    if (u.url.data == NULL) {
        return NGX_ERROR;
    }

    if (server->url.local) {
        p = ngx_sprintf(u.url.data, "unix:%V", host);

    } else if (ngx_strlchr(host->data, host->data + host->len, ':')) {
        p = ngx_sprintf(u.url.data, "[%V]:%d", host, (int) server->url.port);

    } else {
        p = ngx_sprintf(u.url.data, "%V:%d", host, (int) server->url.port);

        server->named = (ngx_inet_addr(host->data, host->len)
                         == INADDR_NONE);
    }

    u.url.len = p - u.url.data;

    if (ngx_parse_url(cf->pool, &u) == NGX_OK) {
        server->addrs = u.addrs;
        server->naddrs = u.naddrs;
        return NGX_OK;
    }

    if (!server->named) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                           u.err ? u.err : "invalid address", &server->text);
        return NGX_ERROR;
    }

    /*
     * A name server that does not answer must not keep nginx from starting:
     * the name is asked for again, or the Redis is down until it is known.
     */

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "%s in \"%V\"",
                       u.err ? u.err : "host not found", &server->text);

    return NGX_OK;
}


static char *
ngx_redis_conf_connections(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    ngx_int_t  n;

    if (conf->connections != NGX_CONF_UNSET_UINT) {
        return "has duplicate \"connections\"";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > NGX_REDIS_CONF_MAX_CONNECTIONS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid connections \"%V\" in \"%V\", "
                           "expected a number from 1 to %d",
                           value, &conf->directive,
                           NGX_REDIS_CONF_MAX_CONNECTIONS);
        return NGX_CONF_ERROR;
    }

    conf->connections = n;

    return NGX_CONF_OK;
}


static char *
ngx_redis_conf_msec(ngx_conf_t *cf, ngx_redis_conf_t *conf, ngx_str_t *value,
    const char *name, ngx_msec_t *msec)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR || n == 0 || n > 3600 * 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %s \"%V\" in \"%V\", "
                           "expected a time from 1ms to 1h",
                           name, value, &conf->directive);
        return NGX_CONF_ERROR;
    }

    /* whoever leaves the unit out of a time so short may mean milliseconds */

    if (value->data[value->len - 1] <= '9') {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%s=%V\" in \"%V\" is in seconds, "
                           "expected a unit: \"%Vms\" or \"%Vs\"",
                           name, value, &conf->directive, value, value);
    }

    *msec = n;

    return NGX_CONF_OK;
}


static char *
ngx_redis_conf_connect_timeout(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->connect_timeout != NGX_CONF_UNSET_MSEC) {
        return "has duplicate \"connect_timeout\"";
    }

    return ngx_redis_conf_msec(cf, conf, value, "connect_timeout",
                               &conf->connect_timeout);
}


static char *
ngx_redis_conf_timeout(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->timeout != NGX_CONF_UNSET_MSEC) {
        return "has duplicate \"timeout\"";
    }

    return ngx_redis_conf_msec(cf, conf, value, "timeout", &conf->timeout);
}


static char *
ngx_redis_conf_sentinel(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->sentinel.len) {
        return "has duplicate \"sentinel\"";
    }

    if (!ngx_redis_master_name_valid(value)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid sentinel \"%V\" in \"%V\", expected "
                           "the name of a master, of 1 to %d printable "
                           "bytes", value, &conf->directive,
                           NGX_REDIS_MASTER_MAX_NAME);
        return NGX_CONF_ERROR;
    }

    conf->sentinel = *value;

    return NGX_CONF_OK;
}


/* the first line of a file; the file's bytes are never logged */

static char *
ngx_redis_conf_password_file(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->password.data) {
        return "has duplicate \"password_file\"";
    }

    return ngx_conf_password(cf, value, NGX_REDIS_CONF_MAX_PASSWORD,
                             &conf->password);
}


static char *
ngx_redis_conf_tls_verify(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->tls_verify != NGX_CONF_UNSET) {
        return "has duplicate \"tls_verify\"";
    }

    if (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0) {
        conf->tls_verify = 1;
        return NGX_CONF_OK;
    }

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        conf->tls_verify = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid tls_verify \"%V\" in \"%V\", "
                       "expected \"on\" or \"off\"",
                       value, &conf->directive);

    return NGX_CONF_ERROR;
}


static char *
ngx_redis_conf_tls_ca(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->tls_ca.len) {
        return "has duplicate \"tls_ca\"";
    }

    conf->tls_ca = *value;

    return NGX_CONF_OK;
}


static char *
ngx_redis_conf_tls_name(ngx_conf_t *cf, ngx_redis_conf_t *conf,
    ngx_str_t *value)
{
    if (conf->tls_name.len) {
        return "has duplicate \"tls_name\"";
    }

    conf->tls_name = *value;

    return NGX_CONF_OK;
}


uint64_t
ngx_redis_conf_servers(ngx_redis_conf_t *conf)
{
    uint64_t             sum;
    ngx_uint_t           i;
    ngx_redis_url_t     *url;
    ngx_redis_server_t  *server;

    sum = XXH3_64bits(conf->sentinel.data, conf->sentinel.len);
    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        url = &server[i].url;

        sum += XXH3_64bits_withSeed(url->host.data, url->host.len,
                                    (uint64_t) url->db << 16 | url->port);
    }

    return sum;
}


void
ngx_redis_conf_resolver(ngx_redis_conf_t *conf, ngx_resolver_t *resolver,
    ngx_msec_t timeout)
{
    /* http{} without a "resolver" has one that knows no servers */

    if (resolver && resolver->connections.nelts) {
        conf->resolver = resolver;
        conf->resolver_timeout = timeout;
    }
}


void
ngx_redis_conf_max_reply(ngx_redis_conf_t *conf, size_t max)
{
    conf->max_reply = max;
}


void
ngx_redis_conf_large(ngx_redis_conf_t *conf)
{
    conf->large = 1;
}
