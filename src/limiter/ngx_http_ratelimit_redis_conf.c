
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_problem.h"
#include "ngx_http_place.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_ratelimit_redis_advice.h"
#include "ngx_http_ratelimit_redis_api.h"


static ngx_int_t ngx_http_ratelimit_redis_conf_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_int_t ngx_http_ratelimit_redis_conf_body(ngx_conf_t *cf,
    ngx_uint_t status, ngx_http_ratelimit_redis_zone_t *rz,
    ngx_str_t *bodies);
static ngx_int_t ngx_http_ratelimit_redis_conf_common_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


/* writes rlcf->bodies, and rlcf->stages */

static ngx_int_t
ngx_http_ratelimit_redis_conf_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = rlcf->rules->elts;

    rlcf->stages = 0;
    rlcf->bodies = ngx_pcalloc(cf->pool, rlcf->rules->nelts
                                         * NGX_HTTP_RATELIMIT_REDIS_BODIES
                                         * sizeof(ngx_str_t));
    if (rlcf->bodies == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < rlcf->rules->nelts; i++) {

        rlcf->stages |= rules[i].stage;

        if (ngx_http_ratelimit_redis_conf_body(cf, rlcf->status,
                          rules[i].shm_zone->data,
                          &rlcf->bodies[i * NGX_HTTP_RATELIMIT_REDIS_BODIES])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * One for each set of rates, a bit for each of them; none if rates are not known
 * before, or the zone is not.
 */

static ngx_int_t
ngx_http_ratelimit_redis_conf_body(ngx_conf_t *cf, ngx_uint_t status,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_str_t *bodies)
{
    ngx_str_t                all[NGX_LIMITER_MAX_RATES];
    ngx_str_t                names[NGX_LIMITER_MAX_RATES];
    ngx_uint_t               i, n, set;
    ngx_http_api_problem_t   problem;
    ngx_limiter_policy_t    *policy;

    if (rz == NULL || rz->zone.variable) {
        return NGX_OK;
    }

    policy = &rz->zone.policy;

    for (i = 0; i < policy->nrates; i++) {

        if (ngx_limiter_report_name(&rz->zone, policy->rates[i].period,
                                    cf->pool, &all[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (set = 1;
         set < NGX_HTTP_RATELIMIT_REDIS_BODIES && set >> policy->nrates == 0;
         set++)
    {
        n = 0;

        for (i = 0; i < policy->nrates; i++) {
            if (set >> i & 1) {
                names[n++] = all[i];
            }
        }

        ngx_http_ratelimit_redis_problem(&problem, status, names, n);

        if (ngx_http_api_problem_encode(&problem, cf->pool, &bodies[set])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_ratelimit_redis_problem(ngx_http_api_problem_t *problem,
    ngx_uint_t status, ngx_str_t *names, ngx_uint_t n)
{
    ngx_memzero(problem, sizeof(ngx_http_api_problem_t));

    problem->type = NGX_HTTP_API_PROBLEM_QUOTA;
    problem->title = "Request cannot be satisfied as assigned quota has been "
                     "exceeded";
    problem->status = status;
    problem->list = "violated-policies";
    problem->names = names;
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
            *np = e[i].value;

            return NGX_CONF_OK;
        }

        last = ngx_slprintf(last, buf + sizeof(buf), "%s\"%V\"",
                            i ? ", " : "", &e[i].name);
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


void *
ngx_http_ratelimit_redis_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rmcf->redis = NULL;
     *     rmcf->prefix = { 0, NULL };
     *     rmcf->token_used = 0;
     *     rmcf->token_zone = { NULL, NULL, NULL };
     *     rmcf->token_keys = NULL;
     *     rmcf->token_leeway = 0;
     */

    rmcf->token_size = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&rmcf->token_lists, cf->pool, 4,
                       sizeof(ngx_array_t *))
           != NGX_OK
        || ngx_array_init(&rmcf->token_sinces, cf->pool, 1, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&rmcf->token_prefixes, cf->pool, 4,
                          sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&rmcf->token_files, cf->pool, 1,
                          sizeof(ngx_http_token_file_t))
           != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&rmcf->rules, cf->pool, 4,
                       sizeof(ngx_http_ratelimit_redis_rule_t))
        != NGX_OK
        || ngx_array_init(&rmcf->zones, cf->pool, 4,
                          sizeof(ngx_limiter_zone_t *))
           != NGX_OK
        || ngx_array_init(&rmcf->places, cf->pool, 4, sizeof(ngx_http_place_t))
           != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


char *
ngx_http_ratelimit_redis_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t *rmcf = conf;

    char  *rv;

    if (rmcf->prefix.data == NULL) {
        ngx_str_set(&rmcf->prefix, "rl:");
    }

    if (ngx_limiter_scripts_init(&rmcf->scripts, cf->pool) != NGX_OK
        || ngx_http_ratelimit_redis_conf_common_bodies(cf, rmcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_ratelimit_redis_conf_check(cf, rmcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_ratelimit_redis_fleet_conf(cf, rmcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_ratelimit_redis_health_conf(cf, rmcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_ratelimit_redis_metrics_conf(cf, rmcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_ratelimit_redis_token_conf_init(cf, rmcf);
}


static ngx_int_t
ngx_http_ratelimit_redis_conf_common_bodies(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_http_api_problem_t  problem;

    ngx_memzero(&problem, sizeof(ngx_http_api_problem_t));

    problem.type = NGX_HTTP_API_PROBLEM_CAPACITY;
    problem.title = "Request cannot be satisfied due to temporary server "
                    "capacity constraints";
    problem.status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (ngx_http_api_problem_encode(&problem, cf->pool, &rmcf->unavailable)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* without a type the title is the status's phrase (RFC 9457, 4.2.1) */

    problem.type = NULL;
    problem.title = "Unauthorized";
    problem.status = NGX_HTTP_UNAUTHORIZED;

    if (ngx_http_api_problem_encode(&problem, cf->pool, &rmcf->unauthorized)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    problem.title = "Method Not Allowed";
    problem.status = NGX_HTTP_NOT_ALLOWED;

    return ngx_http_api_problem_encode(&problem, cf->pool,
                                       &rmcf->not_allowed);
}


void *
ngx_http_ratelimit_redis_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ratelimit_redis_loc_conf_t));
    if (rlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rlcf->bodies = NULL;
     *     rlcf->api_keys = NULL;
     *     rlcf->api_since = NULL;
     *     rlcf->token_source = NULL;
     *     rlcf->token_since = NULL;
     *     rlcf->token_jwt = NULL;
     *     rlcf->token_jwt_file = { 0, NULL };
     *     rlcf->token_jwt_line = { NULL, 0 };
     */

    ngx_http_line_here(cf, &rlcf->line);

    rlcf->rules = NGX_CONF_UNSET_PTR;
    rlcf->status = NGX_CONF_UNSET_UINT;
    rlcf->headers = NGX_CONF_UNSET_UINT;
    rlcf->on_error = NGX_CONF_UNSET_UINT;
    rlcf->log_level = NGX_CONF_UNSET_UINT;
    rlcf->dry_run = NGX_CONF_UNSET;
    rlcf->api = NGX_CONF_UNSET_UINT;

    rlcf->token_required = NGX_CONF_UNSET;
    rlcf->token_blacklist = NGX_CONF_UNSET;
    rlcf->token_keys = NGX_CONF_UNSET_PTR;
    rlcf->token_deny = NGX_CONF_UNSET_UINT;
    rlcf->token_revoke_ttl = NGX_CONF_UNSET;
    rlcf->token_revoke = NGX_CONF_UNSET;
    rlcf->token_jwt_algorithms = NGX_CONF_UNSET_UINT;
    rlcf->token_jwt_require = NGX_CONF_UNSET_PTR;
    rlcf->token_jwt_leeway = NGX_CONF_UNSET;

    return rlcf;
}


char *
ngx_http_ratelimit_redis_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_ratelimit_redis_loc_conf_t *prev = parent;
    ngx_http_ratelimit_redis_loc_conf_t *conf = child;

    char  *rv;

    if (conf->rules == NGX_CONF_UNSET_PTR) {

        if (prev->rules == NGX_CONF_UNSET_PTR) {
            prev->rules = ngx_array_create(cf->pool, 1,
                                      sizeof(ngx_http_ratelimit_redis_rule_t));
            if (prev->rules == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        conf->rules = prev->rules;
    }

    ngx_conf_merge_uint_value(conf->status, prev->status,
                              NGX_HTTP_TOO_MANY_REQUESTS);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_RATELIMIT_REDIS_HEADERS_X);
    ngx_conf_merge_uint_value(conf->on_error, prev->on_error,
                              NGX_LIMITER_ON_ERROR_LOCAL);
    ngx_conf_merge_uint_value(conf->log_level, prev->log_level, NGX_LOG_ERR);
    ngx_conf_merge_value(conf->dry_run, prev->dry_run, 0);

    ngx_http_ratelimit_redis_api_merge(cf, prev, conf);
    ngx_http_ratelimit_redis_token_conf_merge_revoke(cf, prev, conf);

    if (conf->token_source == NULL) {
        conf->token_source = prev->token_source;
    }

    ngx_conf_merge_value(conf->token_required, prev->token_required, 0);
    ngx_conf_merge_value(conf->token_blacklist, prev->token_blacklist, 0);
    ngx_conf_merge_ptr_value(conf->token_keys, prev->token_keys, NULL);
    ngx_conf_merge_uint_value(conf->token_deny, prev->token_deny, 1);
    ngx_conf_merge_value(conf->token_revoke_ttl, prev->token_revoke_ttl,
                         30 * 24 * 60 * 60);

    rv = ngx_http_ratelimit_redis_token_jwt_conf_merge(cf, prev, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_ratelimit_redis_token_conf_checked(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ratelimit_redis_advice_merge(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (prev->bodies
        && conf->rules == prev->rules
        && conf->status == prev->status)
    {
        conf->bodies = prev->bodies;
        conf->stages = prev->stages;
        return NGX_CONF_OK;
    }

    if (ngx_http_ratelimit_redis_conf_bodies(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
