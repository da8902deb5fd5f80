
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <netdb.h>

#include "ngx_pgsql_conf_params.h"


#define NGX_PGSQL_CONF_MAX_HOSTS  32


static ngx_int_t ngx_pgsql_conf_host(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *host, ngx_str_t *port, ngx_str_t *hosts, ngx_str_t *addrs,
    ngx_str_t *ports);
static ngx_uint_t ngx_pgsql_conf_split(const char *text, ngx_str_t *list);
static ngx_int_t ngx_pgsql_conf_join(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *list, const char *text, size_t len);
static const char *ngx_pgsql_conf_turn(ngx_pgsql_conf_ctx_t *ctx,
    const char *list);


/*
 * Each host becomes as many as it has addresses: of a host, an address and
 * a port libpq takes lists of the same length.
 */

char *
ngx_pgsql_conf_hosts(ngx_pgsql_conf_ctx_t *ctx)
{
    ngx_int_t    n;
    ngx_str_t    hosts[NGX_PGSQL_CONF_MAX_HOSTS];
    ngx_str_t    ports[NGX_PGSQL_CONF_MAX_HOSTS], list[3];
    ngx_uint_t   i, nhosts, nports;
    const char  *host, *port;

    host = ngx_pgsql_conf_get(ctx, "host");
    port = ngx_pgsql_conf_get(ctx, "port");

    nhosts = ngx_pgsql_conf_split(host ? host : "", hosts);
    nports = ngx_pgsql_conf_split(port ? port : "", ports);

    for (i = 0; i < nports; i++) {

        n = ngx_atoi(ports[i].data, ports[i].len);

        if (ports[i].len && (n < 1 || n > 65535)) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "invalid port \"%V\" in \"%V\"", &ports[i],
                               &ctx->conf->directive);
            return NGX_CONF_ERROR;
        }
    }

    if (host == NULL || ngx_pgsql_conf_get(ctx, "hostaddr")) {
        return NGX_CONF_OK;
    }

    if (nhosts == 0 || nports == 0 || (nports != 1 && nports != nhosts)) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "in \"%V\" there must be as many ports as hosts, "
                           "and at most %d", &ctx->conf->directive,
                           NGX_PGSQL_CONF_MAX_HOSTS);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(list, sizeof(list));

    for (i = 0; i < nhosts; i++) {
        if (ngx_pgsql_conf_host(ctx, &hosts[i],
                                &ports[nports == 1 ? 0 : i],
                                &list[0], &list[1], &list[2])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_pgsql_conf_set(ctx, "host", (char *) list[0].data) != NGX_OK
        || ngx_pgsql_conf_set(ctx, "hostaddr", (char *) list[1].data) != NGX_OK
        || ngx_pgsql_conf_set(ctx, "port", (char *) list[2].data) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_pgsql_conf_host(ngx_pgsql_conf_ctx_t *ctx, ngx_str_t *host,
    ngx_str_t *port, ngx_str_t *hosts, ngx_str_t *addrs, ngx_str_t *ports)
{
    int               rc;
    char              name[NI_MAXHOST], text[NI_MAXHOST];
    ngx_int_t         n;
    struct addrinfo   hints, *res, *a;

    (void) ngx_cpystrn((u_char *) name, host->data,
                       ngx_min(host->len + 1, sizeof(name)));

    if (host->len == 0 || name[0] == '/' || name[0] == '@') {
        /* a unix socket */

        n = ngx_pgsql_conf_join(ctx, hosts, (char *) host->data, host->len);

        if (n != NGX_OK
            || ngx_pgsql_conf_join(ctx, addrs, "", 0) != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_pgsql_conf_join(ctx, ports, (char *) port->data, port->len);
    }

    ngx_memzero(&hints, sizeof(struct addrinfo));

    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;

    if (getaddrinfo(name, NULL, &hints, &res) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "host not found in \"%V\": \"%s\"",
                           &ctx->conf->directive, name);
        return NGX_ERROR;
    }

    n = NGX_OK;

    for (a = res; a && n == NGX_OK; a = a->ai_next) {

        rc = getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL,
                         0, NI_NUMERICHOST);

        if (rc != 0
            || ngx_pgsql_conf_join(ctx, hosts, name, ngx_strlen(name))
               != NGX_OK
            || ngx_pgsql_conf_join(ctx, addrs, text, ngx_strlen(text))
               != NGX_OK
            || ngx_pgsql_conf_join(ctx, ports, (char *) port->data, port->len)
               != NGX_OK)
        {
            n = NGX_ERROR;
        }
    }

    freeaddrinfo(res);

    return n;
}


/* 0 if there are too many */

static ngx_uint_t
ngx_pgsql_conf_split(const char *text, ngx_str_t *list)
{
    ngx_uint_t   n;
    const char  *p;

    for (n = 0; n < NGX_PGSQL_CONF_MAX_HOSTS; n++) {

        p = ngx_strchr(text, ',');

        list[n].data = (u_char *) text;
        list[n].len = p ? (size_t) (p - text) : ngx_strlen(text);

        if (p == NULL) {
            return n + 1;
        }

        text = p + 1;
    }

    return 0;
}


/* "list" is ended by a NUL that its length does not count */

static ngx_int_t
ngx_pgsql_conf_join(ngx_pgsql_conf_ctx_t *ctx, ngx_str_t *list,
    const char *text, size_t len)
{
    u_char  *p, *data;

    data = ngx_pnalloc(ctx->cf->pool, list->len + len + 2);
    if (data == NULL) {
        return NGX_ERROR;
    }

    p = data;

    if (list->data) {
        p = ngx_cpymem(p, list->data, list->len);
        *p++ = ',';
    }

    p = ngx_cpymem(p, text, len);
    *p = '\0';

    list->data = data;
    list->len = p - data;

    return NGX_OK;
}


/*
 * libpq goes to the next host when one refuses, but has no timer of its own:
 * behind one that says nothing the others have to come first.
 */

ngx_int_t
ngx_pgsql_conf_turns(ngx_pgsql_conf_ctx_t *ctx)
{
    ngx_uint_t          i, n;
    const char         *p, **values;
    ngx_pgsql_conf_t   *conf;

    conf = ctx->conf;

    p = ngx_pgsql_conf_get(ctx, "hostaddr");

    if (p == NULL) {
        p = ngx_pgsql_conf_get(ctx, "host");
    }

    conf->nturns = 1;

    for ( /* void */ ; p && *p; p++) {
        conf->nturns += (*p == ',');
    }

    conf->turns = ngx_palloc(ctx->cf->pool, conf->nturns * sizeof(char **));
    if (conf->turns == NULL) {
        return NGX_ERROR;
    }

    conf->turns[0] = conf->values;

    for (n = 1; n < conf->nturns; n++) {

        values = ngx_pcalloc(ctx->cf->pool, (ctx->n + 1) * sizeof(char *));
        if (values == NULL) {
            return NGX_ERROR;
        }

        conf->turns[n] = values;

        for (i = 0; i < ctx->n; i++) {

            values[i] = conf->turns[n - 1][i];

            if (ngx_strcmp(conf->keywords[i], "host") == 0
                || ngx_strcmp(conf->keywords[i], "hostaddr") == 0
                || ngx_strcmp(conf->keywords[i], "port") == 0)
            {
                values[i] = ngx_pgsql_conf_turn(ctx, values[i]);
            }

            if (values[i] == NULL) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* The list with its first item as the last; NULL when out of memory. */

static const char *
ngx_pgsql_conf_turn(ngx_pgsql_conf_ctx_t *ctx, const char *list)
{
    size_t       first;
    ngx_str_t    text;
    const char  *p;

    p = ngx_strchr(list, ',');

    if (p == NULL) {
        return list;
    }

    first = p - list;

    ngx_str_null(&text);

    if (ngx_pgsql_conf_join(ctx, &text, p + 1, ngx_strlen(p + 1)) != NGX_OK
        || ngx_pgsql_conf_join(ctx, &text, list, first) != NGX_OK)
    {
        return NULL;
    }

    return (const char *) text.data;
}
