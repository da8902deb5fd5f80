
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What an API tells of a client of Redis.
 */


#ifndef _NGX_HTTP_API_REDIS_H_INCLUDED_
#define _NGX_HTTP_API_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_json.h"
#include "ngx_redis_client.h"


/* Members of an object: "state" and "servers", without what is secret. */

void ngx_http_api_redis(ngx_http_api_json_t *json, ngx_redis_conf_t *conf,
    ngx_redis_client_t *client);

/* A member "worker": the counters of this one's client, since it started. */

void ngx_http_api_redis_worker(ngx_http_api_json_t *json,
    ngx_redis_client_t *client);


#endif /* _NGX_HTTP_API_REDIS_H_INCLUDED_ */
