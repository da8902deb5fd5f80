
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One line of the error log that says what a module is going to do, at level
 * "notice", when nginx starts and when it has read a configuration anew:
 *
 *     optcache 0.1.0: 2 zones (api 64m, static 16m), redis redis://10.0.0.5,
 *     postgres, api
 *
 * Nothing of it is secret: there are no passwords in URLs.  What is longer
 * than NGX_HTTP_SUMMARY_LEN bytes is cut.
 */


#ifndef _NGX_HTTP_SUMMARY_H_INCLUDED_
#define _NGX_HTTP_SUMMARY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_client.h"


#define NGX_HTTP_SUMMARY_LEN  1024


typedef struct {
    u_char                   *last;
    ngx_uint_t                nzones;
    u_char                    buf[NGX_HTTP_SUMMARY_LEN];
} ngx_http_summary_t;


/* Begins with the name of the module, and of so many zones. */

void ngx_http_summary_start(ngx_http_summary_t *s, const char *module,
    ngx_uint_t nzones);

/* Each of the zones, whose memory is there already; NULL: not told. */

void ngx_http_summary_zone(ngx_http_summary_t *s, ngx_str_t *name,
    ngx_slab_pool_t *shpool);

/* Redis, or that there is none: NULL. */

void ngx_http_summary_redis(ngx_http_summary_t *s, ngx_redis_conf_t *conf);

/* Something that is on. */

void ngx_http_summary_word(ngx_http_summary_t *s, const char *word);

/* Writes the line, unless the configuration is only tested ("nginx -t"). */

void ngx_http_summary_log(ngx_http_summary_t *s, ngx_log_t *log);


#endif /* _NGX_HTTP_SUMMARY_H_INCLUDED_ */
