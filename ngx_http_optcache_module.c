
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A response cache in front of any content handler.  This file is its face to
 * nginx: the directives, and what starts and ends with the configuration and
 * with a worker.  A request meets it in src/store, at
 *
 *     precontent phase    after access control: is there an answer already?
 *     header filter       may this answer be stored?  X-Cache
 *     body filter         a copy of it passes into the store
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_advice.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_compress.h"
#include "ngx_http_optcache_conf.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_lease.h"
#include "ngx_http_optcache_ledger.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_postgres.h"
#include "ngx_http_optcache_purge.h"
#include "ngx_http_optcache_vars.h"
#include "ngx_redis_memory.h"


#if !(NGX_HTTP_CACHE)
#error optcache needs nginx to be built with its HTTP cache
#endif


/* a body that is read from Redis, whatever optcache_max_size is */

#define NGX_HTTP_OPTCACHE_BODY_MIN  (32 * 1024 * 1024)


static ngx_int_t ngx_http_optcache_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_optcache_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_optcache_init_process(ngx_cycle_t *cycle);
static void ngx_http_optcache_exit_process(ngx_cycle_t *cycle);


static ngx_conf_num_bounds_t  ngx_http_optcache_gzip_level_bounds = {
    ngx_conf_check_num_bounds, 1, 9
};


static ngx_conf_enum_t  ngx_http_optcache_headers[] = {
    { ngx_string("off"), NGX_HTTP_OPTCACHE_HEADERS_OFF },
    { ngx_string("x"), NGX_HTTP_OPTCACHE_HEADERS_X },
    { ngx_string("ietf"), NGX_HTTP_OPTCACHE_HEADERS_IETF },
    { ngx_string("all"), NGX_HTTP_OPTCACHE_HEADERS_ALL },
    { ngx_null_string, 0 }
};


static ngx_conf_bitmask_t  ngx_http_optcache_use_stale[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("invalid_header"), NGX_HTTP_UPSTREAM_FT_INVALID_HEADER },
    { ngx_string("updating"), NGX_HTTP_UPSTREAM_FT_UPDATING },
    { ngx_string("http_500"), NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { ngx_string("http_502"), NGX_HTTP_UPSTREAM_FT_HTTP_502 },
    { ngx_string("http_503"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("http_504"), NGX_HTTP_UPSTREAM_FT_HTTP_504 },
    { ngx_string("http_403"), NGX_HTTP_UPSTREAM_FT_HTTP_403 },
    { ngx_string("http_404"), NGX_HTTP_UPSTREAM_FT_HTTP_404 },
    { ngx_string("http_429"), NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_optcache_commands[] = {

    { ngx_string("optcache_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_redis_server"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_redis_server,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_redis_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_optcache_main_conf_t, prefix),
      NULL },

    { ngx_string("optcache_postgres"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_postgres_conf,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_redis"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, redis),
      NULL },

    { ngx_string("optcache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_use,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, key),
      NULL },

    { ngx_string("optcache_user"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, user),
      NULL },

    { ngx_string("optcache_methods"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_methods,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_valid"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_valid,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, valid),
      NULL },

    { ngx_string("optcache_bypass"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, bypass),
      NULL },

    { ngx_string("optcache_no_store"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, no_store),
      NULL },

    { ngx_string("optcache_until"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, until),
      NULL },

    { ngx_string("optcache_min_uses"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_min_uses,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, min_uses),
      &ngx_http_optcache_conf_uses },

    { ngx_string("optcache_share_public"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, share_public),
      NULL },

    { ngx_string("optcache_no_vary_search"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, no_vary_search),
      NULL },

    { ngx_string("optcache_close_delimited"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, close_delimited),
      NULL },

    { ngx_string("optcache_ignore"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_ignore,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, ignore),
      &ngx_http_optcache_conf_fields },

    { ngx_string("optcache_set_cookie"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_set_cookie,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, set_cookie),
      &ngx_http_optcache_conf_cookies },

    { ngx_string("optcache_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_max_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_gzip"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, gzip),
      NULL },

    { ngx_string("optcache_gzip_types"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_types_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, gzip_types_keys),
      &ngx_http_optcache_gzip_types[0] },

    { ngx_string("optcache_gzip_min_length"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_gzip_min_length,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, gzip_min_length),
      NULL },

    { ngx_string("optcache_gzip_level"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_gzip_level,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, gzip_level),
      &ngx_http_optcache_gzip_level_bounds },

    { ngx_string("optcache_revalidate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, revalidate),
      NULL },

    { ngx_string("optcache_invalidate_on_write"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, invalidate_on_write),
      NULL },

    { ngx_string("optcache_tags"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_tags,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("optcache_use_stale"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_conf_use_stale,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, use_stale),
      &ngx_http_optcache_use_stale },

    { ngx_string("optcache_lock"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, lock),
      NULL },

    { ngx_string("optcache_lock_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_lock_timeout,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, lock_timeout),
      NULL },

    { ngx_string("optcache_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_optcache_conf_headers,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, headers),
      &ngx_http_optcache_headers },

    { ngx_string("optcache_purge"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_optcache_purge_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, purge),
      NULL },

    { ngx_string("optcache_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE123,
      ngx_http_optcache_api_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_optcache_loc_conf_t, api),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_optcache_module_ctx = {
    ngx_http_optcache_vars_add,            /* preconfiguration */
    ngx_http_optcache_init,                /* postconfiguration */

    ngx_http_optcache_conf_create_main,    /* create main configuration */
    ngx_http_optcache_conf_init_main,      /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_optcache_conf_create_loc,     /* create location configuration */
    ngx_http_optcache_conf_merge_loc       /* merge location configuration */
};


ngx_module_t  ngx_http_optcache_module = {
    NGX_MODULE_V1,
    &ngx_http_optcache_module_ctx,         /* module context */
    ngx_http_optcache_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_optcache_init_module,         /* init module */
    ngx_http_optcache_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_optcache_exit_process,        /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_optcache_init(ngx_conf_t *cf)
{
    size_t                          size;
    ngx_http_handler_pt            *h;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_core_main_conf_t      *cmcf;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);

    if (omcf->redis) {
        clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

        ngx_redis_conf_resolver(omcf->redis, clcf->resolver,
                                clcf->resolver_timeout);

        /*
         * Both forms of the largest body, the head, the key and the rest.
         * Another host, or this one before a reload, may have stored larger
         * ones: they must not cost the connection, and all that waits on it.
         */

        size = ngx_max(omcf->max_size, NGX_HTTP_OPTCACHE_BODY_MIN);

        ngx_redis_conf_large(omcf->redis);
        ngx_redis_conf_max_reply(omcf->redis, 2 * size
                                              + NGX_OPTCACHE_HEAD_MAX
                                              + NGX_OPTCACHE_KEY_MAX + 1024);
    }

    if (ngx_http_optcache_count_init(cf, omcf) != NGX_OK
        || ngx_http_optcache_ledger_init(cf, omcf) != NGX_OK
        || ngx_http_optcache_compress_init(cf, omcf) != NGX_OK
        || ngx_http_optcache_lease_init(cf, omcf) != NGX_OK
        || ngx_http_optcache_postgres_init(cf, omcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_optcache_advice(cf, omcf);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_optcache_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    /* nginx runs them from the last one to the first */

    h = cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers.elts;

    ngx_memmove(h + 1, h, sizeof(ngx_http_handler_pt)
                * (cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers.nelts - 1));

    h[0] = ngx_http_optcache_tried_handler;

    ngx_http_optcache_filter_init();

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_init_module(ngx_cycle_t *cycle)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_optcache_module);

    if (omcf == NULL) {
        return NGX_OK;
    }

    ngx_http_optcache_advice_summary(cycle, omcf);

    return omcf->zones.nelts ? ngx_http_optcache_lock_init_module(cycle)
                             : NGX_OK;
}


static ngx_int_t
ngx_http_optcache_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_optcache_l1_t              **zones;
    ngx_http_optcache_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_optcache_module);

    if (omcf == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    ngx_http_captures_init_process(cycle);

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {
        (void) ngx_optcache_l1_attach(zones[i], cycle->log);
    }

    if (omcf->metrics) {
        ngx_metrics_start(omcf->metrics, cycle->log);
    }

    if (omcf->zones.nelts) {
        ngx_http_optcache_lock_init_process(cycle, &omcf->zones);
    }

    if (omcf->redis) {
        omcf->client = ngx_redis_client_create(cycle, omcf->redis);

        if (omcf->client == NULL
            || ngx_redis_memory_watch(cycle, omcf->client, omcf->redis,
                                      NGX_REDIS_MEMORY_EVICT)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_redis_client_metrics(omcf->client, omcf->counts);
    }

    if (ngx_http_optcache_ledger_init_process(cycle, omcf) != NGX_OK
        || ngx_http_optcache_lease_init_process(cycle, omcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_optcache_postgres_start(cycle, omcf);
}


static void
ngx_http_optcache_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_optcache_l1_t              **zones;
    ngx_http_optcache_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_optcache_module);
    if (omcf == NULL) {
        return;
    }

    ngx_http_optcache_compress_exit_process();
    ngx_http_optcache_lease_exit_process(omcf);
    ngx_http_optcache_postgres_stop();
    ngx_http_optcache_ledger_exit_process(omcf);

    if (omcf->client) {
        ngx_redis_client_close(omcf->client);
    }

    ngx_http_optcache_lock_exit_process();

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {
        ngx_optcache_l1_detach(zones[i]);
    }

    if (omcf->metrics) {
        ngx_metrics_stop(omcf->metrics);
    }
}
