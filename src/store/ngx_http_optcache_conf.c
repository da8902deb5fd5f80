
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_advice.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_conf.h"
#include "ngx_http_place.h"


static ngx_int_t ngx_http_optcache_conf_zone_name(ngx_conf_t *cf,
    ngx_str_t *name);
static ngx_uint_t ngx_http_optcache_conf_own(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev);
static ngx_int_t ngx_http_optcache_conf_location(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf);
static char *ngx_http_optcache_conf_merge_zone(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf);


ngx_str_t  ngx_http_optcache_gzip_types[] = {
    ngx_string("text/html"),
    ngx_string("text/plain"),
    ngx_string("text/css"),
    ngx_string("text/xml"),
    ngx_string("text/javascript"),
    ngx_string("application/json"),
    ngx_string("application/problem+json"),
    ngx_string("application/javascript"),
    ngx_string("application/xml"),
    ngx_string("image/svg+xml"),
    ngx_null_string
};


void *
ngx_http_optcache_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_optcache_main_conf_t));
    if (omcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     omcf->redis = NULL;
     *     omcf->client = NULL;
     *     omcf->watch = NULL;
     *     omcf->metrics = NULL;
     *     omcf->counts = NULL;
     *     omcf->postgres = NULL;
     *     omcf->postgres_zone = NULL;
     *     omcf->prefix = { 0, NULL };
     *     omcf->ledger = NULL;
     *     omcf->teller = NULL;
     *     omcf->reader = NULL;
     *     omcf->max_size = 0;
     *     omcf->threads = NULL;
     *     omcf->gzip = 0;
     *     omcf->leases = 0;
     *     omcf->warned = 0;
     */

    if (ngx_array_init(&omcf->zones, cf->pool, 1, sizeof(ngx_optcache_l1_t *))
        != NGX_OK
        || ngx_array_init(&omcf->places, cf->pool, 4, sizeof(ngx_http_place_t))
           != NGX_OK)
    {
        return NULL;
    }

    return omcf;
}


char *
ngx_http_optcache_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_optcache_main_conf_t *omcf = conf;

    /* "http" and a host that begins with "s" are not "https" and the rest */

    static ngx_str_t  key = ngx_string("$scheme://$host$request_uri");
    static ngx_str_t  user = ngx_string("$http_authorization");
    static ngx_str_t  until = ngx_string("token_exp");
    static ngx_str_t  token = ngx_string("token_elsewhere");

    if (omcf->prefix.data == NULL) {
        ngx_str_set(&omcf->prefix, "oc:");
    }

    if (ngx_http_optcache_value_compile(cf, &key, &omcf->key) != NGX_OK
        || ngx_http_optcache_value_compile(cf, &user, &omcf->user) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* given by the other module, which need not be there */

    omcf->until = -1;

    if (ngx_http_optcache_conf_has_variable(cf, "token_exp")) {
        omcf->until = ngx_http_get_variable_index(cf, &until);

        if (omcf->until == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    omcf->token = -1;

    if (ngx_http_optcache_conf_has_variable(cf, "token_elsewhere")) {
        omcf->token = ngx_http_get_variable_index(cf, &token);

        if (omcf->token == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


void *
ngx_http_optcache_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_optcache_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_optcache_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->zone = NULL;
     *     conf->zone_name = { 0, NULL };
     *     conf->zone_line = { NULL, 0 };
     *     conf->key = NULL;
     *     conf->user = NULL;
     *     conf->until = NULL;
     *     conf->ignore = 0;
     *     conf->methods = 0;
     *     conf->methods_line = { NULL, 0 };
     *     conf->use_stale = 0;
     *     conf->gzip_types = { NULL };
     *     conf->gzip_types_keys = NULL;
     *     conf->api_degraded = 0;
     *     conf->api_ratelimit = { 0, NULL };
     *     conf->api_policy = { 0, NULL };
     *     conf->own = 0;
     */

    ngx_http_line_here(cf, &conf->line);

    conf->valid = NGX_CONF_UNSET_PTR;
    conf->tags = NGX_CONF_UNSET_PTR;
    conf->bypass = NGX_CONF_UNSET_PTR;
    conf->no_store = NGX_CONF_UNSET_PTR;
    conf->purge = NGX_CONF_UNSET_PTR;
    conf->api = NGX_CONF_UNSET_UINT;
    conf->max_size = NGX_CONF_UNSET_SIZE;
    conf->headers = NGX_CONF_UNSET_UINT;
    conf->set_cookie = NGX_CONF_UNSET_UINT;
    conf->min_uses = NGX_CONF_UNSET;
    conf->share_public = NGX_CONF_UNSET;
    conf->no_vary_search = NGX_CONF_UNSET;
    conf->close_delimited = NGX_CONF_UNSET;
    conf->revalidate = NGX_CONF_UNSET;
    conf->invalidate_on_write = NGX_CONF_UNSET;
    conf->redis = NGX_CONF_UNSET;
    conf->lock = NGX_CONF_UNSET;
    conf->lock_timeout = NGX_CONF_UNSET_MSEC;
    conf->gzip = NGX_CONF_UNSET;
    conf->gzip_level = NGX_CONF_UNSET;
    conf->gzip_min_length = NGX_CONF_UNSET_SIZE;

    return conf;
}


char *
ngx_http_optcache_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_optcache_loc_conf_t *prev = parent;
    ngx_http_optcache_loc_conf_t *conf = child;

    char                           *rv;
    ngx_http_optcache_main_conf_t  *omcf;

    if (conf->key == NULL) {
        conf->key = prev->key;
    }

    if (conf->user == NULL) {
        conf->user = prev->user;
    }

    if (conf->methods == 0) {
        conf->methods = prev->methods ? prev->methods
                                      : NGX_HTTP_GET|NGX_HTTP_HEAD;
    }

    ngx_conf_merge_ptr_value(conf->valid, prev->valid, NULL);
    ngx_conf_merge_ptr_value(conf->bypass, prev->bypass, NULL);
    ngx_conf_merge_ptr_value(conf->no_store, prev->no_store, NULL);
    ngx_conf_merge_ptr_value(conf->purge, prev->purge, NULL);
    ngx_conf_merge_size_value(conf->max_size, prev->max_size, 1024 * 1024);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_OPTCACHE_HEADERS_X);

    ngx_conf_merge_value(conf->revalidate, prev->revalidate, 1);
    ngx_conf_merge_value(conf->redis, prev->redis, 1);
    ngx_conf_merge_bitmask_value(conf->use_stale, prev->use_stale,
                                 NGX_CONF_BITMASK_SET
                                 |NGX_HTTP_UPSTREAM_FT_ERROR
                                 |NGX_HTTP_UPSTREAM_FT_TIMEOUT);

    if (conf->use_stale & NGX_HTTP_UPSTREAM_FT_OFF) {
        conf->use_stale = NGX_CONF_BITMASK_SET|NGX_HTTP_UPSTREAM_FT_OFF;
    }

    ngx_conf_merge_value(conf->lock, prev->lock, 1);
    ngx_conf_merge_msec_value(conf->lock_timeout, prev->lock_timeout, 5000);

    ngx_conf_merge_value(conf->gzip, prev->gzip, 0);
    ngx_conf_merge_value(conf->gzip_level, prev->gzip_level, 5);
    ngx_conf_merge_size_value(conf->gzip_min_length, prev->gzip_min_length,
                              1024);

    if (ngx_http_merge_types(cf, &conf->gzip_types_keys, &conf->gzip_types,
                             &prev->gzip_types_keys, &prev->gzip_types,
                             ngx_http_optcache_gzip_types)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_optcache_api_merge(cf, prev, conf);

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);
    omcf->max_size = ngx_max(omcf->max_size, conf->max_size);

    conf->tries = ngx_http_place_tries(cf);
    conf->adds = ngx_http_place_adds(cf);

    if (ngx_http_optcache_conf_location(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf->own = ngx_http_optcache_conf_own(cf, prev);

    rv = ngx_http_optcache_conf_merge_zone(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (conf->zone && conf->key
        && !ngx_http_optcache_value_of_uri(conf->key))
    {
        conf->zone->several = 1;
    }

    if (conf->zone && conf->gzip) {
        omcf->gzip = 1;
    }

    if (conf->zone && conf->lock && conf->redis) {
        omcf->leases = 1;
    }

    if (ngx_http_optcache_advice_merge(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_optcache_conf_merge_rules(cf, prev, conf);
}


/*
 * What these modules answer themselves is of the moment, and a POST there is
 * no write to a resource: no cache has to do with it.
 */

static ngx_uint_t
ngx_http_optcache_conf_own(ngx_conf_t *cf, ngx_http_optcache_loc_conf_t *prev)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    return (clcf->noname && prev->own) || ngx_http_place_own(cf);
}


/*
 * A named location, and "$name", which is found by the value of a variable
 * (nginx 1.31.5), may be asked for by the same URI as another one.  An "if"
 * within has the name, but is not "named".
 */

static ngx_int_t
ngx_http_optcache_conf_location(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf)
{
    u_char                    *p;
    ngx_str_t                 *name;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    name = &clcf->name;

    conf->location = prev->location;

    if (clcf->noname
        || name->len == 0
        || (name->data[0] != '@' && name->data[0] != '$'))
    {
        return NGX_OK;
    }

    conf->location.len = prev->location.len + name->len;
    conf->location.data = ngx_pnalloc(cf->pool, conf->location.len);

    if (conf->location.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_text_copy(conf->location.data, &prev->location);
    (void) ngx_text_copy(p, name);

    return NGX_OK;
}


/* A zone may be used above its definition, so its name is looked up now. */

static char *
ngx_http_optcache_conf_merge_zone(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf)
{
    ngx_uint_t                       i;
    ngx_optcache_l1_t              **zones;
    ngx_http_optcache_main_conf_t   *omcf;

    if (conf->zone_name.data == NULL) {
        conf->zone_name = prev->zone_name;
        conf->zone_line = prev->zone_line;
    }

    if (conf->zone_name.len == 0) {
        /* not set, or "off" */
        return NGX_CONF_OK;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);
    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {

        if (zones[i]->name.len == conf->zone_name.len
            && ngx_strncmp(zones[i]->name.data, conf->zone_name.data,
                           conf->zone_name.len)
               == 0)
        {
            conf->zone = conf->own ? NULL : zones[i];
            return NGX_CONF_OK;
        }
    }

    ngx_http_line_log(NGX_LOG_EMERG, cf, 0, &conf->zone_line,
                      "optcache uses the zone \"%V\", which no "
                      "\"optcache_zone\" directive defines",
                      &conf->zone_name);

    return NGX_CONF_ERROR;
}


char *
ngx_http_optcache_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_main_conf_t *omcf = conf;

    u_char              *p;
    ssize_t              size;
    ngx_str_t           *value, name, s;
    ngx_optcache_l1_t  **l1;

    value = cf->args->elts;

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"optcache_zone\", "
                           "expected NAME:SIZE", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = p - value[1].data;

    if (ngx_http_optcache_conf_zone_name(cf, &name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of the zone \"%V\" in "
                           "\"optcache_zone\", expected a number of bytes, "
                           "k or m", &s, &name);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "size \"%V\" of the zone \"%V\" in "
                           "\"optcache_zone\" is too small, expected at least "
                           "%uz", &s, &name, (size_t) (8 * ngx_pagesize));
        return NGX_CONF_ERROR;
    }

    if ((uint64_t) size > NGX_OPTCACHE_L1_SIZE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "size \"%V\" of the zone \"%V\" in "
                           "\"optcache_zone\" is too large, expected at most "
                           "%uL", &s, &name, NGX_OPTCACHE_L1_SIZE_MAX);
        return NGX_CONF_ERROR;
    }

    l1 = ngx_array_push(&omcf->zones);
    if (l1 == NULL) {
        return NGX_CONF_ERROR;
    }

    *l1 = ngx_optcache_l1_create(cf, &name, size, &ngx_http_optcache_module);

    return (*l1 == NULL) ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* Whether "optcache" can name the zone, and somebody may mean it. */

static ngx_int_t
ngx_http_optcache_conf_zone_name(ngx_conf_t *cf, ngx_str_t *name)
{
    u_char  *p, *last;

    if (name->len == 3 && ngx_strncmp(name->data, "off", 3) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"off\" in \"optcache_zone\", no "
                           "\"optcache\" could use the zone");
        return NGX_ERROR;
    }

    last = name->data + name->len;

    for (p = name->data; p < last; p++) {

        if (*p == '=' || *p == '$') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\" in \"optcache_zone\", "
                               "expected NAME:SIZE without \"=\" and \"$\"",
                               name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


char *
ngx_http_optcache_conf_use(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ngx_str_t  *value;

    if (olcf->zone_name.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty zone in \"optcache\", expected a name or "
                           "\"off\"");
        return NGX_CONF_ERROR;
    }

    olcf->zone_name = value[1];
    ngx_http_line_here(cf, &olcf->zone_line);

    if (ngx_strcmp(value[1].data, "off") == 0) {
        olcf->zone_name.len = 0;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_optcache_conf_methods(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (olcf->methods) {
        return "is duplicate";
    }

    ngx_http_line_here(cf, &olcf->methods_line);

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "GET") == 0) {
            olcf->methods |= NGX_HTTP_GET;

        } else if (ngx_strcmp(value[i].data, "HEAD") == 0) {
            olcf->methods |= NGX_HTTP_HEAD;

        } else if (ngx_strcmp(value[i].data, "POST") == 0) {
            olcf->methods |= NGX_HTTP_POST;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid method \"%V\" in "
                               "\"optcache_methods\", expected GET, HEAD or "
                               "POST", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_optcache_conf_redis_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_optcache_main_conf_t *omcf = conf;

    if (omcf->redis) {
        return "is duplicate";
    }

    return ngx_redis_conf_parse(cf, &omcf->redis);
}


char *
ngx_http_optcache_conf_valid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf,
                         ngx_http_file_cache_valid_set_slot,
                         "codes of 100 to 599 or \"any\", and a time");
}


char *
ngx_http_optcache_conf_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_enum_slot,
                         "\"off\", \"x\", \"ietf\" or \"all\"");
}


char *
ngx_http_optcache_conf_use_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf,
                         ngx_conf_set_bitmask_slot,
                         "\"error\", \"timeout\", \"invalid_header\", "
                         "\"updating\", \"http_500\", \"http_502\", "
                         "\"http_503\", \"http_504\", \"http_403\", "
                         "\"http_404\", \"http_429\" or \"off\"");
}


char *
ngx_http_optcache_conf_gzip_level(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_num_slot,
                         "a number of 1 to 9");
}


char *
ngx_http_optcache_conf_gzip_min_length(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_size_slot,
                         "a number of bytes, k or m");
}


char *
ngx_http_optcache_conf_lock_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_msec_slot,
                         "a time");
}


char *
ngx_http_optcache_conf_expect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf,
    ngx_http_optcache_conf_slot_pt slot, const char *expected)
{
    char       *rv;
    ngx_log_t  *log, silent;
    ngx_str_t  *value;

    log = cf->log;

    if (cf->args->nelts == 2 && slot != ngx_conf_set_bitmask_slot) {

        /* all that it logs is the mistake that is told of below */

        silent = *log;
        silent.log_level = NGX_LOG_STDERR;
        cf->log = &silent;
    }

    rv = slot(cf, cmd, conf);

    cf->log = log;

    if (rv == NGX_CONF_OK
        || (rv != NGX_CONF_ERROR && ngx_strcmp(rv, "is duplicate") == 0))
    {
        return rv;
    }

    /* or a text that does not tell the value, as "invalid number" */

    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\", expected %s",
                           &value[1], &cmd->name, expected);

    } else {
        /* of several values, the slot has said which one */
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid values in \"%V\", expected %s",
                           &cmd->name, expected);
    }

    return NGX_CONF_ERROR;
}
