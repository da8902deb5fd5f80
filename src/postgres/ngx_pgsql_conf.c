
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <netdb.h>

#include <libpq-fe.h>

#include "ngx_conf_password.h"
#include "ngx_pgsql_conf.h"


#define NGX_PGSQL_CONF_CONNECT_TIMEOUT  5000     /* ms */
#define NGX_PGSQL_CONF_MAX_PASSWORD     1024
#define NGX_PGSQL_CONF_MAX_PARAMS       96
#define NGX_PGSQL_CONF_MAX_HOSTS        32

/* a file that is not there and cannot be made */
#define NGX_PGSQL_CONF_NO_FILE          "/dev/null/none"


typedef struct {
    ngx_pgsql_conf_t   *conf;
    ngx_conf_t         *cf;
    ngx_uint_t          n;
} ngx_pgsql_conf_ctx_t;


typedef struct {
    const char         *keyword;
    const char         *value;
} ngx_pgsql_conf_default_t;


static char *ngx_pgsql_conf_params(ngx_pgsql_conf_ctx_t *ctx);
static char *ngx_pgsql_conf_check(ngx_pgsql_conf_ctx_t *ctx);
static char *ngx_pgsql_conf_hosts(ngx_pgsql_conf_ctx_t *ctx);
static ngx_int_t ngx_pgsql_conf_host(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *host, ngx_str_t *port, ngx_str_t *hosts, ngx_str_t *addrs,
    ngx_str_t *ports);
static ngx_uint_t ngx_pgsql_conf_split(const char *text, ngx_str_t *list);
static ngx_int_t ngx_pgsql_conf_join(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *list, const char *text, size_t len);
static ngx_int_t ngx_pgsql_conf_turns(ngx_pgsql_conf_ctx_t *ctx);
static const char *ngx_pgsql_conf_turn(ngx_pgsql_conf_ctx_t *ctx,
    const char *list);
static const char *ngx_pgsql_conf_get(ngx_pgsql_conf_ctx_t *ctx,
    const char *keyword);
static ngx_int_t ngx_pgsql_conf_set(ngx_pgsql_conf_ctx_t *ctx,
    const char *keyword, const char *value);
static char *ngx_pgsql_conf_password(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *path);


static ngx_pgsql_conf_default_t  ngx_pgsql_conf_defaults[] = {
    { "application_name", "nginx" },
    { "gssencmode", "disable" },
    { "passfile", NGX_PGSQL_CONF_NO_FILE },
    { "sslcert", NGX_PGSQL_CONF_NO_FILE },
    { "sslkey", NGX_PGSQL_CONF_NO_FILE },
    { "sslrootcert", NGX_PGSQL_CONF_NO_FILE },
    { "sslcrl", NGX_PGSQL_CONF_NO_FILE },
    { NULL, NULL }
};


/* libpq looks at these when it connects, and not before */

static ngx_pgsql_conf_default_t  ngx_pgsql_conf_words[] = {
    { "sslmode", " disable allow prefer require verify-ca verify-full " },
    { "target_session_attrs",
      " any read-write read-only primary standby prefer-standby " },
    { NULL, NULL }
};


char *
ngx_pgsql_conf_parse(ngx_conf_t *cf, ngx_pgsql_conf_t **confp)
{
    char                  *err, *rv;
    ngx_str_t             *value;
    PQconninfoOption      *options, *o;
    ngx_pgsql_conf_ctx_t   ctx;

    value = cf->args->elts;

    ctx.cf = cf;
    ctx.n = 0;
    ctx.conf = ngx_pcalloc(cf->pool, sizeof(ngx_pgsql_conf_t));
    if (ctx.conf == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx.conf->directive = value[0];
    ctx.conf->connect_timeout = NGX_PGSQL_CONF_CONNECT_TIMEOUT;
    ctx.conf->keywords = ngx_pcalloc(cf->pool, 2 * NGX_PGSQL_CONF_MAX_PARAMS
                                               * sizeof(char *));
    if (ctx.conf->keywords == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx.conf->values = ctx.conf->keywords + NGX_PGSQL_CONF_MAX_PARAMS;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    err = NULL;
    options = PQconninfoParse((char *) value[1].data, &err);

    if (options == NULL) {

        /* the message repeats what could not be parsed: a password, perhaps */

        PQfreemem(err);
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid connection string in \"%V\", expected "
                           "\"keyword=value ...\" or "
                           "\"postgresql://...\" as libpq takes them",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    for (o = options; o->keyword; o++) {

        if (o->val
            && ngx_pgsql_conf_set(&ctx, o->keyword, o->val) != NGX_OK)
        {
            PQconninfoFree(options);
            return NGX_CONF_ERROR;
        }
    }

    PQconninfoFree(options);

    rv = ngx_pgsql_conf_params(&ctx);

    if (rv == NGX_CONF_OK) {
        rv = ngx_pgsql_conf_check(&ctx);
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_pgsql_conf_hosts(&ctx);
    }

    if (rv == NGX_CONF_OK && ngx_pgsql_conf_turns(&ctx) != NGX_OK) {
        rv = NGX_CONF_ERROR;
    }

    *confp = ctx.conf;

    return rv;
}


/* What is behind the connection string: often the rest of one. */

static char *
ngx_pgsql_conf_params(ngx_pgsql_conf_ctx_t *ctx)
{
    u_char      *p, *last;
    ngx_str_t   *value, name;
    ngx_uint_t   n;
    ngx_conf_t  *cf;

    cf = ctx->cf;
    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    n = (ngx_strncmp(value[2].data, "password_file=", 14) != 0) ? 2 : 3;

    if (n < cf->args->nelts) {

        /* of what is not expected only a name is shown: no password */

        name = value[n];
        last = name.data + name.len;

        for (p = name.data; p < last; p++) {
            if (*p != '_' && (*p < 'a' || *p > 'z')) {
                break;
            }
        }

        name.len = (p < last && *p == '=') ? (size_t) (p + 1 - name.data) : 0;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V...\" of \"%V\", expected "
                           "one argument with all of the connection string, "
                           "in quotes if it has spaces, and "
                           "\"password_file=\"", &name, &value[0]);
        return NGX_CONF_ERROR;
    }

    name.data = value[2].data + 14;
    name.len = value[2].len - 14;

    return ngx_pgsql_conf_password(ctx, &name);
}


static char *
ngx_pgsql_conf_check(ngx_pgsql_conf_ctx_t *ctx)
{
    u_char                    *p, word[64];
    ngx_int_t                  n;
    ngx_uint_t                 i;
    const char                *text;
    ngx_pgsql_conf_default_t  *w;

    if (ngx_pgsql_conf_get(ctx, "service")
        || ngx_pgsql_conf_get(ctx, "passfile"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "\"service\" and \"passfile\" cannot be used in "
                           "\"%V\", a password may be in \"password_file\"",
                           &ctx->conf->directive);
        return NGX_CONF_ERROR;
    }

    for (w = ngx_pgsql_conf_words; w->keyword; w++) {

        text = ngx_pgsql_conf_get(ctx, w->keyword);

        if (text == NULL) {
            continue;
        }

        p = ngx_snprintf(word, sizeof(word) - 1, " %s ", text);
        *p = '\0';

        if (ngx_strstr(w->value, word) == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "invalid %s \"%s\" in \"%V\", expected one "
                               "of:%s", w->keyword, text,
                               &ctx->conf->directive, w->value);
            return NGX_CONF_ERROR;
        }
    }

    text = ngx_pgsql_conf_get(ctx, "sslmode");

    if (text
        && ngx_strncmp(text, "verify-", 7) == 0
        && ngx_pgsql_conf_get(ctx, "sslrootcert") == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "sslmode \"%s\" in \"%V\" needs \"sslrootcert\"",
                           text, &ctx->conf->directive);
        return NGX_CONF_ERROR;
    }

    text = ngx_pgsql_conf_get(ctx, "connect_timeout");

    if (text) {
        n = ngx_atoi((u_char *) text, ngx_strlen(text));

        if (n == NGX_ERROR || n > 3600) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "invalid connect_timeout \"%s\" in \"%V\", "
                               "expected seconds", text,
                               &ctx->conf->directive);
            return NGX_CONF_ERROR;
        }

        if (n) {
            ctx->conf->connect_timeout = n * 1000;
        }
    }

    for (i = 0; ngx_pgsql_conf_defaults[i].keyword; i++) {

        w = &ngx_pgsql_conf_defaults[i];

        if (ngx_pgsql_conf_get(ctx, w->keyword) == NULL
            && ngx_pgsql_conf_set(ctx, w->keyword, w->value) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_pgsql_conf_set(ctx, "client_encoding", "UTF8") != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * Each host becomes as many as it has addresses: of a host, an address and
 * a port libpq takes lists of the same length.
 */

static char *
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

static ngx_int_t
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


static const char *
ngx_pgsql_conf_get(ngx_pgsql_conf_ctx_t *ctx, const char *keyword)
{
    ngx_uint_t  i;

    for (i = 0; i < ctx->n; i++) {
        if (ngx_strcmp(ctx->conf->keywords[i], keyword) == 0) {
            return ctx->conf->values[i][0] ? ctx->conf->values[i] : NULL;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_pgsql_conf_set(ngx_pgsql_conf_ctx_t *ctx, const char *keyword,
    const char *value)
{
    u_char      *k, *v;
    ngx_str_t    text;
    ngx_uint_t   i;

    text.data = (u_char *) value;
    text.len = ngx_strlen(value) + 1;

    v = ngx_pstrdup(ctx->cf->pool, &text);

    text.data = (u_char *) keyword;
    text.len = ngx_strlen(keyword) + 1;

    k = ngx_pstrdup(ctx->cf->pool, &text);

    if (v == NULL || k == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->n; i++) {
        if (ngx_strcmp(ctx->conf->keywords[i], keyword) == 0) {
            break;
        }
    }

    if (i == NGX_PGSQL_CONF_MAX_PARAMS - 1) {
        return NGX_ERROR;
    }

    ctx->n = ngx_max(ctx->n, i + 1);

    ctx->conf->keywords[i] = (char *) k;
    ctx->conf->values[i] = (char *) v;

    return NGX_OK;
}


static char *
ngx_pgsql_conf_password(ngx_pgsql_conf_ctx_t *ctx, ngx_str_t *path)
{
    char       *rv;
    ngx_str_t   password;

    if (ngx_pgsql_conf_get(ctx, "password")) {
        return "has more than one password";
    }

    rv = ngx_conf_password(ctx->cf, path, NGX_PGSQL_CONF_MAX_PASSWORD,
                           &password);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_pgsql_conf_set(ctx, "password", (char *) password.data)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
