
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The optcache_api directive, and what its locations answer:
 *
 *     GET     /           the dashboard, a page that shows these:
 *     GET     /status     this host, this worker, Redis, all zones
 *     GET     /health     whether anything is amiss
 *     GET     /metrics    what is in the status, to Prometheus
 *     POST    /purge      invalidates, with write=on
 *
 * docs/api.md has the documents.
 */


#ifndef _NGX_HTTP_OPTCACHE_API_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_path.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_purge.h"


/* .._loc_conf_t.api; not inherited but by "if" and limit_except */

#define NGX_HTTP_OPTCACHE_API_OFF    0
#define NGX_HTTP_OPTCACHE_API_READ   1
#define NGX_HTTP_OPTCACHE_API_WRITE  2


/* _api.c: the directive, and what merges it */

char *ngx_http_optcache_api_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_optcache_api_merge(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf);

/* Answers with a document; as a content handler returns. */

ngx_int_t ngx_http_optcache_api_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_api_json_t *json);


/* handlers of ngx_http_api_route(), each in a file of its own */

ngx_int_t ngx_http_optcache_api_status(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_optcache_api_health(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_optcache_api_metrics(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_optcache_api_purge(ngx_http_request_t *r,
    ngx_http_api_path_t *path);


/* _api_status.c: how many seconds ago a time was, 0 if it is to come */

uint64_t ngx_http_optcache_api_age(time_t date);

/*
 * _api_health.c: writes what is amiss, and returns how much that is; "json"
 * NULL: it is only counted.
 */

ngx_uint_t ngx_http_optcache_api_reasons(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);

/* _api_metrics.c: a member "kinds", of invalidations */

void ngx_http_optcache_api_events_json(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);


/*
 * _api_purge_read.c: reads the body of a POST to /purge, and overwrites users
 * in it.  NGX_DECLINED: it is not understood, *detail says why (from the
 * pool); NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_api_purge_read(ngx_pool_t *pool, ngx_str_t *body,
    ngx_http_optcache_purge_t *purge, const char **detail);


#endif /* _NGX_HTTP_OPTCACHE_API_H_INCLUDED_ */
