
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_problem.h"
#include "ngx_http_api_response.h"
#include "ngx_http_api_route.h"
#include "ngx_http_args.h"
#include "ngx_http_ratelimit_redis_api.h"


/* of what is as long as a request line may be by default */
#define NGX_HTTP_RATELIMIT_REDIS_API_KEY  8192


static ngx_int_t ngx_http_ratelimit_redis_api_handler(ngx_http_request_t *r);


static ngx_http_api_route_t  ngx_http_ratelimit_redis_api_routes[] = {

    { NGX_HTTP_GET, ngx_string("/status"),
      ngx_http_ratelimit_redis_api_status },

    { NGX_HTTP_GET, ngx_string("/metrics"),
      ngx_http_ratelimit_redis_api_metrics },

    { NGX_HTTP_GET, ngx_string("/health"),
      ngx_http_ratelimit_redis_api_health },

    { NGX_HTTP_GET, ngx_string("/zones"),
      ngx_http_ratelimit_redis_api_zones },

    { NGX_HTTP_GET, ngx_string("/zones/*"),
      ngx_http_ratelimit_redis_api_one_zone },

    { NGX_HTTP_GET, ngx_string("/subjects/*/**"),
      ngx_http_ratelimit_redis_api_subject },

    { NGX_HTTP_DELETE, ngx_string("/subjects/*/**"),
      ngx_http_ratelimit_redis_api_reset },

    { NGX_HTTP_POST, ngx_string("/revocations"),
      ngx_http_ratelimit_redis_api_revoke },

    { 0, ngx_null_string, NULL }
};


static ngx_int_t
ngx_http_ratelimit_redis_api_handler(ngx_http_request_t *r)
{
    ngx_uint_t                            write;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    /* a subrequest is made by a configuration: it may look, not change */

    write = (rlcf->api == NGX_HTTP_RATELIMIT_REDIS_API_WRITE && r == r->main);

    return ngx_http_api_route(r, ngx_http_ratelimit_redis_api_routes, write);
}


ngx_http_ratelimit_redis_zone_t *
ngx_http_ratelimit_redis_api_zone(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t                              i;
    ngx_limiter_zone_t                    **zones;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    zones = rmcf->zones.elts;

    for (i = 0; i < rmcf->zones.nelts; i++) {
        if (zones[i]->name.len == name->len
            && ngx_memcmp(zones[i]->name.data, name->data, name->len) == 0)
        {
            return ngx_http_ratelimit_redis_api_owner(zones[i]);
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_ratelimit_redis_api_unknown(ngx_http_request_t *r)
{
    return ngx_http_api_problem(r, NGX_HTTP_NOT_FOUND, "Not Found",
                                "there is no zone of this name");
}


ngx_int_t
ngx_http_ratelimit_redis_api_named(ngx_http_request_t *r,
    ngx_http_api_path_t *path, ngx_http_ratelimit_redis_zone_t **rz)
{
    *rz = ngx_http_ratelimit_redis_api_zone(r, &path->names[0]);

    if (*rz == NULL) {
        return ngx_http_ratelimit_redis_api_unknown(r);
    }

    if (path->tail.len == 0) {
        return ngx_http_api_problem(r, NGX_HTTP_BAD_REQUEST, "Bad Request",
                                    "the key is empty: who has an empty key "
                                    "is not limited");
    }

    if (path->tail.len > NGX_HTTP_RATELIMIT_REDIS_API_KEY) {
        return ngx_http_api_problem(r, NGX_HTTP_BAD_REQUEST, "Bad Request",
                                    "the key is longer than 8192 bytes");
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_ratelimit_redis_api_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_api_json_t *json)
{
    ngx_str_t  body;

    static ngx_str_t  type = ngx_string("application/json");

    if (ngx_http_api_json_encode(json, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_response_send(r, status, &type, &body);
}


const char *
ngx_http_ratelimit_redis_api_algorithm(ngx_uint_t algorithm)
{
    switch (algorithm) {

    case NGX_LIMITER_FIXED_WINDOW:
        return "fixed_window";

    case NGX_LIMITER_SLIDING_WINDOW:
        return "sliding_window";

    default: /* NGX_LIMITER_GCRA */
        return "gcra";
    }
}


char *
ngx_http_ratelimit_redis_api_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (rlcf->api != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_http_args_once(cf, 1, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    rlcf->api = NGX_HTTP_RATELIMIT_REDIS_API_READ;
    rlcf->api_degraded = NGX_HTTP_OK;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "write=on") == 0) {
            rlcf->api = NGX_HTTP_RATELIMIT_REDIS_API_WRITE;

        } else if (ngx_strcmp(value[i].data, "health=503") == 0) {
            rlcf->api_degraded = NGX_HTTP_SERVICE_UNAVAILABLE;

        } else if (ngx_strcmp(value[i].data, "write=off") != 0
                   && ngx_strcmp(value[i].data, "health=200") != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"%V\", it must "
                               "be \"write=on\", \"write=off\", "
                               "\"health=200\" or \"health=503\"",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_api_route_conf(cf, cmd,
                                   ngx_http_ratelimit_redis_api_handler);
}


/*
 * The content of a location is not that of one within, but "if" and
 * limit_except are parts of it; the latter has to be given the handler.
 */

void
ngx_http_ratelimit_redis_api_merge(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *prev,
    ngx_http_ratelimit_redis_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->api != NGX_CONF_UNSET_UINT) {

        if (conf->token_keys != NGX_CONF_UNSET_PTR) {
            conf->api_keys = conf->token_keys;
        }

        conf->api_since = conf->token_since;

        return;
    }

    conf->api = NGX_HTTP_RATELIMIT_REDIS_API_OFF;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!clcf->noname || prev->api == NGX_CONF_UNSET_UINT) {
        return;
    }

    conf->api = prev->api;
    conf->api_degraded = prev->api_degraded;
    conf->api_keys = prev->api_keys;
    conf->api_since = prev->api_since;

    if (clcf->lmt_excpt
        && clcf->handler == NULL
        && conf->api != NGX_HTTP_RATELIMIT_REDIS_API_OFF)
    {
        clcf->handler = ngx_http_ratelimit_redis_api_handler;
    }
}
