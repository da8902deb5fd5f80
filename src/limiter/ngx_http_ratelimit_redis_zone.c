
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The ratelimit_redis_zone directive, and the shared memory behind it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


typedef struct {
    ngx_str_t                 name;
    size_t                    size;
    ngx_limiter_zone_t        zone;
} ngx_http_ratelimit_redis_args_t;


static char *ngx_http_ratelimit_redis_conf_zone_arg(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_size(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_rate(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_args_t *args);
static ngx_int_t ngx_http_ratelimit_redis_conf_zone_init(
    ngx_shm_zone_t *shm_zone, void *data);

/* parameters that are named already, and will be known one day */

static const char  *ngx_http_ratelimit_redis_conf_zone_later[] = {
    "algorithm=", "burst=", "cost=", "charge=", "lease=", NULL
};


char *
ngx_http_ratelimit_redis_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                             *rv;
    ngx_str_t                        *value;
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_args_t   args;

    value = cf->args->elts;

    ngx_memzero(&args, sizeof(ngx_http_ratelimit_redis_args_t));

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_ratelimit_redis_conf_zone_arg(cf, &value[i], &args);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (args.name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (args.zone.policy.nrates == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"rate\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_ratelimit_redis_conf_zone_add(cf, cmd, &args);
}


static char *
ngx_http_ratelimit_redis_conf_zone_arg(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args)
{
    if (ngx_strncmp(value->data, "zone=", 5) == 0) {
        return ngx_http_ratelimit_redis_conf_zone_size(cf, value, args);
    }

    if (ngx_strncmp(value->data, "rate=", 5) == 0) {
        return ngx_http_ratelimit_redis_conf_zone_rate(cf, value, args);
    }

    if (ngx_strcmp(value->data, "algorithm=fixed_window") == 0) {
        args->zone.policy.algorithm = 1;
        return NGX_CONF_OK;
    }
    if (ngx_strcmp(value->data, "algorithm=sliding_window") == 0) {
        args->zone.policy.algorithm = 2;
        return NGX_CONF_OK;
    }
    if (ngx_strcmp(value->data, "algorithm=gcra") == 0) {
        args->zone.policy.algorithm = 3;
        return NGX_CONF_OK;
    }
    if (ngx_strncmp(value->data, "burst=", 6) == 0) {
        args->zone.policy.burst = ngx_atoi(value->data+6,value->len-6);
        return NGX_CONF_OK;
    }
    if (ngx_strncmp(value->data, "lease=", 6) == 0) {
        args->zone.lease = ngx_atoi(value->data+6,value->len-6);
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_conf_later(value,
                                          ngx_http_ratelimit_redis_conf_zone_later))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" of \"ratelimit_redis_zone\" "
                           "is not supported in this version", value);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"ratelimit_redis_zone\", "
                       "it must be \"zone=NAME:SIZE\" or \"rate=RATE\"",
                       value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ratelimit_redis_conf_zone_size(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args)
{
    u_char     *p;
    ssize_t     size;
    ngx_str_t   s;

    args->name.data = value->data + 5;

    p = (u_char *) ngx_strchr(args->name.data, ':');

    if (p == NULL || p == args->name.data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\", it must be "
                           "\"zone=NAME:SIZE\"", value);
        return NGX_CONF_ERROR;
    }

    args->name.len = p - args->name.data;

    s.data = p + 1;
    s.len = value->data + value->len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\", it must be "
                           "\"zone=NAME:SIZE\"", value);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small, it must be at least "
                           "%uzk", value, 8 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    args->size = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_zone_rate(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_str_t            s;
    ngx_uint_t           i;
    const char          *err;
    ngx_limiter_rate_t  *rate;

    s.data = value->data + 5;
    s.len = value->len - 5;

    if (s.len && ngx_strchr(s.data, '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a variable in \"%V\" is not supported in this "
                           "version", value);
        return NGX_CONF_ERROR;
    }

    if (args->zone.policy.nrates == NGX_LIMITER_MAX_RATES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many rates at \"%V\", a zone has at most %d",
                           value, NGX_LIMITER_MAX_RATES);
        return NGX_CONF_ERROR;
    }

    rate = &args->zone.policy.rates[args->zone.policy.nrates];

    if (ngx_limiter_rate_parse(&s, rate, &err) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid rate \"%V\": %s",
                           value, err);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < args->zone.policy.nrates; i++) {
        if (args->zone.policy.rates[i].period == rate->period) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate rate \"%V\": the zone has a rate "
                               "for the same time", value);
            return NGX_CONF_ERROR;
        }
    }

    args->zone.policy.nrates++;

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_str_t                         *value;
    ngx_shm_zone_t                    *shm_zone;
    ngx_limiter_zone_t               **zone;
    ngx_http_ratelimit_redis_zone_t   *rz;
    ngx_http_compile_complex_value_t   ccv;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    value = cf->args->elts;

    rz = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_zone_t));
    if (rz == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &rz->key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rz->zone = args->zone;
    rz->zone.policy.algorithm = args->zone.policy.algorithm
                                ? args->zone.policy.algorithm
                                : NGX_LIMITER_FIXED_WINDOW;
    rz->zone.name = args->name;

    shm_zone = ngx_shared_memory_add(cf, &args->name, args->size,
                                     &ngx_http_ratelimit_redis_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate zone \"%V\" of \"%V\"",
                           &args->name, &cmd->name);
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_ratelimit_redis_conf_zone_init;
    shm_zone->data = rz;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    zone = ngx_array_push(&rmcf->zones);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    *zone = &rz->zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_conf_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_ratelimit_redis_zone_t  *orz = data;

    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = shm_zone->data;

    if (orz
        && (rz->key.value.len != orz->key.value.len
            || ngx_strncmp(rz->key.value.data, orz->key.value.data,
                           rz->key.value.len)
               != 0))
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "ratelimit_redis_zone \"%V\" uses the \"%V\" key "
                      "while previously it used the \"%V\" key",
                      &shm_zone->shm.name, &rz->key.value, &orz->key.value);
        return NGX_ERROR;
    }

    rz->zone.shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    return ngx_limiter_local_init(&rz->zone, shm_zone->shm.log);
}
