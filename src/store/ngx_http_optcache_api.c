
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_response.h"
#include "ngx_http_api_route.h"
#include "ngx_http_args.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_dashboard.h"


static ngx_int_t ngx_http_optcache_api_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_optcache_api_page(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
static ngx_int_t ngx_http_optcache_api_slash(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
static ngx_int_t ngx_http_optcache_api_ratelimit(ngx_str_t *path);
static void ngx_http_optcache_api_redirect(ngx_conf_t *cf);


static ngx_http_api_route_t  ngx_http_optcache_api_routes[] = {

    { NGX_HTTP_GET, ngx_string("/"),
      ngx_http_optcache_api_page },

    { NGX_HTTP_GET, ngx_string(""),
      ngx_http_optcache_api_slash },

    { NGX_HTTP_GET, ngx_string("/status"),
      ngx_http_optcache_api_status },

    { NGX_HTTP_GET, ngx_string("/health"),
      ngx_http_optcache_api_health },

    { NGX_HTTP_GET, ngx_string("/metrics"),
      ngx_http_optcache_api_metrics },

    { NGX_HTTP_POST, ngx_string("/purge"),
      ngx_http_optcache_api_purge },

    { 0, ngx_null_string, NULL }
};


static ngx_int_t
ngx_http_optcache_api_handler(ngx_http_request_t *r)
{
    ngx_uint_t                     write;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    /* a subrequest is made by a configuration: it may look, not change */

    write = (olcf->api == NGX_HTTP_OPTCACHE_API_WRITE && r == r->main);

    return ngx_http_api_route(r, ngx_http_optcache_api_routes, write);
}


static ngx_int_t
ngx_http_optcache_api_page(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    return ngx_http_optcache_dashboard_send(r, &olcf->api_policy);
}


/* the prefix of a location without a slash at its end */

static ngx_int_t
ngx_http_optcache_api_slash(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    return ngx_http_optcache_dashboard_redirect(r, &r->uri);
}


ngx_int_t
ngx_http_optcache_api_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_http_api_json_t *json)
{
    ngx_str_t  body;

    static ngx_str_t  type = ngx_string("application/json");

    if (ngx_http_api_json_encode(json, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_response_send(r, status, &type, &body);
}


char *
ngx_http_optcache_api_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ngx_str_t   *value, path;
    ngx_uint_t   i;

    if (olcf->api != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_http_args_once(cf, 1, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    olcf->api = NGX_HTTP_OPTCACHE_API_READ;
    olcf->api_degraded = NGX_HTTP_OK;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "write=on") == 0) {
            olcf->api = NGX_HTTP_OPTCACHE_API_WRITE;

        } else if (ngx_strcmp(value[i].data, "health=503") == 0) {
            olcf->api_degraded = NGX_HTTP_SERVICE_UNAVAILABLE;

        } else if (ngx_strncmp(value[i].data, "ratelimit=", 10) == 0) {
            path.data = value[i].data + 10;
            path.len = value[i].len - 10;

            if (ngx_http_optcache_api_ratelimit(&path) != NGX_OK) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid path in \"%V\" of \"%V\", it "
                                   "must be the prefix of a location, with "
                                   "a slash at its end",
                                   &value[i], &cmd->name);
                return NGX_CONF_ERROR;
            }

            olcf->api_ratelimit = path;

        } else if (ngx_strcmp(value[i].data, "write=off") != 0
                   && ngx_strcmp(value[i].data, "health=200") != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"%V\", it must "
                               "be \"write=on\", \"write=off\", "
                               "\"health=200\", \"health=503\" or "
                               "\"ratelimit=/path/\"",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_optcache_dashboard_policy(cf->pool, &olcf->api_policy)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_optcache_api_redirect(cf);

    return ngx_http_api_route_conf(cf, cmd, ngx_http_optcache_api_handler);
}


/*
 * A path of this host that a browser takes as it is (RFC 3986, 3.3): "//" and
 * "/\\" at its begin would be another host.
 */

static ngx_int_t
ngx_http_optcache_api_ratelimit(ngx_str_t *path)
{
    size_t  i;

    if (path->len == 0
        || path->data[0] != '/'
        || path->data[path->len - 1] != '/'
        || (path->len > 1 && path->data[1] == '/'))
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < path->len; i++) {
        if (!isalnum(path->data[i])
            && ngx_strchr("/-._~!$&'()*+,;=:@%", path->data[i]) == NULL)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* "/cache" leads to "/cache/", as with proxy_pass */

static void
ngx_http_optcache_api_redirect(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }
}


/*
 * The content of a location is not that of one within, but "if" and
 * limit_except are parts of it; the latter has to be given the handler.
 */

void
ngx_http_optcache_api_merge(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->api != NGX_CONF_UNSET_UINT) {
        return;
    }

    conf->api = NGX_HTTP_OPTCACHE_API_OFF;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!clcf->noname || prev->api == NGX_CONF_UNSET_UINT) {
        return;
    }

    conf->api = prev->api;
    conf->api_degraded = prev->api_degraded;
    conf->api_ratelimit = prev->api_ratelimit;
    conf->api_policy = prev->api_policy;

    if (clcf->lmt_excpt
        && clcf->handler == NULL
        && conf->api != NGX_HTTP_OPTCACHE_API_OFF)
    {
        clcf->handler = ngx_http_optcache_api_handler;
    }
}
