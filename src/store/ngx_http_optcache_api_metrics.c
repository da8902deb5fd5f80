
/*
 * Copyright (C) The Optcache authors
 */


/* What is in the status, to Prometheus. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_prometheus.h"
#include "ngx_http_api_redis.h"
#include "ngx_http_api_version.h"
#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_postgres.h"
#include "ngx_optcache_ledger.h"
#include "ngx_redis_tracking.h"


/* the greatest kinds are of the same thing, narrowed down */

typedef struct {
    const char                *name;
    ngx_optcache_mark_e        first;
    ngx_optcache_mark_e        last;
} ngx_http_optcache_api_kind_t;


/* of a zone */

typedef struct {
    size_t                     offset;  /* in ngx_optcache_l1_stats_t */
    const char                *name;
    const char                *help;
} ngx_http_optcache_api_gauge_t;


static void ngx_http_optcache_api_metrics_info(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_metrics_zones(ngx_http_request_t *r,
    ngx_http_api_prometheus_t *p, ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_metrics_oldest(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf, ngx_optcache_l1_stats_t *stats);
static void ngx_http_optcache_api_metrics_events(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf);
static uint64_t ngx_http_optcache_api_metrics_kind(
    ngx_http_optcache_main_conf_t *omcf, ngx_http_optcache_api_kind_t *kind,
    ngx_uint_t soft);
static void ngx_http_optcache_api_metrics_stream(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_metrics_postgres(
    ngx_http_api_prometheus_t *p, ngx_http_optcache_main_conf_t *omcf);
static void ngx_http_optcache_api_metrics_heard(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t heard);
static void ngx_http_optcache_api_metrics_one(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t n);
static void ngx_http_optcache_api_metrics_total(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t n);


static ngx_http_optcache_api_kind_t  ngx_http_optcache_api_kinds[] = {
    { "all", NGX_OPTCACHE_MARK_ALL, NGX_OPTCACHE_MARK_ALL },
    { "host", NGX_OPTCACHE_MARK_HOST, NGX_OPTCACHE_MARK_HOST },
    { "user", NGX_OPTCACHE_MARK_USER, NGX_OPTCACHE_MARK_USER },
    { "uri", NGX_OPTCACHE_MARK_URI, NGX_OPTCACHE_MARK_URI_HOST_USER },
    { "tag", NGX_OPTCACHE_MARK_TAG, NGX_OPTCACHE_MARK_TAG_HOST },
    { "prefix", NGX_OPTCACHE_MARK_PREFIX, NGX_OPTCACHE_MARK_PREFIX_HOST },
    { NULL, 0, 0 }
};


static ngx_http_optcache_api_gauge_t  ngx_http_optcache_api_gauges[] = {

    { offsetof(ngx_optcache_l1_stats_t, size), "optcache_size_bytes",
      "Memory of a zone, as configured." },

    { offsetof(ngx_optcache_l1_stats_t, used), "optcache_used_bytes",
      "Memory of a zone that entries have." },

    { offsetof(ngx_optcache_l1_stats_t, free), "optcache_free_bytes",
      "Memory of a zone that entries may have." },

    { offsetof(ngx_optcache_l1_stats_t, entries), "optcache_entries",
      "Entries in the memory of a zone." },

    { offsetof(ngx_optcache_l1_stats_t, evicted), "optcache_evicted_total",
      "Entries that had to leave for others." },

    { 0, NULL, NULL }
};


ngx_int_t
ngx_http_optcache_api_metrics(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    ngx_http_api_prometheus_t      *p;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    p = ngx_http_api_prometheus_create(r->pool);

    ngx_http_optcache_api_metrics_info(p, omcf);

    if (omcf->zones.nelts) {
        ngx_http_optcache_count_prometheus(p, &omcf->zones);
        ngx_http_optcache_api_metrics_zones(r, p, omcf);
    }

    if (omcf->ledger) {
        ngx_http_optcache_api_metrics_events(p, omcf);
    }

    if (omcf->ledger && omcf->redis) {
        ngx_http_optcache_api_metrics_stream(p, omcf);
    }

    if (omcf->watch) {
        ngx_http_optcache_api_metrics_one(p, "optcache_leases_up",
                                "Whether hosts wait for each other's answers.",
                                ngx_optcache_watch_trusted(omcf->watch));
    }

    ngx_http_optcache_api_metrics_postgres(p, omcf);

    if (omcf->client) {
        ngx_http_api_redis_metrics(p, "optcache_", omcf->client, omcf->counts);
    }

    return ngx_http_api_prometheus_send(r, p);
}


static void
ngx_http_optcache_api_metrics_info(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_http_api_prometheus_gauge(p, "optcache_build_info",
                                  "The versions of the module and of nginx.");
    ngx_http_api_prometheus_text(p, "version", NGX_HTTP_API_VERSION);
    ngx_http_api_prometheus_text(p, "nginx", NGINX_VERSION);
    ngx_http_api_prometheus_number(p, 1);

    ngx_http_optcache_api_metrics_one(p, "optcache_degraded",
             "Whether something is amiss, as the worker that answers knows.",
             ngx_http_optcache_api_reasons(NULL, omcf) != 0);
}


static void
ngx_http_optcache_api_metrics_zones(ngx_http_request_t *r,
    ngx_http_api_prometheus_t *p, ngx_http_optcache_main_conf_t *omcf)
{
    u_char                         *field;
    ngx_uint_t                      i;
    ngx_optcache_l1_t             **zones;
    ngx_optcache_l1_stats_t        *stats;
    ngx_http_optcache_api_gauge_t  *gauge;

    stats = ngx_palloc(r->pool,
                       omcf->zones.nelts * sizeof(ngx_optcache_l1_stats_t));
    if (stats == NULL) {
        return;
    }

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {
        ngx_optcache_l1_stats(zones[i], &stats[i]);
    }

    for (gauge = ngx_http_optcache_api_gauges; gauge->name; gauge++) {

        if (gauge->offset == offsetof(ngx_optcache_l1_stats_t, evicted)) {
            ngx_http_api_prometheus_counter(p, gauge->name, gauge->help);

        } else {
            ngx_http_api_prometheus_gauge(p, gauge->name, gauge->help);
        }

        for (i = 0; i < omcf->zones.nelts; i++) {
            field = (u_char *) &stats[i] + gauge->offset;

            ngx_http_api_prometheus_label(p, "zone", &zones[i]->name);
            ngx_http_api_prometheus_number(p, *(uint64_t *) (void *) field);
        }
    }

    ngx_http_optcache_api_metrics_oldest(p, omcf, stats);
}


static void
ngx_http_optcache_api_metrics_oldest(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf, ngx_optcache_l1_stats_t *stats)
{
    ngx_uint_t           i, n;
    ngx_optcache_l1_t  **zones;

    zones = omcf->zones.elts;

    for (i = 0, n = 0; i < omcf->zones.nelts; i++) {

        if (stats[i].oldest == 0) {
            continue;
        }

        if (n++ == 0) {
            ngx_http_api_prometheus_gauge(p, "optcache_oldest_entry_seconds",
                             "How long ago the oldest entry was received.");
        }

        ngx_http_api_prometheus_label(p, "zone", &zones[i]->name);
        ngx_http_api_prometheus_number(p,
                                 ngx_http_optcache_api_age(stats[i].oldest));
    }
}


static void
ngx_http_optcache_api_metrics_events(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t                     soft;
    ngx_http_optcache_api_kind_t  *kind;

    ngx_http_api_prometheus_counter(p, "optcache_invalidations_total",
                          "Invalidations in force on this host, by kind.");

    for (kind = ngx_http_optcache_api_kinds; kind->name; kind++) {

        for (soft = 0; soft < 2; soft++) {
            ngx_http_api_prometheus_text(p, "kind", kind->name);
            ngx_http_api_prometheus_text(p, "mode", soft ? "soft" : "hard");
            ngx_http_api_prometheus_number(p,
                        ngx_http_optcache_api_metrics_kind(omcf, kind, soft));
        }
    }

    ngx_http_optcache_api_metrics_one(p, "optcache_invalidations_pending",
                             "Invalidations that Redis does not have yet.",
                             ngx_optcache_ledger_pending(omcf->ledger));
}


void
ngx_http_optcache_api_events_json(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_http_optcache_api_kind_t  *kind;

    ngx_http_api_json_object(json, "kinds");

    for (kind = ngx_http_optcache_api_kinds; kind->name; kind++) {
        ngx_http_api_json_number(json, kind->name,
                       ngx_http_optcache_api_metrics_kind(omcf, kind, 0)
                       + ngx_http_optcache_api_metrics_kind(omcf, kind, 1));
    }

    ngx_http_api_json_end(json);
}


static uint64_t
ngx_http_optcache_api_metrics_kind(ngx_http_optcache_main_conf_t *omcf,
    ngx_http_optcache_api_kind_t *kind, ngx_uint_t soft)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = kind->first; i <= (ngx_uint_t) kind->last; i++) {
        n += ngx_optcache_ledger_events(omcf->ledger, i, soft);
    }

    return n;
}


static void
ngx_http_optcache_api_metrics_stream(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_optcache_ledger_stream_t  *stream;

    stream = ngx_optcache_ledger_stream(omcf->ledger);

    ngx_http_optcache_api_metrics_one(p, "optcache_stream_up",
                      "Whether invalidations of other hosts are heard of.",
                      ngx_optcache_reader_trusted(omcf->ledger));

    ngx_http_optcache_api_metrics_heard(p, "optcache_stream_heard_seconds",
                      "Since the stream of invalidations was heard of last.",
                      ngx_shared_number_get(&stream->heard));

    ngx_http_optcache_api_metrics_total(p, "optcache_stream_gaps_total",
                      "Times that invalidations may have been lost.",
                      stream->gaps);

    ngx_http_optcache_api_metrics_total(p, "optcache_stream_failed_total",
                      "Events of the stream that were not understood.",
                      stream->failed);
}


static void
ngx_http_optcache_api_metrics_postgres(ngx_http_api_prometheus_t *p,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t                    now, state;
    ngx_optcache_postgres_shm_t  *sh;

    sh = ngx_http_optcache_postgres_shm(omcf);

    if (sh == NULL) {
        return;
    }

    ngx_http_api_prometheus_gauge(p, "optcache_postgres_state",
                      "1 for the state that the connection is in.");

    now = ngx_optcache_postgres_now(sh);

    for (state = NGX_OPTCACHE_POSTGRES_DOWN;
         state <= NGX_OPTCACHE_POSTGRES_LISTENING;
         state++)
    {
        ngx_http_api_prometheus_label(p, "state",
                                     ngx_optcache_postgres_state_name(state));
        ngx_http_api_prometheus_number(p, now == state);
    }

    ngx_http_optcache_api_metrics_heard(p, "optcache_postgres_heard_seconds",
                      "Since all rows were read last.",
                      ngx_shared_number_get(&sh->heard));

    ngx_http_api_prometheus_gauge(p, "optcache_postgres_lag_seconds",
                      "From when the last row was written until it was read.");
    ngx_http_api_prometheus_msec(p, ngx_shared_number_get(&sh->lag));

    ngx_http_optcache_api_metrics_total(p, "optcache_postgres_told_total",
                      "Rows whose invalidations are in force.", sh->told);

    ngx_http_optcache_api_metrics_total(p, "optcache_postgres_lost_total",
                      "Times that rows may have been lost.", sh->lost);

    ngx_http_optcache_api_metrics_total(p, "optcache_postgres_odd_total",
                      "Rows that were not understood.", sh->odd);
}


/* "heard" is in ms of ngx_redis_tracking_now(); 0: never */

static void
ngx_http_optcache_api_metrics_heard(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t heard)
{
    uint64_t  now;

    if (heard) {
        ngx_http_api_prometheus_gauge(p, name, help);

        now = ngx_redis_tracking_now();
        ngx_http_api_prometheus_msec(p, (now > heard) ? now - heard : 0);
    }
}


static void
ngx_http_optcache_api_metrics_one(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t n)
{
    ngx_http_api_prometheus_gauge(p, name, help);
    ngx_http_api_prometheus_number(p, n);
}


static void
ngx_http_optcache_api_metrics_total(ngx_http_api_prometheus_t *p,
    const char *name, const char *help, uint64_t n)
{
    ngx_http_api_prometheus_counter(p, name, help);
    ngx_http_api_prometheus_number(p, n);
}
