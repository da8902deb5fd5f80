
/*
 * Copyright (C) The Optcache authors
 */


/* How this host does, for who wants to know all. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_redis.h"
#include "ngx_http_api_version.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_postgres.h"
#include "ngx_optcache_ledger.h"
#include "ngx_redis_tracking.h"


static void ngx_http_optcache_api_redis(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_invalidation(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_stream(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_leases(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_known(ngx_http_api_json_t *json,
    const char *name, ngx_uint_t known, uint64_t n);
static void ngx_http_optcache_api_heard(ngx_http_api_json_t *json,
    uint64_t heard);
static void ngx_http_optcache_api_postgres(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_zones(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf);


ngx_int_t
ngx_http_optcache_api_status(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    ngx_http_api_json_t            *json;
    ngx_http_optcache_loc_conf_t   *olcf;
    ngx_http_optcache_main_conf_t  *omcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);
    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    json = ngx_http_api_json_create(r->pool);

    ngx_http_api_json_text(json, "version", NGX_HTTP_API_VERSION);
    ngx_http_api_json_text(json, "nginx", NGINX_VERSION);
    ngx_http_api_json_flag(json, "write",
                           olcf->api == NGX_HTTP_OPTCACHE_API_WRITE);

    if (olcf->api_ratelimit.len) {
        ngx_http_api_json_string(json, "ratelimit", &olcf->api_ratelimit);

    } else {
        ngx_http_api_json_null(json, "ratelimit");
    }

    ngx_http_optcache_api_redis(json, omcf);
    ngx_http_optcache_api_invalidation(json, omcf);
    ngx_http_optcache_api_postgres(json, omcf);
    ngx_http_optcache_api_zones(json, omcf);

    return ngx_http_optcache_api_send(r, NGX_HTTP_OK, json);
}


static void
ngx_http_optcache_api_redis(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->client == NULL) {
        ngx_http_api_json_null(json, "redis");
        return;
    }

    ngx_http_api_json_object(json, "redis");
    ngx_http_api_redis(json, omcf->redis, omcf->client);
    ngx_http_api_redis_worker(json, omcf->client);
    ngx_http_api_redis_host(json, omcf->counts);
    ngx_http_api_json_end(json);
}


static void
ngx_http_optcache_api_invalidation(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_optcache_moment_t  moment;

    if (omcf->ledger == NULL) {
        ngx_http_api_json_null(json, "invalidation");
        return;
    }

    ngx_optcache_ledger_now(omcf->ledger, &moment);

    ngx_http_api_json_object(json, "invalidation");
    ngx_http_api_json_number(json, "clock", moment.clock);
    ngx_http_api_json_number(json, "events",
                        ngx_optcache_ledger_stream(omcf->ledger)->events);
    ngx_http_optcache_api_events_json(json, omcf);
    ngx_http_api_json_number(json, "pending",
                             ngx_optcache_ledger_pending(omcf->ledger));

    ngx_http_optcache_api_stream(json, omcf);
    ngx_http_optcache_api_leases(json, omcf);

    ngx_http_api_json_end(json);
}


/* Whether hosts wait for each other. */

static void
ngx_http_optcache_api_leases(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->watch == NULL) {
        ngx_http_api_json_null(json, "leases");
        return;
    }

    ngx_http_api_json_text(json, "leases",
                           ngx_optcache_watch_trusted(omcf->watch)
                           ? "up" : "cut off");
}


static void
ngx_http_optcache_api_stream(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    u_char                         buf[NGX_INT64_LEN * 2 + 1];
    ngx_str_t                      position;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_stream_t  *stream;

    if (omcf->redis == NULL) {
        ngx_http_api_json_null(json, "stream");
        return;
    }

    stream = ngx_optcache_ledger_stream(omcf->ledger);

    ngx_optcache_ledger_id(omcf->ledger, &id);

    position.data = buf;
    position.len = ngx_sprintf(buf, "%uL-%uL", id.ms, id.number) - buf;

    ngx_http_api_json_object(json, "stream");
    ngx_http_api_json_text(json, "state",
                           ngx_optcache_reader_trusted(omcf->ledger)
                           ? "up" : "cut off");

    ngx_http_optcache_api_known(json, "since", stream->since, stream->since);
    ngx_http_api_json_string(json, "position", &position);
    ngx_http_optcache_api_heard(json,
                                ngx_shared_number_get(&stream->heard));
    ngx_http_api_json_number(json, "gaps", stream->gaps);
    ngx_http_api_json_number(json, "failed", stream->failed);
    ngx_http_api_json_end(json);
}


/* A number, or null if it is not known. */

static void
ngx_http_optcache_api_known(ngx_http_api_json_t *json, const char *name,
    ngx_uint_t known, uint64_t n)
{
    if (known) {
        ngx_http_api_json_number(json, name, n);

    } else {
        ngx_http_api_json_null(json, name);
    }
}


/* How long ago, of what another worker may set just now: it is read once. */

static void
ngx_http_optcache_api_heard(ngx_http_api_json_t *json, uint64_t heard)
{
    uint64_t  now;

    now = ngx_redis_tracking_now();

    ngx_http_optcache_api_known(json, "heard", heard != 0,
                                (now > heard) ? now - heard : 0);
}


static void
ngx_http_optcache_api_postgres(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_optcache_postgres_shm_t  *sh;

    sh = ngx_http_optcache_postgres_shm(omcf);

    if (sh == NULL) {
        ngx_http_api_json_null(json, "postgres");
        return;
    }

    ngx_http_api_json_object(json, "postgres");
    ngx_http_api_json_string(json, "state",
                             ngx_optcache_postgres_state_name(
                                             ngx_optcache_postgres_now(sh)));
    ngx_http_optcache_api_known(json, "since", sh->since, sh->since);
    ngx_http_optcache_api_heard(json, ngx_shared_number_get(&sh->heard));
    ngx_http_api_json_number(json, "id", ngx_shared_number_get(&sh->id));
    ngx_http_api_json_number(json, "told", sh->told);
    ngx_http_api_json_number(json, "lag", ngx_shared_number_get(&sh->lag));
    ngx_http_api_json_number(json, "lost", sh->lost);
    ngx_http_api_json_number(json, "odd", sh->odd);
    ngx_http_api_json_flag(json, "deaf", ngx_shared_number_get(&sh->deaf) != 0);
    ngx_http_api_json_flag(json, "pooled", sh->pooled);
    ngx_http_api_json_end(json);
}


static void
ngx_http_optcache_api_zones(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t                 i;
    ngx_optcache_l1_t        **zones;
    ngx_optcache_l1_stats_t    stats;

    zones = omcf->zones.elts;

    ngx_http_api_json_array(json, "zones");

    for (i = 0; i < omcf->zones.nelts; i++) {

        ngx_optcache_l1_stats(zones[i], &stats);

        ngx_http_api_json_object(json, NULL);
        ngx_http_api_json_string(json, "name", &zones[i]->name);
        ngx_http_api_json_number(json, "size", stats.size);
        ngx_http_api_json_number(json, "used", stats.used);
        ngx_http_api_json_number(json, "free", stats.free);
        ngx_http_api_json_number(json, "entries", stats.entries);
        ngx_http_api_json_number(json, "evicted", stats.evicted);
        ngx_http_optcache_api_known(json, "oldest", stats.oldest,
                             ngx_http_optcache_api_age(stats.oldest));
        ngx_http_api_json_flag(json, "attached", zones[i]->slot != NULL);
        ngx_http_optcache_count_json(json, zones[i]);
        ngx_http_api_json_end(json);
    }

    ngx_http_api_json_end(json);
}


uint64_t
ngx_http_optcache_api_age(time_t date)
{
    time_t  now;

    now = ngx_time();

    return (now > date) ? now - date : 0;
}
