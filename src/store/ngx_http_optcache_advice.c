
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_advice.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_place.h"
#include "ngx_http_summary.h"


static ngx_uint_t ngx_http_optcache_advice_user(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_cut(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_nobody(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_password(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_target(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_host(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_key(
    ngx_http_optcache_loc_conf_t *olcf, const char **words);
static ngx_uint_t ngx_http_optcache_advice_api(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);
static ngx_uint_t ngx_http_optcache_advice_purge(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);


typedef ngx_uint_t (*ngx_http_optcache_advice_pt)(ngx_conf_t *cf,
    ngx_http_place_t *place, ngx_http_optcache_loc_conf_t *olcf);


/* 1: it was said, and needs not be said again */

static ngx_http_optcache_advice_pt  ngx_http_optcache_advices[] = {
    ngx_http_optcache_advice_user,
    ngx_http_optcache_advice_cut,
    ngx_http_optcache_advice_nobody,
    ngx_http_optcache_advice_password,
    ngx_http_optcache_advice_target,
    ngx_http_optcache_advice_host,
    ngx_http_optcache_advice_api,
    ngx_http_optcache_advice_purge,
    NULL
};


/* what only a verified token says */

static const char  *ngx_http_optcache_verified[] = {
    "token_sub", "token_user", "token_claim_*", NULL
};

/* what tells nothing of the resource that is asked for */

static const char  *ngx_http_optcache_no_target[] = {
    "host", "scheme", "https", "hostname", "is_args", "request_method",
    "http_*", "cookie_*", "remote_*", "binary_remote_addr", "server_*",
    "ssl_*", "token_*", NULL
};

/* ... or of the host */

static const char  *ngx_http_optcache_no_host[] = {
    "scheme", "https", "is_args", "request_method", "request_uri", "uri",
    "document_uri", "args", "arg_*", "query_string", "cookie_*",
    "http_authorization", "http_accept*", "optcache_body", "token_*", NULL
};


ngx_int_t
ngx_http_optcache_advice_merge(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *conf)
{
    ngx_http_optcache_main_conf_t  *omcf;

    if (conf->zone == NULL
        && conf->api == NGX_HTTP_OPTCACHE_API_OFF
        && conf->purge == NULL)
    {
        return NGX_OK;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);

    return ngx_http_place_add(cf, &omcf->places, &conf->line);
}


void
ngx_http_optcache_advice(ngx_conf_t *cf, ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t         i, j;
    ngx_http_place_t  *place;

    place = omcf->places.elts;

    for (i = 0; ngx_http_optcache_advices[i]; i++) {

        for (j = 0; j < omcf->places.nelts; j++) {

            if (ngx_http_optcache_advices[i](cf, &place[j],
                       place[j].loc_conf[ngx_http_optcache_module.ctx_index]))
            {
                break;
            }
        }
    }
}


/* One partition for all, as if they were one user, where they are several. */

static ngx_uint_t
ngx_http_optcache_advice_user(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    if (olcf->zone == NULL
        || olcf->user == NULL
        || olcf->user->complex.lengths
        || olcf->user->complex.value.len == 0)
    {
        return 0;
    }

    if (ngx_http_place_bare(cf, &olcf->user->complex.value)) {
        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"optcache_user %V\" is the same user for all in "
                          "location \"%V\": expected \"$%V\"",
                          &olcf->user->complex.value,
                          ngx_http_place_name(place),
                          &olcf->user->complex.value);
        return 1;
    }

    if (!ngx_http_place_authenticated(cf, place)) {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"optcache_user %V\" is the same user for all in "
                      "location \"%V\", which tells users apart: each gets "
                      "what is private to others",
                      &olcf->user->complex.value,
                      ngx_http_place_name(place));

    return 1;
}


/* The cookie of a user, whose name nginx ends at a dot: all have the rest. */

static ngx_uint_t
ngx_http_optcache_advice_cut(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    char       *directive;
    ngx_str_t   name, rest;

    if (olcf->zone == NULL) {
        return 0;
    }

    if (olcf->user
        && ngx_http_place_cut(&olcf->user->complex.value, &name, &rest))
    {
        directive = "optcache_user";

    } else if (olcf->key
               && ngx_http_place_cut(&olcf->key->complex.value, &name, &rest))
    {
        directive = "optcache_key";

    } else {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"$%V%V\" of \"%s\" in location \"%V\" is \"$%V\" "
                      "and the text \"%V\": a name of a variable has no dot "
                      "and no dash", &name, &rest, directive,
                      ngx_http_place_name(place), &name, &rest);

    return 1;
}


/* The user of a token that nobody verifies: all are in the shared partition. */

static ngx_uint_t
ngx_http_optcache_advice_nobody(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    size_t      pos;
    ngx_str_t  *name, variable;

    /* a server as a whole has no name: its locations may have the keys */

    name = ngx_http_place_name(place);

    if (olcf->zone == NULL
        || olcf->user == NULL
        || name->len == 0
        || ngx_http_place_verified(cf, place))
    {
        return 0;
    }

    pos = 0;

    while (ngx_http_place_variable(&olcf->user->complex.value, &pos, &variable)
           == NGX_OK)
    {
        if (!ngx_http_place_listed(&variable, ngx_http_optcache_verified)) {
            continue;
        }

        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"$%V\" of \"optcache_user\" is always empty in "
                          "location \"%V\", where no token is verified: "
                          "expected \"token_jwt_keys\"", &variable, name);

        return 1;
    }

    return 0;
}


/* A name without its password, which is for the upstream to look at. */

static ngx_uint_t
ngx_http_optcache_advice_password(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    size_t      pos;
    ngx_str_t  *name, variable;
    ngx_uint_t  found;

    static const char  *password[] = { "http_authorization", NULL };
    static const char  *user[] = { "remote_user", NULL };

    /* a server as a whole has no name: its locations may ask for it */

    name = ngx_http_place_name(place);

    if (olcf->zone == NULL
        || olcf->user == NULL
        || name->len == 0
        || ngx_http_place_authenticated(cf, place))
    {
        return 0;
    }

    pos = 0;
    found = 0;

    while (ngx_http_place_variable(&olcf->user->complex.value, &pos, &variable)
           == NGX_OK)
    {
        if (ngx_http_place_listed(&variable, password)) {
            return 0;
        }

        /* braces say that it is meant */

        found |= variable.data[-1] == '$'
                 && ngx_http_place_listed(&variable, user);
    }

    if (!found) {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"$remote_user\" of \"optcache_user\" is whoever a "
                      "client says to be in location \"%V\", where no password "
                      "is looked at: expected \"$http_authorization\", or "
                      "\"auth_basic\"", name);
    return 1;
}


static ngx_uint_t
ngx_http_optcache_advice_target(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = place->loc_conf[ngx_http_core_module.ctx_index];

    if (olcf->zone == NULL
        || olcf->key == NULL
        || clcf->exact_match
        || !ngx_http_optcache_advice_key(olcf, ngx_http_optcache_no_target))
    {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"optcache_key %V\" is the same for all that location "
                      "\"%V\" is asked for, expected \"$request_uri\" or "
                      "the like", &olcf->key->complex.value,
                      ngx_http_place_name(place));

    return 1;
}


/* Two sites in one zone, whose pages have the same names. */

static ngx_uint_t
ngx_http_optcache_advice_host(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_uint_t                      i;
    ngx_http_place_t               *other;
    ngx_http_core_srv_conf_t       *cscf, *ocscf;
    ngx_http_optcache_loc_conf_t   *oolcf;
    ngx_http_optcache_main_conf_t  *omcf;

    if (olcf->zone == NULL
        || olcf->key == NULL
        || !ngx_http_optcache_advice_key(olcf, ngx_http_optcache_no_host))
    {
        return 0;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);
    cscf = place->srv_conf[ngx_http_core_module.ctx_index];
    other = omcf->places.elts;

    for (i = 0; &other[i] < place; i++) {

        /* there may be thousands of locations, and each is compared with all */

        if (other[i].srv_conf == place->srv_conf) {
            continue;
        }

        oolcf = other[i].loc_conf[ngx_http_optcache_module.ctx_index];
        ocscf = other[i].srv_conf[ngx_http_core_module.ctx_index];

        if (oolcf->zone != olcf->zone
            || oolcf->key == NULL
            || oolcf->key->complex.value.len != olcf->key->complex.value.len
            || ngx_strncmp(oolcf->key->complex.value.data,
                           olcf->key->complex.value.data,
                           olcf->key->complex.value.len)
               != 0
            || (ocscf->server_name.len == cscf->server_name.len
                && ngx_strncmp(ocscf->server_name.data,
                               cscf->server_name.data, cscf->server_name.len)
                   == 0))
        {
            continue;
        }

        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"optcache_key %V\" is the same for the servers "
                          "\"%V\" and \"%V\", which share the zone \"%V\", "
                          "expected \"$host\" in it",
                          &olcf->key->complex.value, &ocscf->server_name,
                          &cscf->server_name, &olcf->zone->name);
        return 1;
    }

    return 0;
}


/* 1 if the key has no other variables than these */

static ngx_uint_t
ngx_http_optcache_advice_key(ngx_http_optcache_loc_conf_t *olcf,
    const char **words)
{
    size_t     pos;
    ngx_str_t  name;

    pos = 0;

    while (ngx_http_place_variable(&olcf->key->complex.value, &pos, &name)
           == NGX_OK)
    {
        if (!ngx_http_place_listed(&name, words)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_optcache_advice_api(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    if (olcf->api != NGX_HTTP_OPTCACHE_API_WRITE
        || !ngx_http_place_open(cf, place))
    {
        return 0;
    }

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                      "\"optcache_api write=on\" in location \"%V\" lets "
                      "anybody purge, expected \"allow\" and \"deny\" or the "
                      "like",
                      ngx_http_place_name(place));

    return 1;
}


/* The method PURGE where a value of the list is true whoever asks. */

static ngx_uint_t
ngx_http_optcache_advice_purge(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *value;

    /* a server as a whole has no name: its locations may be guarded */

    if (olcf->purge == NULL
        || ngx_http_place_name(place)->len == 0
        || !ngx_http_place_open(cf, place))
    {
        return 0;
    }

    value = olcf->purge->elts;

    for (i = 0; i < olcf->purge->nelts; i++) {

        if (value[i].lengths
            || value[i].value.len == 0
            || (value[i].value.len == 1 && value[i].value.data[0] == '0'))
        {
            continue;
        }

        ngx_http_line_log(NGX_LOG_WARN, cf, 0, place->line,
                          "\"optcache_purge %V\" in location \"%V\" lets "
                          "anybody purge, expected a variable, or \"allow\" "
                          "and \"deny\" or the like", &value[i].value,
                          ngx_http_place_name(place));
        return 1;
    }

    return 0;
}


void
ngx_http_optcache_advice_summary(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t                      i;
    ngx_http_place_t               *place;
    ngx_http_summary_t              s;
    ngx_optcache_l1_t             **zones;
    ngx_http_optcache_loc_conf_t   *olcf;

    ngx_http_summary_start(&s, "optcache", omcf->zones.nelts);

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {
        ngx_http_summary_zone(&s, &zones[i]->name, zones[i]->shpool);
    }

    ngx_http_summary_redis(&s, omcf->redis);

    if (omcf->postgres) {
        ngx_http_summary_word(&s, "postgres");
    }

    place = omcf->places.elts;

    for (i = 0; i < omcf->places.nelts; i++) {
        olcf = place[i].loc_conf[ngx_http_optcache_module.ctx_index];

        if (olcf->api != NGX_HTTP_OPTCACHE_API_OFF) {
            ngx_http_summary_word(&s, "api");
            break;
        }
    }

    ngx_http_summary_log(&s, cycle->log);
}
