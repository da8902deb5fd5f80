
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <libpq-fe.h>

#include "ngx_conf_password.h"
#include "ngx_pgsql_conf_params.h"


#define NGX_PGSQL_CONF_CONNECT_TIMEOUT  5000     /* ms */
#define NGX_PGSQL_CONF_MAX_PASSWORD     1024
#define NGX_PGSQL_CONF_MAX_PARAMS       96

/* a file that is not there and cannot be made */
#define NGX_PGSQL_CONF_NO_FILE          "/dev/null/none"


typedef struct {
    const char         *keyword;
    const char         *value;
} ngx_pgsql_conf_option_t;


static char *ngx_pgsql_conf_string(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *text);
static char *ngx_pgsql_conf_args(ngx_pgsql_conf_ctx_t *ctx);
static char *ngx_pgsql_conf_check(ngx_pgsql_conf_ctx_t *ctx);
static ngx_int_t ngx_pgsql_conf_check_words(ngx_pgsql_conf_ctx_t *ctx);
static ngx_int_t ngx_pgsql_conf_timeout(ngx_pgsql_conf_ctx_t *ctx);
static ngx_int_t ngx_pgsql_conf_complete(ngx_pgsql_conf_ctx_t *ctx);
static char *ngx_pgsql_conf_password(ngx_pgsql_conf_ctx_t *ctx,
    ngx_str_t *path);


static ngx_pgsql_conf_option_t  ngx_pgsql_conf_defaults[] = {
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

static ngx_pgsql_conf_option_t  ngx_pgsql_conf_words[] = {
    { "sslmode", " disable allow prefer require verify-ca verify-full " },
    { "target_session_attrs",
      " any read-write read-only primary standby prefer-standby " },
    { NULL, NULL }
};


char *
ngx_pgsql_conf_parse(ngx_conf_t *cf, ngx_pgsql_conf_t **confp)
{
    char                  *rv;
    ngx_str_t             *value;
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

    rv = ngx_pgsql_conf_string(&ctx, &value[1]);

    if (rv == NGX_CONF_OK) {
        rv = ngx_pgsql_conf_args(&ctx);
    }

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


/* The connection string, as libpq reads it. */

static char *
ngx_pgsql_conf_string(ngx_pgsql_conf_ctx_t *ctx, ngx_str_t *text)
{
    char              *err, *rv;
    PQconninfoOption  *options, *o;

    err = NULL;
    options = PQconninfoParse((char *) text->data, &err);

    if (options == NULL) {

        /* the message repeats what could not be parsed: a password, perhaps */

        PQfreemem(err);
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "invalid connection string in \"%V\", expected "
                           "\"keyword=value ...\" or "
                           "\"postgresql://...\" as libpq takes them",
                           &ctx->conf->directive);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_OK;

    for (o = options; o->keyword; o++) {

        if (o->val && ngx_pgsql_conf_set(ctx, o->keyword, o->val) != NGX_OK) {
            rv = NGX_CONF_ERROR;
            break;
        }
    }

    PQconninfoFree(options);

    return rv;
}


/* What is behind the connection string: often the rest of one. */

static char *
ngx_pgsql_conf_args(ngx_pgsql_conf_ctx_t *ctx)
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
    const char  *mode;

    if (ngx_pgsql_conf_get(ctx, "service")
        || ngx_pgsql_conf_get(ctx, "passfile"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "\"service\" and \"passfile\" cannot be used in "
                           "\"%V\", a password may be in \"password_file\"",
                           &ctx->conf->directive);
        return NGX_CONF_ERROR;
    }

    if (ngx_pgsql_conf_check_words(ctx) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mode = ngx_pgsql_conf_get(ctx, "sslmode");

    if (mode
        && ngx_strncmp(mode, "verify-", 7) == 0
        && ngx_pgsql_conf_get(ctx, "sslrootcert") == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "sslmode \"%s\" in \"%V\" needs \"sslrootcert\"",
                           mode, &ctx->conf->directive);
        return NGX_CONF_ERROR;
    }

    if (ngx_pgsql_conf_timeout(ctx) != NGX_OK
        || ngx_pgsql_conf_complete(ctx) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_pgsql_conf_check_words(ngx_pgsql_conf_ctx_t *ctx)
{
    u_char                   *p, word[64];
    const char               *text;
    ngx_pgsql_conf_option_t  *o;

    for (o = ngx_pgsql_conf_words; o->keyword; o++) {

        text = ngx_pgsql_conf_get(ctx, o->keyword);

        if (text == NULL) {
            continue;
        }

        p = ngx_snprintf(word, sizeof(word) - 1, " %s ", text);
        *p = '\0';

        if (ngx_strstr(o->value, word) == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                               "invalid %s \"%s\" in \"%V\", expected one "
                               "of:%s", o->keyword, text,
                               &ctx->conf->directive, o->value);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* libpq has no timer of its own when it does not block. */

static ngx_int_t
ngx_pgsql_conf_timeout(ngx_pgsql_conf_ctx_t *ctx)
{
    ngx_int_t    n;
    const char  *text;

    text = ngx_pgsql_conf_get(ctx, "connect_timeout");

    if (text == NULL) {
        return NGX_OK;
    }

    n = ngx_atoi((u_char *) text, ngx_strlen(text));

    if (n == NGX_ERROR || n > 3600) {
        ngx_conf_log_error(NGX_LOG_EMERG, ctx->cf, 0,
                           "invalid connect_timeout \"%s\" in \"%V\", "
                           "expected seconds", text, &ctx->conf->directive);
        return NGX_ERROR;
    }

    if (n) {
        ctx->conf->connect_timeout = n * 1000;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_pgsql_conf_complete(ngx_pgsql_conf_ctx_t *ctx)
{
    ngx_pgsql_conf_option_t  *o;

    for (o = ngx_pgsql_conf_defaults; o->keyword; o++) {

        if (ngx_pgsql_conf_get(ctx, o->keyword) == NULL
            && ngx_pgsql_conf_set(ctx, o->keyword, o->value) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_pgsql_conf_set(ctx, "client_encoding", "UTF8");
}


const char *
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


ngx_int_t
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
