
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_sentinel.h"


static ngx_uint_t ngx_redis_sentinel_conf_alike(ngx_redis_url_t *a,
    ngx_redis_url_t *b);


char *
ngx_redis_sentinel_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_redis_server_t  *server;

    if (conf->sentinel.len == 0) {
        return NGX_CONF_OK;
    }

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {

        if (server[i].url.local) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\" with "
                               "\"sentinel=%V\", expected \"redis://host\" "
                               "or \"rediss://host\" of sentinels",
                               &server[i].text, &conf->directive,
                               &conf->sentinel);
            return NGX_CONF_ERROR;
        }

        if (!ngx_redis_sentinel_conf_alike(&server[i].url, &server[0].url)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\" with "
                               "\"sentinel=%V\", expected the scheme, user "
                               "and database of \"%V\"",
                               &server[i].text, &conf->directive,
                               &conf->sentinel, &server[0].text);
            return NGX_CONF_ERROR;
        }

        if (!server[i].url.ported) {
            server[i].url.port = NGX_REDIS_SENTINEL_PORT;
        }
    }

    return NGX_CONF_OK;
}


/* all but the host and the port are the master's, and there is only one */

static ngx_uint_t
ngx_redis_sentinel_conf_alike(ngx_redis_url_t *a, ngx_redis_url_t *b)
{
    if (a->tls != b->tls || a->db != b->db || a->user.len != b->user.len) {
        return 0;
    }

    return a->user.len == 0
           || ngx_memcmp(a->user.data, b->user.data, a->user.len) == 0;
}
