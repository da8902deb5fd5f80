
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_cluster.h"


static const char *ngx_redis_cluster_conf_check(ngx_redis_url_t *url,
    ngx_redis_url_t *first);


char *
ngx_redis_cluster_conf(ngx_conf_t *cf, ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    const char          *err;
    ngx_redis_server_t  *server;

    if (!conf->cluster) {
        return NGX_CONF_OK;
    }

    if (conf->sentinel.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has both \"cluster\" and \"sentinel\"",
                           &conf->directive);
        return NGX_CONF_ERROR;
    }

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        err = ngx_redis_cluster_conf_check(&server[i].url, &server[0].url);

        if (err) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\": "
                               "with \"cluster\", %s", &server[i].text,
                               &conf->directive, err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* what is not told of other servers is taken from the URLs */

static const char *
ngx_redis_cluster_conf_check(ngx_redis_url_t *url, ngx_redis_url_t *first)
{
    if (url->local) {
        return "servers have addresses, expected \"redis://host\" or "
               "\"rediss://host\"";
    }

    if (url->db) {
        return "there is only database 0";
    }

    if (url->tls != first->tls) {
        return "either all URLs are \"rediss://\" or none is";
    }

    if (url->user.len != first->user.len
        || (url->user.len
            && ngx_memcmp(url->user.data, first->user.data, url->user.len)
               != 0))
    {
        return "all URLs have the same user";
    }

    return NULL;
}
