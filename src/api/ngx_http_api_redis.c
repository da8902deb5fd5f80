
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_redis.h"
#include "ngx_redis_conf.h"


/* ngx_redis_state_e */

static const char  *ngx_http_api_redis_states[] = {
    "idle",
    "connecting",
    "up",
    "down"
};


void
ngx_http_api_redis(ngx_http_api_json_t *json, ngx_redis_conf_t *conf,
    ngx_redis_client_t *client)
{
    ngx_uint_t           i;
    ngx_redis_state_e    state;
    ngx_redis_server_t  *servers;

    state = ngx_redis_client_state(client);

    ngx_http_api_json_text(json, "state", ngx_http_api_redis_states[state]);

    servers = conf->servers.elts;

    ngx_http_api_json_array(json, "servers");

    for (i = 0; i < conf->servers.nelts; i++) {
        ngx_http_api_json_string(json, NULL, &servers[i].text);
    }

    ngx_http_api_json_end(json);
}


void
ngx_http_api_redis_worker(ngx_http_api_json_t *json,
    ngx_redis_client_t *client)
{
    ngx_redis_stats_t  *stats;

    stats = ngx_redis_client_stats(client);

    ngx_http_api_json_object(json, "worker");
    ngx_http_api_json_number(json, "pid", ngx_pid);
    ngx_http_api_json_number(json, "commands", stats->commands);
    ngx_http_api_json_number(json, "rejected", stats->rejected);
    ngx_http_api_json_number(json, "replies",
                             stats->results[NGX_REDIS_REPLY]);
    ngx_http_api_json_number(json, "errors",
                             stats->results[NGX_REDIS_REFUSED]);
    ngx_http_api_json_number(json, "timeouts",
                             stats->results[NGX_REDIS_TIMEOUT]);
    ngx_http_api_json_number(json, "closed",
                             stats->results[NGX_REDIS_CLOSED]);
    ngx_http_api_json_number(json, "writes", stats->writes);
    ngx_http_api_json_number(json, "connects", stats->connects);
    ngx_http_api_json_number(json, "outages", stats->outages);
    ngx_http_api_json_end(json);
}
