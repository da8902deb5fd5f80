
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The ratelimit_redis_zone directive, and the shared memory behind it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_args.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_ratelimit_redis_advice.h"


typedef struct {
    ngx_str_t                          name;
    size_t                             size;
    ngx_str_t                          cost;
    ngx_str_t                          charge;
    ngx_uint_t                         burst;    /* is given */
    ngx_http_ratelimit_redis_zone_t   *zone;
} ngx_http_ratelimit_redis_args_t;


static char *ngx_http_ratelimit_redis_conf_zone_arg(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_size(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_rate(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_parse(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args,
    ngx_http_ratelimit_redis_rate_t *rate);
static char *ngx_http_ratelimit_redis_conf_zone_algorithm(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_number(ngx_conf_t *cf,
    ngx_str_t *value, size_t prefix, uint64_t min, uint64_t *n);
static char *ngx_http_ratelimit_redis_conf_zone_value(ngx_conf_t *cf,
    ngx_str_t *text, ngx_http_complex_value_t **value);
static char *ngx_http_ratelimit_redis_conf_zone_policy(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_units(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_args_t *args);
static char *ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_args_t *args);
static ngx_int_t ngx_http_ratelimit_redis_conf_zone_init(
    ngx_shm_zone_t *shm_zone, void *data);


static ngx_conf_enum_t  ngx_http_ratelimit_redis_conf_zone_algorithms[] = {
    { ngx_string("fixed_window"), NGX_LIMITER_FIXED_WINDOW },
    { ngx_string("sliding_window"), NGX_LIMITER_SLIDING_WINDOW },
    { ngx_string("gcra"), NGX_LIMITER_GCRA },
    { ngx_null_string, 0 }
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

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has an empty key, by which nothing is "
                           "limited", &cmd->name);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&args, sizeof(ngx_http_ratelimit_redis_args_t));

    args.zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_zone_t));
    if (args.zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_args_once(cf, 2, "rate") != NGX_OK) {
        return NGX_CONF_ERROR;
    }

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

    rv = ngx_http_ratelimit_redis_conf_zone_policy(cf, cmd, &args);

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_ratelimit_redis_conf_zone_units(cf, &args);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
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

    if (ngx_strncmp(value->data, "algorithm=", 10) == 0) {
        return ngx_http_ratelimit_redis_conf_zone_algorithm(cf, value, args);
    }

    if (ngx_strncmp(value->data, "burst=", 6) == 0) {
        args->burst = 1;

        return ngx_http_ratelimit_redis_conf_zone_number(cf, value, 6, 0,
                                             &args->zone->zone.policy.burst);
    }

    if (ngx_strncmp(value->data, "lease=", 6) == 0) {
        return ngx_http_ratelimit_redis_conf_zone_number(cf, value, 6, 1,
                                                    &args->zone->zone.lease);
    }

    if (ngx_strncmp(value->data, "cost=", 5) == 0 && value->len > 5) {
        args->cost.data = value->data + 5;
        args->cost.len = value->len - 5;

        return ngx_http_ratelimit_redis_conf_zone_value(cf, &args->cost,
                                                        &args->zone->cost);
    }

    if (ngx_strncmp(value->data, "charge=", 7) == 0 && value->len > 7) {
        args->charge.data = value->data + 7;
        args->charge.len = value->len - 7;

        return ngx_http_ratelimit_redis_conf_zone_value(cf, &args->charge,
                                                        &args->zone->charge);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"ratelimit_redis_zone\", "
                       "it must be \"zone=NAME:SIZE\", \"rate=RATE\", "
                       "\"algorithm=NAME\", \"burst=N\", \"cost=VALUE\", "
                       "\"charge=VALUE\" or \"lease=N\"",
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
                           "invalid zone \"%V\" of "
                           "\"ratelimit_redis_zone\", it must be "
                           "\"zone=NAME:SIZE\"", value);
        return NGX_CONF_ERROR;
    }

    args->name.len = p - args->name.data;

    s.data = p + 1;
    s.len = value->data + value->len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\" of "
                           "\"ratelimit_redis_zone\", it must be "
                           "\"zone=NAME:SIZE\", a number of bytes, k or m",
                           value);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" of \"ratelimit_redis_zone\" is too "
                           "small, it must be at least %uzk", value,
                           8 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    args->size = size;

    return NGX_CONF_OK;
}


/* Whether a rate is one is known when all of the directive has been read. */

static char *
ngx_http_ratelimit_redis_conf_zone_rate(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_str_t                         s;
    ngx_http_ratelimit_redis_rate_t  *rate;

    s.data = value->data + 5;
    s.len = value->len - 5;

    if (args->zone->nrates == NGX_LIMITER_MAX_RATES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many rates at \"%V\" of "
                           "\"ratelimit_redis_zone\", a zone has at most %d",
                           value, NGX_LIMITER_MAX_RATES);
        return NGX_CONF_ERROR;
    }

    rate = &args->zone->rates[args->zone->nrates++];
    rate->text = s;

    if (s.len && ngx_strchr(s.data, '$')) {
        args->zone->zone.variable = 1;

        return ngx_http_ratelimit_redis_conf_zone_value(cf, &s, &rate->value);
    }

    return ngx_http_ratelimit_redis_conf_zone_parse(cf, value, args, rate);
}


static char *
ngx_http_ratelimit_redis_conf_zone_parse(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args,
    ngx_http_ratelimit_redis_rate_t *rate)
{
    ngx_int_t                         rc;
    ngx_str_t                         s;
    const char                       *err;
    ngx_http_ratelimit_redis_rate_t  *other;

    s.data = value->data + 5;
    s.len = value->len - 5;

    rc = ngx_limiter_rate_parse(&s, &rate->rate, &err);

    if (rc == NGX_OK && rate->rate.limit == 0) {
        rc = NGX_ERROR;
        err = NGX_LIMITER_RATE_RANGE;
    }

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid rate \"%V\" of "
                           "\"ratelimit_redis_zone\": %s", value, err);
        return NGX_CONF_ERROR;
    }

    for (other = args->zone->rates; other < rate; other++) {

        if (other->value == NULL && other->rate.period == rate->rate.period) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate rate \"%V\" of "
                               "\"ratelimit_redis_zone\": the zone has a rate "
                               "for the same time", value);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_zone_algorithm(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_conf_enum_t  *e;

    for (e = ngx_http_ratelimit_redis_conf_zone_algorithms; e->name.len; e++) {

        if (ngx_strcmp(value->data + 10, e->name.data) == 0) {
            args->zone->zone.policy.algorithm = e->value;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"ratelimit_redis_zone\", "
                       "the algorithm must be \"fixed_window\", "
                       "\"sliding_window\" or \"gcra\"", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ratelimit_redis_conf_zone_number(ngx_conf_t *cf, ngx_str_t *value,
    size_t prefix, uint64_t min, uint64_t *n)
{
    ngx_str_t  s;

    s.data = value->data + prefix;
    s.len = value->len - prefix;

    if (ngx_http_ratelimit_redis_policy_parse(&s, n) == NGX_OK && *n >= min) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"ratelimit_redis_zone\", "
                       "it must have a number from %uL to %uL", value, min,
                       NGX_LIMITER_MAX_COST);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ratelimit_redis_conf_zone_value(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **value)
{
    ngx_http_compile_complex_value_t  ccv;

    *value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = *value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* the rates under the algorithm, whichever of them was written first */

static char *
ngx_http_ratelimit_redis_conf_zone_policy(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_uint_t                        i;
    const char                       *err;
    ngx_limiter_policy_t             *policy;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = args->zone;
    policy = &rz->zone.policy;

    if (rz->nrates == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"rate\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (policy->algorithm == 0) {
        policy->algorithm = NGX_LIMITER_FIXED_WINDOW;
    }

    if (args->burst && policy->algorithm != NGX_LIMITER_GCRA) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"burst=%uL\" of \"%V\" needs "
                           "\"algorithm=gcra\", a window admits its limit "
                           "at any time", policy->burst, &cmd->name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < rz->nrates; i++) {

        if (rz->rates[i].value) {
            continue;
        }

        if (ngx_limiter_policy_check(policy->algorithm, policy->burst,
                                     &rz->rates[i].rate, &err)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid rate \"%uLr/%uLs\" of \"%V\": %s",
                               rz->rates[i].rate.limit,
                               rz->rates[i].rate.period / 1000, &cmd->name,
                               err);
            return NGX_CONF_ERROR;
        }

        if (!rz->zone.variable) {
            policy->from[policy->nrates] = i;
            policy->rates[policy->nrates++] = rz->rates[i].rate;
        }
    }

    rz->zone.nrates = rz->nrates;
    rz->zone.several = (rz->nrates > 1);
    rz->zone.returns = (rz->cost && rz->charge);

    return NGX_CONF_OK;
}


/* cost, charge and lease, as far as they are known before any request */

static char *
ngx_http_ratelimit_redis_conf_zone_units(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_args_t *args)
{
    uint64_t               cost, least, capacity;
    ngx_uint_t             i;
    ngx_limiter_zone_t    *zone;

    zone = &args->zone->zone;
    least = NGX_LIMITER_MAX_COST;

    for (i = 0; i < zone->policy.nrates; i++) {
        capacity = ngx_limiter_policy_capacity(&zone->policy, i);
        least = ngx_min(least, capacity);
    }

    if (args->cost.len
        && ngx_strchr(args->cost.data, '$') == NULL
        && (ngx_http_ratelimit_redis_policy_parse(&args->cost, &cost) != NGX_OK
            || cost > least))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid cost \"%V\" of zone \"%V\", it must be a "
                           "number from 0 to %uL, which is all that the zone "
                           "admits at once, or have a variable",
                           &args->cost, &args->name, least);
        return NGX_CONF_ERROR;
    }

    if (args->charge.len && ngx_strchr(args->charge.data, '$') == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid charge \"%V\" of zone \"%V\", it must "
                           "have a variable: what is known before is a "
                           "\"cost\"", &args->charge, &args->name);
        return NGX_CONF_ERROR;
    }

    if (zone->lease > 1 && (zone->lease > least || args->charge.len)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid lease \"%uL\" of zone \"%V\", it must be "
                           "a number from 1 to %uL, which is all that the "
                           "zone admits at once, and without \"charge\"",
                           zone->lease, &args->name, least);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_str_t                              *value;
    ngx_shm_zone_t                         *shm_zone;
    ngx_limiter_zone_t                    **zone;
    ngx_http_ratelimit_redis_zone_t        *rz;
    ngx_http_compile_complex_value_t        ccv;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    value = cf->args->elts;
    rz = args->zone;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &rz->key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_ratelimit_redis_advice_key(cf, &args->name, &value[1]);

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
