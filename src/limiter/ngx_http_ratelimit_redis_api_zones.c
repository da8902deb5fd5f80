
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What zones are configured as and what has become of their requests, and how
 * this host does.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_redis.h"
#include "ngx_http_api_version.h"
#include "ngx_http_ratelimit_redis_api.h"


static void ngx_http_ratelimit_redis_api_all(ngx_http_request_t *r,
    ngx_http_api_json_t *json);
static void ngx_http_ratelimit_redis_api_zone_members(
    ngx_http_api_json_t *json, ngx_http_ratelimit_redis_zone_t *rz);
static void ngx_http_ratelimit_redis_api_rates(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_zone_t *rz);
static void ngx_http_ratelimit_redis_api_subjects(ngx_http_api_json_t *json,
    ngx_limiter_zone_t *zone);
static void ngx_http_ratelimit_redis_api_totals(ngx_http_api_json_t *json,
    ngx_limiter_zone_t *zone);
static void ngx_http_ratelimit_redis_api_redis(ngx_http_request_t *r,
    ngx_http_api_json_t *json);
static void ngx_http_ratelimit_redis_api_fleet(ngx_http_api_json_t *json,
    ngx_limiter_fleet_t *fleet);


/* ngx_limiter_tally_e */

static const char  *ngx_http_ratelimit_redis_api_tallies[] = {
    "passed",
    "delayed",
    "rejected",
    "known",
    "dry_run",
    "skipped",
    "local",
    "leased",
    "booked"
};


ngx_int_t
ngx_http_ratelimit_redis_api_zones(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(r->pool);

    ngx_http_ratelimit_redis_api_all(r, json);

    return ngx_http_ratelimit_redis_api_send(r, NGX_HTTP_OK, json);
}


ngx_int_t
ngx_http_ratelimit_redis_api_one_zone(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_http_api_json_t              *json;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = ngx_http_ratelimit_redis_api_zone(r, &path->names[0]);

    if (rz == NULL) {
        return ngx_http_ratelimit_redis_api_unknown(r);
    }

    json = ngx_http_api_json_create(r->pool);

    ngx_http_ratelimit_redis_api_zone_members(json, rz);

    return ngx_http_ratelimit_redis_api_send(r, NGX_HTTP_OK, json);
}


ngx_int_t
ngx_http_ratelimit_redis_api_status(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_http_api_json_t                  *json;
    ngx_http_ratelimit_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_ratelimit_redis_module);

    json = ngx_http_api_json_create(r->pool);

    ngx_http_api_json_text(json, "version", NGX_HTTP_API_VERSION);
    ngx_http_api_json_text(json, "nginx", NGINX_VERSION);
    ngx_http_api_json_flag(json, "write",
                           rlcf->api == NGX_HTTP_RATELIMIT_REDIS_API_WRITE);

    ngx_http_ratelimit_redis_api_redis(r, json);
    ngx_http_ratelimit_redis_token_api(json,
                                       ngx_http_get_module_main_conf(r,
                                            ngx_http_ratelimit_redis_module));
    ngx_http_ratelimit_redis_token_postgres_api(json);
    ngx_http_ratelimit_redis_api_all(r, json);

    return ngx_http_ratelimit_redis_api_send(r, NGX_HTTP_OK, json);
}


static void
ngx_http_ratelimit_redis_api_all(ngx_http_request_t *r,
    ngx_http_api_json_t *json)
{
    ngx_uint_t                              i;
    ngx_limiter_zone_t                    **zones;
    ngx_http_ratelimit_redis_main_conf_t   *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    zones = rmcf->zones.elts;

    ngx_http_api_json_array(json, "zones");

    for (i = 0; i < rmcf->zones.nelts; i++) {
        ngx_http_api_json_object(json, NULL);
        ngx_http_ratelimit_redis_api_zone_members(json,
                              ngx_http_ratelimit_redis_api_owner(zones[i]));
        ngx_http_api_json_end(json);
    }

    ngx_http_api_json_end(json);
}


static void
ngx_http_ratelimit_redis_api_zone_members(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_zone_t *rz)
{
    ngx_limiter_zone_t  *zone;

    zone = &rz->zone;

    ngx_http_api_json_string(json, "name", &zone->name);
    ngx_http_api_json_string(json, "key", &rz->key.value);
    ngx_http_api_json_number(json, "size",
                             zone->shpool->end - (u_char *) zone->shpool);
    ngx_http_api_json_text(json, "algorithm",
             ngx_http_ratelimit_redis_api_algorithm(zone->policy.algorithm));

    ngx_http_ratelimit_redis_api_rates(json, rz);

    ngx_http_api_json_number(json, "burst", zone->policy.burst);

    if (rz->cost) {
        ngx_http_api_json_string(json, "cost", &rz->cost->value);

    } else {
        ngx_http_api_json_text(json, "cost", "1");
    }

    if (rz->charge) {
        ngx_http_api_json_string(json, "charge", &rz->charge->value);

    } else {
        ngx_http_api_json_null(json, "charge");
    }

    ngx_http_api_json_number(json, "lease", ngx_max(zone->lease, 1));

    ngx_http_ratelimit_redis_api_subjects(json, zone);
    ngx_http_ratelimit_redis_api_totals(json, zone);
}


/* as configured: a variable is told, not what it is */

static void
ngx_http_ratelimit_redis_api_rates(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_zone_t *rz)
{
    ngx_uint_t                        i;
    ngx_http_ratelimit_redis_rate_t  *rate;

    ngx_http_api_json_array(json, "rates");

    for (i = 0; i < rz->nrates; i++) {
        rate = &rz->rates[i];

        ngx_http_api_json_object(json, NULL);

        if (rate->value) {
            ngx_http_api_json_string(json, "value", &rate->value->value);

        } else {
            ngx_http_api_json_number(json, "limit", rate->rate.limit);
            ngx_http_api_json_number(json, "period",
                                     rate->rate.period / 1000);
        }

        ngx_http_api_json_number(json, "rejected",
                                 ngx_metrics_sum(rz->refusals, i));
        ngx_http_api_json_end(json);
    }

    ngx_http_api_json_end(json);
}


static void
ngx_http_ratelimit_redis_api_subjects(ngx_http_api_json_t *json,
    ngx_limiter_zone_t *zone)
{
    ngx_http_ratelimit_redis_api_slots_t  slots;

    ngx_http_ratelimit_redis_api_slots(zone, &slots);

    ngx_http_api_json_object(json, "subjects");
    ngx_http_api_json_number(json, "capacity", slots.capacity);
    ngx_http_api_json_number(json, "used", slots.used);
    ngx_http_api_json_number(json, "evicted", slots.evicted);
    ngx_http_api_json_end(json);
}


void
ngx_http_ratelimit_redis_api_slots(ngx_limiter_zone_t *zone,
    ngx_http_ratelimit_redis_api_slots_t *slots)
{
    ngx_limiter_local_lock(zone);

    slots->capacity = zone->table->nslots;
    slots->used = zone->table->used;
    slots->evicted = zone->table->evicted;

    ngx_limiter_local_unlock(zone);
}


static void
ngx_http_ratelimit_redis_api_totals(ngx_http_api_json_t *json,
    ngx_limiter_zone_t *zone)
{
    ngx_uint_t  i;

    ngx_http_api_json_object(json, "totals");

    for (i = 0; i < NGX_LIMITER_TALLIES; i++) {
        ngx_http_api_json_number(json, ngx_http_ratelimit_redis_api_tallies[i],
                                 ngx_limiter_local_tallied(zone, i));
    }

    ngx_http_api_json_end(json);
}


static void
ngx_http_ratelimit_redis_api_redis(ngx_http_request_t *r,
    ngx_http_api_json_t *json)
{
    ngx_limiter_redis_t                   *redis;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    redis = ngx_http_ratelimit_redis_worker();

    if (rmcf->redis == NULL || redis->client == NULL) {
        ngx_http_api_json_null(json, "redis");
        return;
    }

    ngx_http_api_json_object(json, "redis");
    ngx_http_api_redis(json, rmcf->redis, redis->client);

    if (redis->fleet) {
        ngx_http_ratelimit_redis_api_fleet(json, redis->fleet);
    }

    ngx_http_api_redis_host(json, rmcf->metrics.redis);
    ngx_http_api_redis_worker(json, redis->client);

    ngx_http_api_json_end(json);
}


static void
ngx_http_ratelimit_redis_api_fleet(ngx_http_api_json_t *json,
    ngx_limiter_fleet_t *fleet)
{
    uint64_t  heard;

    heard = ngx_limiter_fleet_heard(fleet);

    ngx_http_api_json_number(json, "hosts", ngx_limiter_fleet_hosts(fleet));
    ngx_http_api_json_number(json, "rank", ngx_limiter_fleet_rank(fleet));
    ngx_http_api_json_number(json, "era", ngx_limiter_fleet_era(fleet));

    if (heard == 0) {
        ngx_http_api_json_null(json, "heard");

    } else {
        ngx_http_api_json_number(json, "heard",
                              (ngx_limiter_local_now() - heard) / 1000);
    }
}
