
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"
#include "ngx_limiter_local.h"


static ngx_int_t ngx_http_ratelimit_redis_token_postgres_zone(
    ngx_shm_zone_t *shm_zone, void *data);


static ngx_uint_t ngx_http_ratelimit_redis_token_postgres_believed(
    ngx_token_postgres_t *tp);


/* of this worker */

static ngx_token_postgres_t  *ngx_http_ratelimit_redis_token_durable;


char *
ngx_http_ratelimit_redis_token_postgres_conf(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_main_conf_t *rmcf = conf;

    ngx_str_t  *value;

    if (rmcf->token_postgres_set) {
        return "is duplicate";
    }

    rmcf->token_postgres_set = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    return ngx_pgsql_conf_parse(cf, &rmcf->token_postgres);
}


char *
ngx_http_ratelimit_redis_token_postgres_conf_init(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_str_t  name;

    if (rmcf->token_postgres == NULL) {
        return NGX_CONF_OK;
    }

    if (rmcf->redis == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"token_blacklist_postgres\" needs "
                           "\"ratelimit_redis_server\"");
        return NGX_CONF_ERROR;
    }

    if (rmcf->redis->cluster) {

        /* each slot has a key of its own, by what is in its braces */

        if (ngx_strlchr(rmcf->prefix.data,
                        rmcf->prefix.data + rmcf->prefix.len, '{'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"token_blacklist_postgres\" with a cluster "
                               "needs \"ratelimit_redis_prefix\" without "
                               "braces, it is \"%V\"", &rmcf->prefix);
            return NGX_CONF_ERROR;
        }

        rmcf->token_postgres_tags = ngx_token_marker_tags(cf->pool);

        if (rmcf->token_postgres_tags == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_str_set(&name, "token:postgres");

    rmcf->token_postgres_zone = ngx_shared_memory_add(cf, &name,
                                             NGX_TOKEN_POSTGRES_ZONE,
                                             &ngx_http_ratelimit_redis_module);
    if (rmcf->token_postgres_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->token_postgres_zone->init =
                                 ngx_http_ratelimit_redis_token_postgres_zone;
    rmcf->token_postgres_zone->data = rmcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_postgres_zone(ngx_shm_zone_t *shm_zone,
    void *data)
{
    return ngx_token_postgres_init((ngx_slab_pool_t *) shm_zone->shm.addr,
                                   shm_zone->shm.log);
}


ngx_int_t
ngx_http_ratelimit_redis_token_postgres_start(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_token_postgres_t  *tp;

    ngx_http_ratelimit_redis_token_durable = NULL;

    if (rmcf->token_postgres == NULL) {
        return NGX_OK;
    }

    tp = ngx_token_postgres_create(cycle,
                    (ngx_slab_pool_t *) rmcf->token_postgres_zone->shm.addr,
                    rmcf->token_postgres, ngx_http_ratelimit_redis_client(),
                    rmcf->token_postgres_tags, &rmcf->prefix,
                    &rmcf->token_prefixes);
    if (tp == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ratelimit_redis_token_durable = tp;

    return NGX_OK;
}


void
ngx_http_ratelimit_redis_token_postgres_stop(void)
{
    if (ngx_http_ratelimit_redis_token_durable) {
        ngx_token_postgres_close(ngx_http_ratelimit_redis_token_durable);
        ngx_http_ratelimit_redis_token_durable = NULL;
    }
}


ngx_token_postgres_t *
ngx_http_ratelimit_redis_token_postgres(void)
{
    return ngx_http_ratelimit_redis_token_durable;
}


void
ngx_http_ratelimit_redis_token_postgres_api(ngx_http_api_json_t *json)
{
    uint64_t                   heard;
    ngx_token_postgres_t      *tp;
    ngx_token_postgres_shm_t  *shm;

    tp = ngx_http_ratelimit_redis_token_durable;

    if (tp == NULL) {
        ngx_http_api_json_null(json, "postgres");
        return;
    }

    shm = ngx_token_postgres_shm(tp);
    heard = ngx_http_ratelimit_redis_token_postgres_heard(tp);

    ngx_http_api_json_object(json, "postgres");

    ngx_http_api_json_flag(json, "believed",
                        ngx_http_ratelimit_redis_token_postgres_believed(tp));

    if (heard != NGX_MAX_UINT32_VALUE) {
        ngx_http_api_json_number(json, "heard", (heard + 999) / 1000);

    } else {
        ngx_http_api_json_null(json, "heard");
    }

    ngx_http_api_json_number(json, "waiting", shm->queue.n);
    ngx_http_api_json_number(json, "written", shm->written);
    ngx_http_api_json_number(json, "ignored", shm->ignored);
    ngx_http_api_json_number(json, "fills", shm->fills);

    ngx_http_api_json_end(json);
}


/* Whether Redis is believed to have all revocations. */

static ngx_uint_t
ngx_http_ratelimit_redis_token_postgres_believed(ngx_token_postgres_t *tp)
{
    ngx_token_marker_t        *marker;
    ngx_token_postgres_shm_t  *shm;

    shm = ngx_token_postgres_shm(tp);
    marker = ngx_token_postgres_marker(tp);

    return marker->tags ? shm->fills && !shm->wanted
                        : ngx_token_marker_state(marker)
                          == NGX_TOKEN_MARKER_PRESENT;
}


ngx_uint_t
ngx_http_ratelimit_redis_token_postgres_doubted(ngx_token_postgres_t *tp)
{
    ngx_token_marker_t  *marker;

    marker = ngx_token_postgres_marker(tp);

    return marker->tags ? !ngx_http_ratelimit_redis_token_postgres_believed(tp)
                        : ngx_token_marker_doubted(marker);
}


uint64_t
ngx_http_ratelimit_redis_token_postgres_heard(ngx_token_postgres_t *tp)
{
    uint64_t  heard, ms;

    heard = ngx_shared_number_get(&ngx_token_postgres_shm(tp)->heard);

    if (heard == 0) {
        return NGX_MAX_UINT32_VALUE;
    }

    ms = ngx_limiter_local_now() - heard;

    return ngx_min(ms, NGX_MAX_UINT32_VALUE - 1);
}


void
ngx_http_ratelimit_redis_token_postgres_metrics(ngx_http_api_prometheus_t *p)
{
    uint64_t                   heard;
    ngx_token_postgres_t      *tp;
    ngx_token_postgres_shm_t  *shm;

    tp = ngx_http_ratelimit_redis_token_durable;

    if (tp == NULL) {
        return;
    }

    shm = ngx_token_postgres_shm(tp);
    heard = ngx_http_ratelimit_redis_token_postgres_heard(tp);

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_postgres_believed",
             "Whether the worker that answers believes Redis to have all "
             "revocations that are in PostgreSQL.");
    ngx_http_api_prometheus_number(p,
                        ngx_http_ratelimit_redis_token_postgres_believed(tp));

    if (heard != NGX_MAX_UINT32_VALUE) {
        ngx_http_api_prometheus_gauge(p,
             "ratelimit_redis_postgres_lag_seconds",
             "Time since Redis was made to have all revocations that are new "
             "in PostgreSQL.");
        ngx_http_api_prometheus_msec(p, heard);
    }

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_postgres_waiting",
             "Revocations of this host that are not in PostgreSQL yet.");
    ngx_http_api_prometheus_number(p, shm->queue.n);

    ngx_http_api_prometheus_counter(p,
             "ratelimit_redis_postgres_rows_written_total",
             "Rows of PostgreSQL that were written to Redis.");
    ngx_http_api_prometheus_number(p, shm->written);

    ngx_http_api_prometheus_counter(p,
             "ratelimit_redis_postgres_rows_ignored_total",
             "Rows of PostgreSQL that are no revocations.");
    ngx_http_api_prometheus_number(p, shm->ignored);

    ngx_http_api_prometheus_counter(p,
             "ratelimit_redis_postgres_fills_total",
             "Times that all rows of PostgreSQL were written to Redis.");
    ngx_http_api_prometheus_number(p, shm->fills);
}
