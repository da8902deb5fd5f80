
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_problem.h"
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
static ngx_int_t ngx_http_ratelimit_redis_conf_zone_args(ngx_conf_t *cf,
    ngx_limiter_zone_t *zone);
static char *ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_args_t *args);
static ngx_int_t ngx_http_ratelimit_redis_conf_zone_init(
    ngx_shm_zone_t *shm_zone, void *data);
static char *ngx_http_ratelimit_redis_conf_rule_arg(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value,
    ngx_http_ratelimit_redis_rule_t *rule);
static ngx_uint_t ngx_http_ratelimit_redis_conf_later(ngx_str_t *value,
    const char **names);


/* parameters that are named already, and will be known one day */

static const char  *ngx_http_ratelimit_redis_zone_later[] = {
    "algorithm=", "burst=", "cost=", "charge=", "lease=", NULL
};

static const char  *ngx_http_ratelimit_redis_rule_later[] = {
    "nodelay", "delay=", "stage=", NULL
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

    if (args.zone.nrates == 0) {
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
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_conf_later(value,
                                          ngx_http_ratelimit_redis_zone_later))
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

    if (args->zone.nrates == NGX_LIMITER_MAX_RATES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many rates at \"%V\", a zone has at most %d",
                           value, NGX_LIMITER_MAX_RATES);
        return NGX_CONF_ERROR;
    }

    rate = &args->zone.rates[args->zone.nrates];

    if (ngx_limiter_rate_parse(&s, rate, &err) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid rate \"%V\": %s",
                           value, err);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < args->zone.nrates; i++) {
        if (args->zone.rates[i].period == rate->period) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate rate \"%V\": the zone has a rate "
                               "for the same time", value);
            return NGX_CONF_ERROR;
        }
    }

    args->zone.nrates++;

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_zone_add(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_args_t *args)
{
    ngx_str_t                             *value;
    ngx_shm_zone_t                        *shm_zone;
    ngx_http_ratelimit_redis_zone_t       *rz;
    ngx_http_compile_complex_value_t       ccv;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    value = cf->args->elts;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

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
    rz->zone.name = args->name;
    rz->zone.index = rmcf->nzones++;

    if (ngx_http_ratelimit_redis_conf_zone_args(cf, &rz->zone) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

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

    return NGX_CONF_OK;
}


/* what each call of the script would print again */

static ngx_int_t
ngx_http_ratelimit_redis_conf_zone_args(ngx_conf_t *cf,
    ngx_limiter_zone_t *zone)
{
    u_char      *p;
    uint64_t     n;
    ngx_uint_t   i;

    for (i = 0; i < zone->nrates * 2; i++) {

        p = ngx_pnalloc(cf->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        n = (i % 2) ? zone->rates[i / 2].period : zone->rates[i / 2].limit;

        zone->args[i].data = p;
        zone->args[i].len = ngx_sprintf(p, "%uL", n) - p;
    }

    return NGX_OK;
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


char *
ngx_http_ratelimit_redis_conf_rule(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    char                                  *rv;
    ngx_str_t                             *value;
    ngx_uint_t                             i;
    ngx_http_ratelimit_redis_rule_t       *rules, *rule, *all;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    value = cf->args->elts;

    if (rlcf->rules == NGX_CONF_UNSET_PTR) {
        rlcf->rules = ngx_array_create(cf->pool, 2,
                                      sizeof(ngx_http_ratelimit_redis_rule_t));
        if (rlcf->rules == NULL) {
            return NGX_CONF_ERROR;
        }

    } else if (rlcf->rules->nelts == 0
               || ngx_strcmp(value[1].data, "off") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V off\" must be the only one on its level",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts != 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" after \"%V off\"",
                               &value[2], &cmd->name);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (rlcf->rules->nelts == NGX_LIMITER_MAX_ZONES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many \"%V\" on one level, at most %d",
                           &cmd->name, NGX_LIMITER_MAX_ZONES);
        return NGX_CONF_ERROR;
    }

    rule = ngx_array_push(rlcf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_ratelimit_redis_rule_t));

    rule->on_error = NGX_CONF_UNSET_UINT;
    rule->file = cf->conf_file->file.name.data;
    rule->line = cf->conf_file->line;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_ratelimit_redis_conf_rule_arg(cf, cmd, &value[i], rule);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (rule->shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter or be \"off\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    rules = rlcf->rules->elts;

    for (i = 0; i < rlcf->rules->nelts - 1; i++) {
        if (rules[i].shm_zone == rule->shm_zone) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has zone \"%V\" twice on one level",
                               &cmd->name, &rule->shm_zone->shm.name);
            return NGX_CONF_ERROR;
        }
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    all = ngx_array_push(&rmcf->rules);
    if (all == NULL) {
        return NGX_CONF_ERROR;
    }

    *all = *rule;

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_rule_arg(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_ratelimit_redis_rule_t *rule)
{
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "zone=", 5) == 0 && value->len > 5) {

        s.data = value->data + 5;
        s.len = value->len - 5;

        rule->shm_zone = ngx_shared_memory_add(cf, &s, 0,
                                             &ngx_http_ratelimit_redis_module);

        return rule->shm_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value->data, "dry_run") == 0) {
        rule->dry_run = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "on_error=local") == 0) {
        rule->on_error = NGX_LIMITER_ON_ERROR_LOCAL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "on_error=allow") == 0) {
        rule->on_error = NGX_LIMITER_ON_ERROR_ALLOW;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "on_error=deny") == 0) {
        rule->on_error = NGX_LIMITER_ON_ERROR_DENY;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "stage=access") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_conf_later(value,
                                          ngx_http_ratelimit_redis_rule_later))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" of \"%V\" is not supported in "
                           "this version", value, &cmd->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"%V\", it must be "
                       "\"zone=NAME\", \"dry_run\" or "
                       "\"on_error=local|allow|deny\"", value, &cmd->name);

    return NGX_CONF_ERROR;
}


static ngx_uint_t
ngx_http_ratelimit_redis_conf_later(ngx_str_t *value, const char **names)
{
    for ( /* void */ ; *names; names++) {
        if (ngx_strncmp(value->data, *names, ngx_strlen(*names)) == 0) {
            return 1;
        }
    }

    return 0;
}


char *
ngx_http_ratelimit_redis_conf_check(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = rmcf->rules.elts;

    for (i = 0; i < rmcf->rules.nelts; i++) {

        if (rules[i].shm_zone->data == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown zone \"%V\" of \"ratelimit_redis\", there "
                          "is no \"ratelimit_redis_zone\" with it in %s:%ui",
                          &rules[i].shm_zone->shm.name, rules[i].file,
                          rules[i].line);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_ratelimit_redis_conf_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_uint_t                        i;
    ngx_http_api_problem_t            problem;
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = rlcf->rules->elts;

    rlcf->bodies = ngx_palloc(cf->pool,
                              rlcf->rules->nelts * sizeof(ngx_str_t));
    if (rlcf->bodies == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < rlcf->rules->nelts; i++) {

        ngx_http_ratelimit_redis_problem(&problem, rlcf->status,
                                         &rules[i].shm_zone->shm.name, 1);

        if (ngx_http_api_problem_encode(&problem, cf->pool, &rlcf->bodies[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_ratelimit_redis_problem(ngx_http_api_problem_t *problem,
    ngx_uint_t status, ngx_str_t *zones, ngx_uint_t n)
{
    ngx_memzero(problem, sizeof(ngx_http_api_problem_t));

    problem->type = NGX_HTTP_API_PROBLEM_QUOTA;
    problem->title = "Request cannot be satisfied as assigned quota has been "
                     "exceeded";
    problem->status = status;
    problem->list = "violated-policies";
    problem->names = zones;
    problem->nnames = n;
}


char *
ngx_http_ratelimit_redis_conf_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t *rmcf = conf;

    if (rmcf->redis) {
        return "is duplicate";
    }

    return ngx_redis_conf_parse(cf, &rmcf->redis);
}


/* ngx_conf_set_enum_slot() that says which words there are */

char *
ngx_http_ratelimit_redis_conf_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char  *p = conf;

    u_char           *last, buf[NGX_MAX_CONF_ERRSTR];
    ngx_str_t        *value;
    ngx_uint_t        i, *np;
    ngx_conf_enum_t  *e;

    np = (ngx_uint_t *) (p + cmd->offset);

    if (*np != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    e = cmd->post;
    last = buf;

    for (i = 0; e[i].name.len; i++) {

        if (e[i].name.len == value[1].len
            && ngx_strcmp(e[i].name.data, value[1].data) == 0)
        {
            if (e[i].value == NGX_CONF_UNSET_UINT) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "value \"%V\" of \"%V\" is not supported "
                                   "in this version", &value[1], &cmd->name);
                return NGX_CONF_ERROR;
            }

            *np = e[i].value;

            return NGX_CONF_OK;
        }

        if (e[i].value != NGX_CONF_UNSET_UINT) {
            last = ngx_slprintf(last, buf + sizeof(buf), "%s\"%V\"",
                                i ? ", " : "", &e[i].name);
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" of \"%V\", it must be one of %*s",
                       &value[1], &cmd->name, (size_t) (last - buf), buf);

    return NGX_CONF_ERROR;
}


char *
ngx_http_ratelimit_redis_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rlcf->status != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 400 || n > 599) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a "
                           "number between 400 and 599",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    rlcf->status = n;

    return NGX_CONF_OK;
}
