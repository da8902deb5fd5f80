
/*
 * Copyright (C) The Optcache authors
 */


/* The counters of a zone by their names, in the status and to Prometheus. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"


/* a family of Prometheus; its label has these values, or there is none */

typedef struct {
    const char   *name;
    const char   *help;
    const char   *label;
    const char  **values;
    ngx_uint_t    answers;    /* counted in zone->answers, not in ->requests */
    ngx_uint_t    first;      /* the counter of the first value */
} ngx_http_optcache_count_family_t;


static uint64_t ngx_http_optcache_count_sum(ngx_optcache_l1_t *zone,
    ngx_uint_t answers, ngx_uint_t i);
static void ngx_http_optcache_count_statuses(ngx_optcache_l1_t *zone,
    uint64_t *n);
static void ngx_http_optcache_count_list(ngx_http_api_json_t *json,
    ngx_optcache_l1_t *zone, const char **names, ngx_uint_t answers,
    ngx_uint_t first);
static void ngx_http_optcache_count_family(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones, ngx_http_optcache_count_family_t *family);
static void ngx_http_optcache_count_requests(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones);
static void ngx_http_optcache_count_hits(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones);


/* each in the order of its counters */

static const char  *ngx_http_optcache_count_kinds[] = {
    "fresh", "stale", "updating", "revalidated", NULL
};

static const char  *ngx_http_optcache_count_layers[] = {
    "l1", "l2", NULL
};

static const char  *ngx_http_optcache_count_misses[] = {
    "absent", "vary", "coding", "invalidated", "refused", "busy", "expired",
    "request", NULL
};

static const char  *ngx_http_optcache_count_bypasses[] = {
    "method", "configured", "request", "body", "uri", "upgrade",
    "subrequest", "key", NULL
};

static const char  *ngx_http_optcache_count_waits[] = {
    "host", "hosts", "timeout", NULL
};

static const char  *ngx_http_optcache_count_refusals[] = {
    "status", "no_store", "no_cache", "private", "authorization", "cookie",
    "set_cookie", "vary", "freshness", "error", "configured", "until", "uses",
    "size", "memory", "file", "incomplete", "invalidated", "range", "stream",
    "field", "tags", "key", "host", "location", "reload", NULL
};

static const char  *ngx_http_optcache_count_values[] = {
    "foreign", "version", "truncated", "corrupt", "key", "hostile", "type",
    NULL
};

static const char  *ngx_http_optcache_count_unstored[] = {
    "size", "rejected", "failed", NULL
};

/* X-Cache, and what is over before there is one */

static const char  *ngx_http_optcache_count_names[] = {
    "hit", "miss", "expired", "bypass", "stale", "updating", "revalidated",
    "left", NULL
};

#define NGX_HTTP_OPTCACHE_COUNT_STATUSES  8


static const char  *ngx_http_optcache_count_none[] = { "", NULL };

static ngx_http_optcache_count_family_t  ngx_http_optcache_count_families[] = {

    { "optcache_misses_total",
      "Requests for which upstream was asked, by reason.",
      "reason", ngx_http_optcache_count_misses, 0,
      NGX_HTTP_OPTCACHE_MISS_ABSENT },

    { "optcache_bypasses_total",
      "Requests that were not looked up, by reason.",
      "reason", ngx_http_optcache_count_bypasses, 0,
      NGX_HTTP_OPTCACHE_BYPASS_METHOD },

    { "optcache_stored_total",
      "Answers that were stored, by layer.",
      "layer", ngx_http_optcache_count_layers, 1,
      NGX_HTTP_OPTCACHE_STORED_L1 },

    { "optcache_refused_total",
      "Answers that were not stored, by reason.",
      "reason", ngx_http_optcache_count_refusals, 1,
      NGX_HTTP_OPTCACHE_REFUSED },

    { "optcache_l2_refused_total",
      "Values of Redis that were refused, by reason.",
      "reason", ngx_http_optcache_count_values, 1,
      NGX_HTTP_OPTCACHE_VALUE },

    { "optcache_l2_unstored_total",
      "Answers that Redis was to store and does not have, by reason.",
      "reason", ngx_http_optcache_count_unstored, 1,
      NGX_HTTP_OPTCACHE_UNSTORED_SIZE },

    { "optcache_waits_total",
      "Waits for the answer to another request, by result.",
      "result", ngx_http_optcache_count_waits, 0,
      NGX_HTTP_OPTCACHE_WAITED_HOST },

    { "optcache_leases_total",
      "Leases of keys that this host has taken.",
      NULL, ngx_http_optcache_count_none, 0, NGX_HTTP_OPTCACHE_LEASES },

    { "optcache_updates_total",
      "Background updates for which upstream was asked.",
      NULL, ngx_http_optcache_count_none, 0, NGX_HTTP_OPTCACHE_UPDATES },

    { NULL, NULL, NULL, NULL, 0, 0 }
};


static uint64_t
ngx_http_optcache_count_sum(ngx_optcache_l1_t *zone, ngx_uint_t answers,
    ngx_uint_t i)
{
    return ngx_metrics_sum(answers ? zone->answers : zone->requests, i);
}


/* In the order of their names: each request is in one of them. */

static void
ngx_http_optcache_count_statuses(ngx_optcache_l1_t *zone, uint64_t *n)
{
    uint64_t    sum;
    ngx_uint_t  i, status;

    ngx_memzero(n, NGX_HTTP_OPTCACHE_COUNT_STATUSES * sizeof(uint64_t));

    for (i = 0; i <= NGX_HTTP_OPTCACHE_LEFT; i++) {

        if (i < NGX_HTTP_OPTCACHE_MISS_ABSENT) {
            status = i % NGX_HTTP_OPTCACHE_KINDS;
            status = status ? NGX_HTTP_OPTCACHE_STALE + status - 1
                            : NGX_HTTP_OPTCACHE_HIT;

        } else if (i < NGX_HTTP_OPTCACHE_MISS_EXPIRED) {
            status = NGX_HTTP_OPTCACHE_MISS;

        } else if (i < NGX_HTTP_OPTCACHE_BYPASS_METHOD) {
            status = NGX_HTTP_OPTCACHE_EXPIRED;

        } else if (i < NGX_HTTP_OPTCACHE_LEFT) {
            status = NGX_HTTP_OPTCACHE_BYPASS;

        } else {
            status = NGX_HTTP_OPTCACHE_REVALIDATED + 1;
        }

        sum = ngx_http_optcache_count_sum(zone, 0, i);

        n[status - NGX_HTTP_OPTCACHE_HIT] += sum;
    }
}


const char *
ngx_http_optcache_count_value(ngx_uint_t why)
{
    return ngx_http_optcache_count_values[why - NGX_HTTP_OPTCACHE_VALUE];
}


void
ngx_http_optcache_count_json(ngx_http_api_json_t *json,
    ngx_optcache_l1_t *zone)
{
    uint64_t     n[NGX_HTTP_OPTCACHE_COUNT_STATUSES];
    ngx_uint_t   i;

    ngx_http_optcache_count_statuses(zone, n);

    ngx_http_api_json_object(json, "requests");

    for (i = 0; i < NGX_HTTP_OPTCACHE_COUNT_STATUSES; i++) {
        ngx_http_api_json_number(json, ngx_http_optcache_count_names[i], n[i]);
    }

    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "hits");

    for (i = 0; ngx_http_optcache_count_layers[i]; i++) {
        ngx_http_api_json_object(json, ngx_http_optcache_count_layers[i]);
        ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_kinds,
                                     0, NGX_HTTP_OPTCACHE_HITS
                                        + i * NGX_HTTP_OPTCACHE_KINDS);
        ngx_http_api_json_end(json);
    }

    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "misses");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_misses,
                                 0, NGX_HTTP_OPTCACHE_MISS_ABSENT);
    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "bypasses");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_bypasses,
                                 0, NGX_HTTP_OPTCACHE_BYPASS_METHOD);
    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "stored");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_layers,
                                 1, NGX_HTTP_OPTCACHE_STORED_L1);
    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "refused");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_refusals,
                                 1, NGX_HTTP_OPTCACHE_REFUSED);
    ngx_http_api_json_end(json);

    ngx_http_api_json_number(json, "coalesced",
        ngx_http_optcache_count_sum(zone, 0, NGX_HTTP_OPTCACHE_WAITED_HOST)
        + ngx_http_optcache_count_sum(zone, 0,
                                      NGX_HTTP_OPTCACHE_WAITED_HOSTS));

    ngx_http_api_json_object(json, "waits");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_waits,
                                 0, NGX_HTTP_OPTCACHE_WAITED_HOST);
    ngx_http_api_json_end(json);

    ngx_http_api_json_number(json, "leases",
           ngx_http_optcache_count_sum(zone, 0, NGX_HTTP_OPTCACHE_LEASES));
    ngx_http_api_json_number(json, "updates",
           ngx_http_optcache_count_sum(zone, 0, NGX_HTTP_OPTCACHE_UPDATES));

    ngx_http_api_json_object(json, "l2");
    ngx_http_api_json_object(json, "refused");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_values,
                                 1, NGX_HTTP_OPTCACHE_VALUE);
    ngx_http_api_json_end(json);

    ngx_http_api_json_object(json, "unstored");
    ngx_http_optcache_count_list(json, zone, ngx_http_optcache_count_unstored,
                                 1, NGX_HTTP_OPTCACHE_UNSTORED_SIZE);
    ngx_http_api_json_end(json);
    ngx_http_api_json_end(json);
}


static void
ngx_http_optcache_count_list(ngx_http_api_json_t *json,
    ngx_optcache_l1_t *zone, const char **names, ngx_uint_t answers,
    ngx_uint_t first)
{
    ngx_uint_t  i;

    for (i = 0; names[i]; i++) {
        ngx_http_api_json_number(json, names[i],
                       ngx_http_optcache_count_sum(zone, answers, first + i));
    }
}


void
ngx_http_optcache_count_prometheus(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    ngx_http_optcache_count_family_t  *family;

    ngx_http_optcache_count_requests(p, zones);
    ngx_http_optcache_count_hits(p, zones);

    for (family = ngx_http_optcache_count_families; family->name; family++) {
        ngx_http_api_prometheus_counter(p, family->name, family->help);
        ngx_http_optcache_count_family(p, zones, family);
    }
}


static void
ngx_http_optcache_count_family(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones, ngx_http_optcache_count_family_t *family)
{
    ngx_uint_t           i, k;
    ngx_optcache_l1_t  **zone;

    zone = zones->elts;

    for (k = 0; k < zones->nelts; k++) {
        for (i = 0; family->values[i]; i++) {

            ngx_http_api_prometheus_label(p, "zone", &zone[k]->name);

            if (family->label) {
                ngx_http_api_prometheus_text(p, family->label,
                                             family->values[i]);
            }

            ngx_http_api_prometheus_number(p,
                          ngx_http_optcache_count_sum(zone[k], family->answers,
                                                      family->first + i));
        }
    }
}


static void
ngx_http_optcache_count_requests(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    uint64_t             n[NGX_HTTP_OPTCACHE_COUNT_STATUSES];
    ngx_uint_t           i, k;
    ngx_optcache_l1_t  **zone;

    ngx_http_api_prometheus_counter(p, "optcache_requests_total",
                                    "Requests, by what X-Cache says of them.");

    zone = zones->elts;

    for (k = 0; k < zones->nelts; k++) {

        ngx_http_optcache_count_statuses(zone[k], n);

        for (i = 0; i < NGX_HTTP_OPTCACHE_COUNT_STATUSES; i++) {
            ngx_http_api_prometheus_label(p, "zone", &zone[k]->name);
            ngx_http_api_prometheus_text(p, "status",
                                         ngx_http_optcache_count_names[i]);
            ngx_http_api_prometheus_number(p, n[i]);
        }
    }
}


static void
ngx_http_optcache_count_hits(ngx_http_api_prometheus_t *p,
    ngx_array_t *zones)
{
    ngx_uint_t           i, k;
    ngx_optcache_l1_t  **zone;

    ngx_http_api_prometheus_counter(p, "optcache_hits_total",
                  "Requests that were answered from the cache, by layer and "
                  "kind.");

    zone = zones->elts;

    for (k = 0; k < zones->nelts; k++) {
        for (i = 0; i < 2 * NGX_HTTP_OPTCACHE_KINDS; i++) {
            ngx_http_api_prometheus_label(p, "zone", &zone[k]->name);
            ngx_http_api_prometheus_text(p, "layer",
              ngx_http_optcache_count_layers[i / NGX_HTTP_OPTCACHE_KINDS]);
            ngx_http_api_prometheus_text(p, "kind",
              ngx_http_optcache_count_kinds[i % NGX_HTTP_OPTCACHE_KINDS]);
            ngx_http_api_prometheus_number(p,
                    ngx_http_optcache_count_sum(zone[k], 0, i));
        }
    }
}
