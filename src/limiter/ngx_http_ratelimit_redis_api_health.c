
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether limits and revocations are what they are configured to be, as far as
 * the worker that answers knows; of what Redis refuses it knows from all.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_redis.h"
#include "ngx_http_ratelimit_redis_api.h"


/*
 * ms, without having heard: hosts are asked for each second, and so is
 * PostgreSQL
 */
#define NGX_HTTP_RATELIMIT_REDIS_API_SILENCE  10000


typedef struct {
    const char         *name;
    const char         *text;
    ngx_uint_t        (*holds)(ngx_http_ratelimit_redis_main_conf_t *rmcf);
} ngx_http_ratelimit_redis_reason_t;


static ngx_uint_t ngx_http_ratelimit_redis_api_health_redis(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_fleet(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_limits(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_tokens(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_revoking(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_marker(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
static ngx_uint_t ngx_http_ratelimit_redis_api_health_postgres(
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


static ngx_http_ratelimit_redis_reason_t
    ngx_http_ratelimit_redis_api_reasons[] =
{
    { "redis", "redis: it does not answer",
      ngx_http_ratelimit_redis_api_health_redis },

    { "fleet", "fleet: nothing is heard of the other hosts",
      ngx_http_ratelimit_redis_api_health_fleet },

    { "limits", "limits: redis refuses to count",
      ngx_http_ratelimit_redis_api_health_limits },

    { "tokens", "tokens: redis does not tell which are revoked",
      ngx_http_ratelimit_redis_api_health_tokens },

    { "revoking", "revoking: redis does not take what is revoked",
      ngx_http_ratelimit_redis_api_health_revoking },

    { "revocations", "revocations: redis may not have all of postgres",
      ngx_http_ratelimit_redis_api_health_marker },

    { "postgres", "postgres: new revocations are not heard of",
      ngx_http_ratelimit_redis_api_health_postgres },

    { NULL, NULL, NULL }
};


ngx_int_t
ngx_http_ratelimit_redis_api_health(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_uint_t                             status, held;
    ngx_http_api_json_t                   *json;
    ngx_http_ratelimit_redis_reason_t     *reason;
    ngx_http_ratelimit_redis_loc_conf_t   *rlcf;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    held = 0;

    for (reason = ngx_http_ratelimit_redis_api_reasons;
         reason->name;
         reason++)
    {
        held |= reason->holds(rmcf);
    }

    status = held ? rlcf->api_degraded : NGX_HTTP_OK;

    json = ngx_http_api_json_create(r->pool);

    ngx_http_api_json_text(json, "status", held ? "degraded" : "healthy");
    ngx_http_api_json_array(json, "reasons");

    for (reason = ngx_http_ratelimit_redis_api_reasons;
         reason->name;
         reason++)
    {
        if (reason->holds(rmcf)) {
            ngx_http_api_json_text(json, NULL, reason->text);
        }
    }

    ngx_http_api_json_end(json);

    return ngx_http_ratelimit_redis_api_send(r, status, json);
}


void
ngx_http_ratelimit_redis_api_health_metrics(ngx_http_api_prometheus_t *p,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_http_ratelimit_redis_reason_t  *reason;

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_degraded",
             "Whether something is amiss, as the worker that answers knows.");

    for (reason = ngx_http_ratelimit_redis_api_reasons;
         reason->name;
         reason++)
    {
        ngx_http_api_prometheus_text(p, "reason", reason->name);
        ngx_http_api_prometheus_number(p, reason->holds(rmcf));
    }
}


static ngx_uint_t
ngx_http_ratelimit_redis_api_health_redis(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_redis_client_t  *client;

    client = ngx_http_ratelimit_redis_client();

    return client && ngx_http_api_redis_degraded(client);
}


/* Redis may answer, and not this: by its access control, say. */

static ngx_uint_t
ngx_http_ratelimit_redis_api_health_fleet(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    uint64_t              heard;
    ngx_limiter_fleet_t  *fleet;

    fleet = ngx_http_ratelimit_redis_worker()->fleet;

    if (fleet == NULL || ngx_http_ratelimit_redis_api_health_redis(rmcf)) {
        return 0;
    }

    heard = ngx_limiter_fleet_heard(fleet);

    return heard && ngx_limiter_local_now() - heard
                    > NGX_HTTP_RATELIMIT_REDIS_API_SILENCE;
}


/* what is asked all the time is refused all the time, or not any more */

static ngx_uint_t
ngx_http_ratelimit_redis_api_health_limits(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    return ngx_redis_refusal_holds(&ngx_http_ratelimit_redis_worker()->script,
                                   ngx_current_msec)
           && !ngx_http_ratelimit_redis_api_health_redis(rmcf);
}


static ngx_uint_t
ngx_http_ratelimit_redis_api_health_tokens(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    return ngx_redis_refusal_holds(&ngx_http_ratelimit_redis_worker()->tokens,
                                   ngx_current_msec)
           && !ngx_http_ratelimit_redis_api_health_redis(rmcf);
}


/* what was revoked meanwhile is revoked on this host, and not on others */

static ngx_uint_t
ngx_http_ratelimit_redis_api_health_revoking(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_redis_refusal_t  *revoking;

    revoking = &ngx_http_ratelimit_redis_worker()->revoking;

    return ngx_redis_refusal_holds(revoking, ngx_current_msec)
           && !ngx_http_ratelimit_redis_api_health_redis(rmcf);
}


static ngx_uint_t
ngx_http_ratelimit_redis_api_health_marker(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_token_postgres_t  *tp;

    tp = ngx_http_ratelimit_redis_token_postgres();

    return tp && ngx_http_ratelimit_redis_token_postgres_doubted(tp);
}


static ngx_uint_t
ngx_http_ratelimit_redis_api_health_postgres(
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_token_postgres_t  *tp;

    tp = ngx_http_ratelimit_redis_token_postgres();

    return tp && ngx_http_ratelimit_redis_token_postgres_heard(tp)
                 > NGX_HTTP_RATELIMIT_REDIS_API_SILENCE;
}
