
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The configuration of the cache: what the directive table of
 * ngx_http_optcache_module.c calls.  Nothing here runs once nginx serves.
 */


#ifndef _NGX_HTTP_OPTCACHE_CONF_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/* create and merge, as ngx_http_module_t wants them; all from cf->pool */

void *ngx_http_optcache_conf_create_main(ngx_conf_t *cf);
char *ngx_http_optcache_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_http_optcache_conf_create_loc(ngx_conf_t *cf);
char *ngx_http_optcache_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child);

/*
 * Directives with more than a slot: optcache_zone, optcache, optcache_methods,
 * optcache_redis_server.  A wrong value is logged with the directive and what
 * was expected.
 */

char *ngx_http_optcache_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_use(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_methods(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_redis_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Slots of nginx that do not say themselves what they are and expect. */

char *ngx_http_optcache_conf_valid(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_use_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_gzip_level(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_gzip_min_length(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_optcache_conf_lock_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

char *ngx_http_optcache_conf_set_cookie(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_ignore(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_min_uses(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_max_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_optcache_conf_tags(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Merges the directives that say what is stored, for how long; called by
 * ngx_http_optcache_conf_merge_loc() when zone, key and user are merged.
 */

char *ngx_http_optcache_conf_merge_rules(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf);

/* Whether some module gives a variable; while configuration is read. */

ngx_uint_t ngx_http_optcache_conf_has_variable(ngx_conf_t *cf,
    const char *name);

/*
 * Returns NGX_CONF_OK, "is duplicate" or NGX_CONF_ERROR.  For the last the
 * value, the directive and what was expected are logged, which the slot does
 * not say: in its place, but for one of several values, or of bits, which may
 * be given twice; then the slot has said which.
 */

typedef char *(*ngx_http_optcache_conf_slot_pt)(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

char *ngx_http_optcache_conf_expect(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf, ngx_http_optcache_conf_slot_pt slot, const char *expected);


/* the values of optcache_set_cookie, optcache_ignore and optcache_min_uses */

extern ngx_conf_enum_t        ngx_http_optcache_conf_cookies[];
extern ngx_conf_bitmask_t     ngx_http_optcache_conf_fields[];
extern ngx_conf_num_bounds_t  ngx_http_optcache_conf_uses;

/* the default of optcache_gzip_types */

extern ngx_str_t  ngx_http_optcache_gzip_types[];


#endif /* _NGX_HTTP_OPTCACHE_CONF_H_INCLUDED_ */
