
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The ratelimit_redis directive.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_args.h"
#include "ngx_http_ratelimit_redis.h"


static char *ngx_http_ratelimit_redis_conf_rule_level(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static char *ngx_http_ratelimit_redis_conf_rule_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static char *ngx_http_ratelimit_redis_conf_rule_arg(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value,
    ngx_http_ratelimit_redis_rule_t *rule);
static const char *ngx_http_ratelimit_redis_conf_check_delay(
    ngx_http_ratelimit_redis_rule_t *rule);


char *
ngx_http_ratelimit_redis_conf_rule(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    char                                  *rv;
    ngx_str_t                             *value;
    ngx_uint_t                             i;
    ngx_http_ratelimit_redis_rule_t       *rule, *all;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    value = cf->args->elts;

    rv = ngx_http_ratelimit_redis_conf_rule_level(cf, cmd, rlcf);

    if (rv != NGX_CONF_OK || ngx_strcmp(value[1].data, "off") == 0) {
        return rv;
    }

    if (ngx_http_args_once(cf, 1, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rule = ngx_array_push(rlcf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_ratelimit_redis_rule_t));

    rule->on_error = NGX_CONF_UNSET_UINT;

    ngx_http_line_here(cf, &rule->line);

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_ratelimit_redis_conf_rule_arg(cf, cmd, &value[i], rule);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    rv = ngx_http_ratelimit_redis_conf_rule_zone(cf, cmd, rlcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    all = ngx_array_push(&rmcf->rules);
    if (all == NULL) {
        return NGX_CONF_ERROR;
    }

    if (rule->stage == 0) {
        rule->stage = NGX_HTTP_RATELIMIT_REDIS_ACCESS;
    }

    *all = *rule;

    return NGX_CONF_OK;
}


/* Whether one more may stand on its level, which it may be the first of. */

static char *
ngx_http_ratelimit_redis_conf_rule_level(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t   *value;
    ngx_uint_t   off;

    value = cf->args->elts;
    off = (ngx_strcmp(value[1].data, "off") == 0);

    if (rlcf->rules == NGX_CONF_UNSET_PTR) {
        rlcf->rules = ngx_array_create(cf->pool, 2,
                                      sizeof(ngx_http_ratelimit_redis_rule_t));
        if (rlcf->rules == NULL) {
            return NGX_CONF_ERROR;
        }

    } else if (rlcf->rules->nelts == 0 || off) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V off\" must be the only one on its level",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (off && cf->args->nelts != 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" after \"%V off\"",
                           &value[2], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (rlcf->rules->nelts == NGX_LIMITER_MAX_ZONES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many \"%V\" on one level, at most %d",
                           &cmd->name, NGX_LIMITER_MAX_ZONES);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* The last one names a zone, which none before it on its level does. */

static char *
ngx_http_ratelimit_redis_conf_rule_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rule_t  *rules, *rule;

    rules = rlcf->rules->elts;
    rule = &rules[rlcf->rules->nelts - 1];

    if (rule->shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter or be \"off\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < rlcf->rules->nelts - 1; i++) {
        if (rules[i].shm_zone == rule->shm_zone) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has zone \"%V\" twice on one level",
                               &cmd->name, &rule->shm_zone->shm.name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ratelimit_redis_conf_rule_arg(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_ratelimit_redis_rule_t *rule)
{
    ngx_str_t  s;

    if (rule->delay_set
        && (ngx_strcmp(value->data, "nodelay") == 0
            || ngx_strncmp(value->data, "delay=", 6) == 0))
    {
        return "has both \"nodelay\" and \"delay\"";
    }

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
        rule->stage = NGX_HTTP_RATELIMIT_REDIS_ACCESS;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "stage=precontent") == 0) {
        rule->stage = NGX_HTTP_RATELIMIT_REDIS_PRECONTENT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "nodelay") == 0) {
        rule->delay = NGX_LIMITER_MAX_COST;
        rule->delay_set = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "delay=", 6) == 0) {

        s.data = value->data + 6;
        s.len = value->len - 6;

        if (ngx_http_ratelimit_redis_policy_parse(&s, &rule->delay)
            == NGX_OK)
        {
            rule->delay_set = 1;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"%V\", it must be "
                       "\"zone=NAME\", \"nodelay\", \"delay=N\", "
                       "\"stage=access|precontent\", \"dry_run\" or "
                       "\"on_error=local|allow|deny\"", value, &cmd->name);

    return NGX_CONF_ERROR;
}


char *
ngx_http_ratelimit_redis_conf_check(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t                        i;
    const char                       *err;
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = rmcf->rules.elts;

    for (i = 0; i < rmcf->rules.nelts; i++) {

        if (rules[i].shm_zone->data == NULL) {
            ngx_http_line_log(NGX_LOG_EMERG, cf, 0, &rules[i].line,
                              "unknown zone \"%V\" of \"ratelimit_redis\", "
                              "there is no \"ratelimit_redis_zone\" with it",
                              &rules[i].shm_zone->shm.name);
            return NGX_CONF_ERROR;
        }

        err = ngx_http_ratelimit_redis_conf_check_delay(&rules[i]);

        if (err) {
            ngx_http_line_log(NGX_LOG_EMERG, cf, 0, &rules[i].line,
                              "\"ratelimit_redis\" of zone \"%V\" %s",
                              &rules[i].shm_zone->shm.name, err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* what a rule says about waiting has to go with its zone */

static const char *
ngx_http_ratelimit_redis_conf_check_delay(
    ngx_http_ratelimit_redis_rule_t *rule)
{
    ngx_limiter_policy_t             *policy;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = rule->shm_zone->data;
    policy = &rz->zone.policy;

    if (rule->delay_set && policy->algorithm != NGX_LIMITER_GCRA) {
        return "has \"nodelay\" or \"delay\", which need a zone with "
               "\"algorithm=gcra\"";
    }

    if (rz->zone.lease > 1
        && policy->algorithm == NGX_LIMITER_GCRA
        && rule->delay < policy->burst)
    {
        return "needs \"nodelay\", for units of a \"lease\" cannot wait for "
               "their turn";
    }

    return NULL;
}
