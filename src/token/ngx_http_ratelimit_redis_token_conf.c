
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


#define NGX_HTTP_RATELIMIT_REDIS_TOKEN_ZONE  (4 * 1024 * 1024)


static ngx_int_t ngx_http_ratelimit_redis_token_conf_zone(
    ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_ratelimit_redis_token_conf_prefix(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_uint_t ngx_http_ratelimit_redis_token_conf_prefixes(
    ngx_array_t *prefixes);
static char *ngx_http_ratelimit_redis_token_conf_watch(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_int_t ngx_http_ratelimit_redis_token_conf_watch_zone(
    ngx_shm_zone_t *shm_zone, void *data);


char *
ngx_http_ratelimit_redis_token_conf_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strchr(value[1].data, '$') == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must have "
                           "a variable", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


char *
ngx_http_ratelimit_redis_token_conf_blacklist(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_token_conf_used(cf);

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


void
ngx_http_ratelimit_redis_token_conf_used(ngx_conf_t *cf)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);
    rmcf->token_used = 1;
    rmcf->token_read = 1;
}


char *
ngx_http_ratelimit_redis_token_conf_required(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);
    rmcf->token_read = 1;

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_ratelimit_redis_token_conf_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t                         *value;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    if (rlcf->token_keys == NGX_CONF_UNSET_PTR) {
        rlcf->token_keys = ngx_array_create(cf->pool, 2,
                                            sizeof(ngx_http_complex_value_t));
        if (rlcf->token_keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (rlcf->token_keys->nelts == NGX_TOKEN_MAX_KEYS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many \"%V\" on one level, at most %d",
                           &cmd->name, NGX_TOKEN_MAX_KEYS);
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must not be empty", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ratelimit_redis_token_conf_prefix(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cv = ngx_array_push(rlcf->token_keys);
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_conf_since(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must not be empty", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ratelimit_redis_token_conf_prefix(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


ngx_int_t
ngx_http_ratelimit_redis_token_conf_checked(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t                              *since;
    ngx_uint_t                              i;
    ngx_array_t                           **list, *keys;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    if (!rlcf->token_blacklist) {
        return NGX_OK;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    keys = rlcf->token_keys ? rlcf->token_keys : rmcf->token_keys;
    list = rmcf->token_lists.elts;

    for (i = 0; i < rmcf->token_lists.nelts && list[i] != keys; i++) {
        /* void */
    }

    if (i == rmcf->token_lists.nelts) {

        list = ngx_array_push(&rmcf->token_lists);
        if (list == NULL) {
            return NGX_ERROR;
        }

        *list = keys;
    }

    if (rlcf->token_since == NULL) {
        return NGX_OK;
    }

    since = rmcf->token_sinces.elts;

    for (i = 0; i < rmcf->token_sinces.nelts; i++) {
        if (since[i].data == rlcf->token_since->value.data) {
            return NGX_OK;
        }
    }

    since = ngx_array_push(&rmcf->token_sinces);
    if (since == NULL) {
        return NGX_ERROR;
    }

    *since = rlcf->token_since->value;

    return NGX_OK;
}


/* what all keys of a value begin with, to be told of their changes */

static ngx_int_t
ngx_http_ratelimit_redis_token_conf_prefix(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char                                *p;
    ngx_str_t                             *prefix;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    prefix = ngx_array_push(&rmcf->token_prefixes);
    if (prefix == NULL) {
        return NGX_ERROR;
    }

    p = ngx_strlchr(value->data, value->data + value->len, '$');

    prefix->data = value->data;
    prefix->len = p ? (size_t) (p - value->data) : value->len;

    return NGX_OK;
}


/*
 * Redis takes no prefix that begins with another.  What begins with a variable
 * has no prefix: to be told of every key there is would cost more than asking.
 * Returns 1 if what is left can be watched.
 */

static ngx_uint_t
ngx_http_ratelimit_redis_token_conf_prefixes(ngx_array_t *prefixes)
{
    ngx_str_t   *p;
    ngx_uint_t   i, k, n;

    p = prefixes->elts;
    n = 0;

    for (i = 0; i < prefixes->nelts; i++) {

        if (p[i].len == 0) {
            return 0;
        }

        for (k = 0; k < prefixes->nelts; k++) {

            if (k != i
                && p[k].data
                && p[k].len <= p[i].len
                && ngx_memcmp(p[k].data, p[i].data, p[k].len) == 0
                && (p[k].len < p[i].len || k < i))
            {
                break;
            }
        }

        if (k < prefixes->nelts) {
            p[i].data = NULL;
        }
    }

    for (i = 0; i < prefixes->nelts; i++) {
        if (p[i].data) {
            p[n++] = p[i];
        }
    }

    prefixes->nelts = n;

    return n && n <= NGX_REDIS_TRACKING_MAX_PREFIXES;
}


char *
ngx_http_ratelimit_redis_token_conf_revoke(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_ratelimit_redis_token_conf_used(cf);

    rlcf->token_revoke = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ratelimit_redis_token_revoke;

    return NGX_CONF_OK;
}


/* A content handler is not that of a limit_except in its location by itself. */

void
ngx_http_ratelimit_redis_token_conf_merge_revoke(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *prev,
    ngx_http_ratelimit_redis_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->token_revoke != NGX_CONF_UNSET) {
        return;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    conf->token_revoke = (clcf->noname && prev->token_revoke == 1);

    if (conf->token_revoke && clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_ratelimit_redis_token_revoke;
    }
}


char *
ngx_http_ratelimit_redis_token_conf_ttl(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->token_revoke_ttl != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rlcf->token_revoke_ttl = ngx_parse_time(&value[1], 1);

    if (rlcf->token_revoke_ttl < 1
        || rlcf->token_revoke_ttl > NGX_HTTP_TOKEN_REVOKE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a time "
                           "between 1s and 10y", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_conf_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t *rmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (rmcf->token_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a "
                           "number of bytes, k or m", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a size "
                           "of at least %uzk", &value[1], &cmd->name,
                           8 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    rmcf->token_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_conf_init(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_str_t                          text;
    ngx_shm_zone_t                    *shm_zone;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    ngx_conf_init_size_value(rmcf->token_size,
                             NGX_HTTP_RATELIMIT_REDIS_TOKEN_ZONE);

    if (!rmcf->token_used) {
        rmcf->token_postgres = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_token_postgres_conf_init(cf, rmcf)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    rmcf->token_keys = ngx_array_create(cf->pool, 1,
                                        sizeof(ngx_http_complex_value_t));
    if (rmcf->token_keys == NULL) {
        return NGX_CONF_ERROR;
    }

    cv = ngx_array_push(rmcf->token_keys);
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&text, "blacklist:$token_digest");

    if (ngx_http_ratelimit_redis_token_conf_prefix(cf, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &text;
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* no ratelimit_redis_zone has a colon in its name */

    ngx_str_set(&text, "token:revocations");

    shm_zone = ngx_shared_memory_add(cf, &text, rmcf->token_size,
                                     &ngx_http_ratelimit_redis_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_ratelimit_redis_token_conf_zone;
    shm_zone->data = &rmcf->token_zone;

    return ngx_http_ratelimit_redis_token_conf_watch(cf, rmcf);
}


static char *
ngx_http_ratelimit_redis_token_conf_watch(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_str_t  name;

    if (rmcf->redis == NULL
        || !ngx_http_ratelimit_redis_token_conf_prefixes(
                                                      &rmcf->token_prefixes))
    {
        return NGX_CONF_OK;
    }

    ngx_str_set(&name, "token:watch");

    rmcf->token_watch = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                             &ngx_http_ratelimit_redis_module);
    if (rmcf->token_watch == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->token_watch->init = ngx_http_ratelimit_redis_token_conf_watch_zone;
    rmcf->token_watch->data = rmcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_conf_watch_zone(ngx_shm_zone_t *shm_zone,
    void *data)
{
    return ngx_token_watch_init((ngx_slab_pool_t *) shm_zone->shm.addr,
                                shm_zone->shm.log);
}


static ngx_int_t
ngx_http_ratelimit_redis_token_conf_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_token_zone_t  *zone;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    return ngx_token_revocation_init(zone, &shm_zone->shm.name,
                                     shm_zone->shm.log);
}
