
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_place.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_ratelimit_redis_advice.h"
#include "ngx_http_ratelimit_redis_api.h"
#include "ngx_http_summary.h"


/* addresses as whoever sends the request would like them to be */

static const char  *ngx_http_ratelimit_redis_claimed[] = {
    "proxy_add_x_forwarded_for", "http_x_forwarded_for", "http_forwarded",
    "http_x_real_ip", "http_true_client_ip", "http_client_ip",
    "http_x_client_ip", "http_x_cluster_client_ip", "http_x_originating_ip",
    "http_x_remote_ip", "http_x_remote_addr", "http_cf_connecting_ip",
    "http_cf_connecting_ipv6", "http_fastly_client_ip", NULL
};


/* what only a verified token says, and what any token has */

static const char  *ngx_http_ratelimit_redis_verified[] = {
    "token_sub", "token_user", "token_exp", "token_claim_*", NULL
};

static const char  *ngx_http_ratelimit_redis_digest[] = {
    "token_digest", NULL
};


static ngx_uint_t ngx_http_ratelimit_redis_advice_nobody(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_uint_t ngx_http_ratelimit_redis_advice_malformed(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_uint_t ngx_http_ratelimit_redis_advice_unverified(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_uint_t ngx_http_ratelimit_redis_advice_api(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_uint_t ngx_http_ratelimit_redis_advice_revoke(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_str_t *ngx_http_ratelimit_redis_advice_subject(
    ngx_http_ratelimit_redis_rule_t *rule);
static ngx_uint_t ngx_http_ratelimit_redis_advice_only(ngx_str_t *key,
    const char **words, ngx_str_t *variable);
static ngx_uint_t ngx_http_ratelimit_redis_advice_claims(
    ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static void ngx_http_ratelimit_redis_advice_nothing(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


typedef ngx_uint_t (*ngx_http_ratelimit_redis_advice_pt)(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf);


/* 1: it was said, and needs not be said again */

static ngx_http_ratelimit_redis_advice_pt
    ngx_http_ratelimit_redis_advices[] =
{
    ngx_http_ratelimit_redis_advice_nobody,
    ngx_http_ratelimit_redis_advice_malformed,
    ngx_http_ratelimit_redis_advice_unverified,
    ngx_http_ratelimit_redis_advice_api,
    ngx_http_ratelimit_redis_advice_revoke,
    NULL
};


void
ngx_http_ratelimit_redis_advice_key(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *key)
{
    size_t     pos;
    ngx_str_t  variable, rest;

    if (ngx_http_place_cut(key, &variable, &rest)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the key of zone \"%V\" has \"$%V%V\", which is "
                           "\"$%V\" and the text \"%V\": a name of a variable "
                           "has no dot and no dash",
                           name, &variable, &rest, &variable, &rest);
        return;
    }

    if (ngx_http_place_bare(cf, key)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the key of zone \"%V\" is the word \"%V\", the "
                           "same for all requests: expected \"$%V\"",
                           name, key, key);
        return;
    }

    pos = 0;

    while (ngx_http_place_variable(key, &pos, &variable) == NGX_OK) {

        if (!ngx_http_place_listed(&variable,
                                   ngx_http_ratelimit_redis_claimed))
        {
            continue;
        }

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the key of zone \"%V\" has \"$%V\", which is "
                           "whatever a client sends: expected "
                           "\"$ratelimit_redis_addr\" or \"$remote_addr\", "
                           "and \"set_real_ip_from\"", name, &variable);
        return;
    }
}


ngx_int_t
ngx_http_ratelimit_redis_advice_merge(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *conf)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (conf->rules->nelts == 0
        && conf->api == NGX_HTTP_RATELIMIT_REDIS_API_OFF
        && !conf->token_blacklist
        && !conf->token_required
        && !conf->token_revoke)
    {
        return NGX_OK;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);

    return ngx_http_place_add(cf, &rmcf->places, &conf->line);
}


void
ngx_http_ratelimit_redis_advice(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t         i, j;
    ngx_http_place_t  *place;

    place = rmcf->places.elts;

    for (i = 0; ngx_http_ratelimit_redis_advices[i]; i++) {

        for (j = 0; j < rmcf->places.nelts; j++) {

            if (ngx_http_ratelimit_redis_advices[i](cf, &place[j],
                place[j].loc_conf[ngx_http_ratelimit_redis_module.ctx_index]))
            {
                break;
            }
        }
    }

    ngx_http_ratelimit_redis_advice_nothing(cf, rmcf);
}


static void
ngx_http_ratelimit_redis_advice_nothing(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t                            i;
    ngx_http_line_t                      *asked;
    ngx_http_place_t                     *place;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    if (rmcf->redis) {
        return;
    }

    asked = NULL;
    place = rmcf->places.elts;

    for (i = 0; i < rmcf->places.nelts; i++) {
        rlcf = place[i].loc_conf[ngx_http_ratelimit_redis_module.ctx_index];

        if (rlcf->token_revoke
            || rlcf->api == NGX_HTTP_RATELIMIT_REDIS_API_WRITE)
        {
            return;
        }

        if (asked == NULL && rlcf->token_blacklist) {
            asked = place[i].line;
        }
    }

    if (asked) {
        ngx_http_line_log(NGX_LOG_WARN, cf, 0, asked,
                          "\"token_blacklist\" has nothing to refuse: there is "
                          "neither \"ratelimit_redis_server\" nor "
                          "\"token_revoke\" nor \"ratelimit_redis_api "
                          "write=on\"");
    }
}


static ngx_uint_t
ngx_http_ratelimit_redis_advice_api(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    if (rlcf->api != NGX_HTTP_RATELIMIT_REDIS_API_WRITE
        || !ngx_http_place_open(cf, place))
    {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"ratelimit_redis_api write=on\" in location \"%V\" "
                      "lets anybody reset limits and revoke tokens, expected "
                      "\"allow\" and \"deny\" or the like",
                      ngx_http_place_name(place));

    return 1;
}


/*
 * A limit by what a token says, where none is ever verified: the key is empty,
 * and nobody is limited, or it is the same for all.
 */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_nobody(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t                         variable;
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rule_t  *rules;

    /* of "token_jwt_keys off" and of servers, see advice_unverified() */

    if (rlcf->token_jwt_file.data || ngx_http_place_name(place)->len == 0) {
        return 0;
    }

    rules = rlcf->rules->elts;

    for (i = 0; i < rlcf->rules->nelts; i++) {

        if (!ngx_http_ratelimit_redis_advice_only(
                          ngx_http_ratelimit_redis_advice_subject(&rules[i]),
                          ngx_http_ratelimit_redis_verified, &variable))
        {
            continue;
        }

        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"$%V\" in the key of zone \"%V\" is always empty "
                          "in location \"%V\", where no token is verified: "
                          "expected \"token_jwt_keys\"", &variable,
                          &rules[i].shm_zone->shm.name,
                          ngx_http_place_name(place));
        return 1;
    }

    return 0;
}


/* A limit by tokens alone, where what cannot be a token is not refused. */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_malformed(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t                         variable;
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rule_t  *rules;

    if (rlcf->token_required
        || rlcf->token_blacklist
        || rlcf->token_jwt
        || rlcf->rules->nelts == 0
        || ngx_http_place_name(place)->len == 0)
    {
        return 0;
    }

    rules = rlcf->rules->elts;

    /* one by something else limits them, too */

    for (i = 0; i < rlcf->rules->nelts; i++) {

        if (!ngx_http_ratelimit_redis_advice_only(
                          ngx_http_ratelimit_redis_advice_subject(&rules[i]),
                          ngx_http_ratelimit_redis_digest, &variable))
        {
            return 0;
        }
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"$%V\" in the key of zone \"%V\" is empty with a "
                      "malformed token, which location \"%V\" lets pass "
                      "without a limit: expected \"token_required\" or "
                      "\"token_blacklist\"", &variable,
                      &rules[0].shm_zone->shm.name,
                      ngx_http_place_name(place));

    return 1;
}


/* A key that is of all tokens, which is revoked with the first of them. */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_revoke(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *key;

    if (!rlcf->token_revoke || rlcf->token_keys == NULL) {
        return 0;
    }

    key = rlcf->token_keys->elts;

    for (i = 0; i < rlcf->token_keys->nelts; i++) {

        if (key[i].lengths) {
            continue;
        }

        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"token_blacklist_key %V\" is the same for all "
                          "tokens, \"token_revoke\" in location \"%V\" revokes "
                          "all of them at once: expected \"$token_digest\" or "
                          "the like in it", &key[i].value,
                          ngx_http_place_name(place));
        return 1;
    }

    return 0;
}


static ngx_str_t *
ngx_http_ratelimit_redis_advice_subject(ngx_http_ratelimit_redis_rule_t *rule)
{
    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = rule->shm_zone->data;

    return &rz->key.value;
}


/* 1 if the key has variables, the last of them *variable, and only these */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_only(ngx_str_t *key, const char **words,
    ngx_str_t *variable)
{
    size_t  pos;

    pos = 0;

    while (ngx_http_place_variable(key, &pos, variable) == NGX_OK) {
        if (!ngx_http_place_listed(variable, words)) {
            return 0;
        }
    }

    return pos != 0;
}


/* Whether all keys of the blacklist are made of what a verified token says. */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_claims(
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_str_t                  variable;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *key;

    if (rlcf->token_keys == NULL) {
        return 0;
    }

    key = rlcf->token_keys->elts;

    for (i = 0; i < rlcf->token_keys->nelts; i++) {

        if (!ngx_http_ratelimit_redis_advice_only(&key[i].value,
                                          ngx_http_ratelimit_redis_verified,
                                          &variable))
        {
            return 0;
        }
    }

    return 1;
}


/* What is said of tokens, where none is ever verified. */

static ngx_uint_t
ngx_http_ratelimit_redis_advice_unverified(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    char  *directive;

    /*
     * "token_jwt_keys off" has data, and says that it is meant.  A server as a
     * whole has no name: its locations may have the keys.
     */

    if (rlcf->token_jwt_file.data || ngx_http_place_name(place)->len == 0) {
        return 0;
    }

    if ((rlcf->token_blacklist || rlcf->token_revoke)
        && ngx_http_ratelimit_redis_advice_claims(rlcf))
    {
        directive = "token_blacklist_key";

    } else if (rlcf->token_blacklist && rlcf->token_since) {
        directive = "token_blacklist_since_key";

    } else if (!rlcf->token_blacklist && !rlcf->token_required) {
        return 0;

    } else if (rlcf->token_jwt_require) {
        directive = "token_jwt_require";

    } else if (rlcf->token_jwt_algorithms) {
        directive = "token_jwt_algorithms";

    } else {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"%s\" in location \"%V\" does nothing, tokens are not "
                      "verified there: expected \"token_jwt_keys\"",
                      directive, ngx_http_place_name(place));

    return 1;
}


void
ngx_http_ratelimit_redis_advice_summary(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t                             i, api, blacklist;
    ngx_http_place_t                      *place;
    ngx_http_summary_t                     s;
    ngx_limiter_zone_t                   **zones;
    ngx_http_ratelimit_redis_loc_conf_t   *rlcf;

    ngx_http_summary_start(&s, "ratelimit_redis", rmcf->zones.nelts);

    zones = rmcf->zones.elts;

    for (i = 0; i < rmcf->zones.nelts; i++) {
        ngx_http_summary_zone(&s, &zones[i]->name, zones[i]->shpool);
    }

    ngx_http_summary_redis(&s, rmcf->redis);

    if (rmcf->token_postgres) {
        ngx_http_summary_word(&s, "postgres");
    }

    api = 0;
    blacklist = 0;
    place = rmcf->places.elts;

    for (i = 0; i < rmcf->places.nelts; i++) {
        rlcf = place[i].loc_conf[ngx_http_ratelimit_redis_module.ctx_index];

        api |= (rlcf->api != NGX_HTTP_RATELIMIT_REDIS_API_OFF);
        blacklist |= (rlcf->token_blacklist != 0);
    }

    if (blacklist) {
        ngx_http_summary_word(&s, "blacklist");
    }

    if (api) {
        ngx_http_summary_word(&s, "api");
    }

    ngx_http_summary_log(&s, cycle->log);
}
