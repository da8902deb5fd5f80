
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the module has counted, and how it does, for Prometheus.  docs/api.md
 * has a table of it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_redis.h"
#include "ngx_http_api_version.h"
#include "ngx_http_ratelimit_redis_api.h"


/* a family with one sample for each zone, or a sample */

typedef struct {
    ngx_limiter_tally_e   what;
    const char           *name;
    const char           *help;
} ngx_http_ratelimit_redis_family_t;


static void ngx_http_ratelimit_redis_api_metrics_decisions(
    ngx_http_api_prometheus_t *p, ngx_array_t *zones);
static void ngx_http_ratelimit_redis_api_metrics_rates(
    ngx_http_api_prometheus_t *p, ngx_array_t *zones);
static ngx_int_t ngx_http_ratelimit_redis_api_metrics_rate(
    ngx_http_ratelimit_redis_zone_t *rz, ngx_uint_t k, uint64_t *n);
static void ngx_http_ratelimit_redis_api_metrics_subjects(
    ngx_http_api_prometheus_t *p, ngx_array_t *zones);
static void ngx_http_ratelimit_redis_api_metrics_fleet(
    ngx_http_api_prometheus_t *p, ngx_limiter_fleet_t *fleet);


/* one of these becomes of each request that meets a zone */

static ngx_http_ratelimit_redis_family_t
    ngx_http_ratelimit_redis_api_metrics_results[] =
{
    { NGX_LIMITER_TALLY_PASSED, "passed", NULL },
    { NGX_LIMITER_TALLY_REJECTED, "rejected", NULL },
    { NGX_LIMITER_TALLY_DRY_RUN, "dry_run", NULL },
    { NGX_LIMITER_TALLY_SKIPPED, "skipped", NULL },
    { 0, NULL, NULL }
};


/* ... and these are true of some of them besides */

static ngx_http_ratelimit_redis_family_t
    ngx_http_ratelimit_redis_api_metrics_families[] =
{
    { NGX_LIMITER_TALLY_DELAYED, "ratelimit_redis_delayed_total",
      "Requests that passed and had to wait." },

    { NGX_LIMITER_TALLY_KNOWN, "ratelimit_redis_known_total",
      "Requests rejected, or in a dry run, without asking Redis." },

    { NGX_LIMITER_TALLY_LOCAL, "ratelimit_redis_local_total",
      "Requests decided by this host, for Redis did not answer." },

    { NGX_LIMITER_TALLY_LEASED, "ratelimit_redis_leased_total",
      "Requests that were paid from a lease." },

    { NGX_LIMITER_TALLY_BOOKED, "ratelimit_redis_booked_units_total",
      "Units that were charged after requests." },

    { 0, NULL, NULL }
};


ngx_int_t
ngx_http_ratelimit_redis_api_metrics(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_limiter_redis_t                   *redis;
    ngx_http_api_prometheus_t             *p;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    redis = ngx_http_ratelimit_redis_worker();

    p = ngx_http_api_prometheus_create(r->pool);

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_build_info",
                                  "The versions of the module and of nginx.");
    ngx_http_api_prometheus_text(p, "version", NGX_HTTP_API_VERSION);
    ngx_http_api_prometheus_text(p, "nginx", NGINX_VERSION);
    ngx_http_api_prometheus_number(p, 1);

    ngx_http_ratelimit_redis_api_health_metrics(p, rmcf);

    if (rmcf->zones.nelts) {
        ngx_http_ratelimit_redis_api_metrics_decisions(p, &rmcf->zones);
        ngx_http_ratelimit_redis_api_metrics_rates(p, &rmcf->zones);
        ngx_http_ratelimit_redis_api_metrics_subjects(p, &rmcf->zones);
    }

    ngx_http_ratelimit_redis_token_api_metrics(p, rmcf);
    ngx_http_ratelimit_redis_token_postgres_metrics(p);

    if (redis->fleet) {
        ngx_http_ratelimit_redis_api_metrics_fleet(p, redis->fleet);
    }

    if (redis->client) {
        ngx_http_api_redis_metrics(p, "ratelimit_redis_", redis->client,
                                   rmcf->metrics.redis);
    }

    return ngx_http_api_prometheus_send(r, p);
}


static void
ngx_http_ratelimit_redis_api_metrics_decisions(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    ngx_uint_t                           i;
    ngx_limiter_zone_t                 **zone;
    ngx_http_ratelimit_redis_family_t   *family, *result;

    zone = zones->elts;

    ngx_http_api_prometheus_counter(p, "ratelimit_redis_decisions_total",
             "Requests by what a zone had to say.");

    for (i = 0; i < zones->nelts; i++) {
        for (result = ngx_http_ratelimit_redis_api_metrics_results;
             result->name;
             result++)
        {
            ngx_http_api_prometheus_label(p, "zone", &zone[i]->name);
            ngx_http_api_prometheus_text(p, "result", result->name);
            ngx_http_api_prometheus_number(p,
                         ngx_limiter_local_tallied(zone[i], result->what));
        }
    }

    for (family = ngx_http_ratelimit_redis_api_metrics_families;
         family->name;
         family++)
    {
        ngx_http_api_prometheus_counter(p, family->name, family->help);

        for (i = 0; i < zones->nelts; i++) {
            ngx_http_api_prometheus_label(p, "zone", &zone[i]->name);
            ngx_http_api_prometheus_number(p,
                         ngx_limiter_local_tallied(zone[i], family->what));
        }
    }
}


static void
ngx_http_ratelimit_redis_api_metrics_rates(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    uint64_t                            n;
    ngx_uint_t                          i, k;
    ngx_limiter_zone_t                **zone;
    ngx_http_ratelimit_redis_zone_t    *rz;

    zone = zones->elts;

    ngx_http_api_prometheus_counter(p, "ratelimit_redis_rejected_total",
             "Rejections by each rate that had no room.");

    for (i = 0; i < zones->nelts; i++) {
        rz = ngx_http_ratelimit_redis_api_owner(zone[i]);

        for (k = 0; k < rz->nrates; k++) {

            if (ngx_http_ratelimit_redis_api_metrics_rate(rz, k, &n)
                != NGX_OK)
            {
                continue;
            }

            ngx_http_api_prometheus_label(p, "zone", &zone[i]->name);
            ngx_http_api_prometheus_label(p, "rate", &rz->rates[k].text);
            ngx_http_api_prometheus_number(p, n);
        }
    }
}


/* Rates of the same text, a variable's, are one: NGX_DECLINED but for it. */

static ngx_int_t
ngx_http_ratelimit_redis_api_metrics_rate(ngx_http_ratelimit_redis_zone_t *rz,
    ngx_uint_t k, uint64_t *n)
{
    ngx_str_t   *text, *other;
    ngx_uint_t   i;

    text = &rz->rates[k].text;
    *n = 0;

    for (i = 0; i < rz->nrates; i++) {
        other = &rz->rates[i].text;

        if (other->len != text->len
            || ngx_memcmp(other->data, text->data, text->len) != 0)
        {
            continue;
        }

        if (i < k) {
            return NGX_DECLINED;
        }

        *n += ngx_metrics_sum(rz->refusals, i);
    }

    return NGX_OK;
}


static void
ngx_http_ratelimit_redis_api_metrics_subjects(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    ngx_uint_t                              i, n;
    ngx_limiter_zone_t                    **zone;
    ngx_http_ratelimit_redis_api_slots_t    slots;

    zone = zones->elts;

    for (n = 0; n < 3; n++) {

        switch (n) {

        case 0:
            ngx_http_api_prometheus_gauge(p, "ratelimit_redis_subjects",
                     "Subjects in the memory of a zone.");
            break;

        case 1:
            ngx_http_api_prometheus_gauge(p,
                     "ratelimit_redis_subjects_capacity",
                     "Subjects that the memory of a zone has room for.");
            break;

        default:
            ngx_http_api_prometheus_counter(p,
                     "ratelimit_redis_subjects_evicted_total",
                     "Subjects that had to leave for others.");
        }

        for (i = 0; i < zones->nelts; i++) {
            ngx_http_ratelimit_redis_api_slots(zone[i], &slots);

            ngx_http_api_prometheus_label(p, "zone", &zone[i]->name);
            ngx_http_api_prometheus_number(p, (n == 0) ? slots.used
                                              : (n == 1) ? slots.capacity
                                                         : slots.evicted);
        }
    }
}


static void
ngx_http_ratelimit_redis_api_metrics_fleet(ngx_http_api_prometheus_t *p,
    ngx_limiter_fleet_t *fleet)
{
    uint64_t  heard;

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_fleet_hosts",
             "Hosts that share the limits, as last heard.");
    ngx_http_api_prometheus_number(p, ngx_limiter_fleet_hosts(fleet));

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_fleet_rank",
             "The place of this host among them.");
    ngx_http_api_prometheus_number(p, ngx_limiter_fleet_rank(fleet));

    ngx_http_api_prometheus_gauge(p, "ratelimit_redis_fleet_era",
             "Grows each time Redis may have lost what it was told.");
    ngx_http_api_prometheus_number(p, ngx_limiter_fleet_era(fleet));

    heard = ngx_limiter_fleet_heard(fleet);

    if (heard) {
        ngx_http_api_prometheus_gauge(p, "ratelimit_redis_fleet_heard_seconds",
                 "Time since Redis told of the hosts.");
        ngx_http_api_prometheus_msec(p, ngx_limiter_local_now() - heard);
    }
}
