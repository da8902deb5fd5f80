
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_redis.h"
#include "ngx_redis_conf.h"


#define NGX_HTTP_API_REDIS_NAME  80


static void ngx_http_api_redis_counters(ngx_http_api_json_t *json,
    uint64_t *counters);
static void ngx_http_api_redis_latency(ngx_http_api_json_t *json,
    uint64_t *counters);
static void ngx_http_api_redis_sum(ngx_metrics_block_t *block,
    uint64_t *counters);
static void ngx_http_api_redis_states_metrics(ngx_http_api_prometheus_t *p,
    const char *prefix, ngx_redis_client_t *client);
static void ngx_http_api_redis_results_metrics(ngx_http_api_prometheus_t *p,
    const char *prefix, uint64_t *counters);
static const char *ngx_http_api_redis_name(const char *prefix,
    const char *name);


/* ngx_redis_state_e */

static const char  *ngx_http_api_redis_states[] = {
    "idle",
    "connecting",
    "up",
    "down"
};


/* ngx_redis_breaker_state_e */

static const char  *ngx_http_api_redis_breakers[] = {
    "closed",
    "open",
    "trial"
};


/* ngx_redis_metrics_e, before those of latencies */

static const char  *ngx_http_api_redis_names[] = {
    "commands",
    "rejected",
    "replies",
    "errors",
    "timeouts",
    "closed",
    "writes",
    "connects",
    "outages"
};


void
ngx_http_api_redis(ngx_http_api_json_t *json, ngx_redis_conf_t *conf,
    ngx_redis_client_t *client)
{
    ngx_uint_t           i;
    ngx_redis_server_t  *servers;

    ngx_http_api_json_text(json, "state",
                 ngx_http_api_redis_states[ngx_redis_client_state(client)]);
    ngx_http_api_json_text(json, "breaker",
             ngx_http_api_redis_breakers[ngx_redis_client_breaker(client)]);

    servers = conf->servers.elts;

    ngx_http_api_json_array(json, "servers");

    for (i = 0; i < conf->servers.nelts; i++) {
        ngx_http_api_json_string(json, NULL, &servers[i].text);
    }

    ngx_http_api_json_end(json);
}


void
ngx_http_api_redis_worker(ngx_http_api_json_t *json,
    ngx_redis_client_t *client)
{
    ngx_http_api_json_object(json, "worker");
    ngx_http_api_json_number(json, "pid", ngx_pid);
    ngx_http_api_redis_counters(json,
                                ngx_redis_client_stats(client)->counters);
    ngx_http_api_json_end(json);
}


void
ngx_http_api_redis_host(ngx_http_api_json_t *json, ngx_metrics_block_t *block)
{
    uint64_t  counters[NGX_REDIS_METRICS];

    ngx_http_api_redis_sum(block, counters);

    ngx_http_api_json_object(json, "host");
    ngx_http_api_redis_counters(json, counters);
    ngx_http_api_redis_latency(json, counters);
    ngx_http_api_json_end(json);
}


static void
ngx_http_api_redis_counters(ngx_http_api_json_t *json, uint64_t *counters)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_REDIS_METRICS_USEC; i++) {
        ngx_http_api_json_number(json, ngx_http_api_redis_names[i],
                                 counters[i]);
    }
}


static void
ngx_http_api_redis_latency(ngx_http_api_json_t *json, uint64_t *counters)
{
    ngx_uint_t  i;

    ngx_http_api_json_object(json, "latency");

    ngx_http_api_json_array(json, "le");

    for (i = 0; i < NGX_REDIS_METRICS_BOUNDS; i++) {
        ngx_http_api_json_number(json, NULL, ngx_redis_metrics_bounds[i]);
    }

    ngx_http_api_json_end(json);

    ngx_http_api_json_array(json, "counts");

    for (i = NGX_REDIS_METRICS_LATENCY; i < NGX_REDIS_METRICS; i++) {
        ngx_http_api_json_number(json, NULL, counters[i]);
    }

    ngx_http_api_json_end(json);

    ngx_http_api_json_number(json, "sum", counters[NGX_REDIS_METRICS_USEC]);

    ngx_http_api_json_end(json);
}


static void
ngx_http_api_redis_sum(ngx_metrics_block_t *block, uint64_t *counters)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_REDIS_METRICS; i++) {
        counters[i] = ngx_metrics_sum(block, i);
    }
}


void
ngx_http_api_redis_metrics(ngx_http_api_prometheus_t *p, const char *prefix,
    ngx_redis_client_t *client, ngx_metrics_block_t *block)
{
    uint64_t  counters[NGX_REDIS_METRICS];

    ngx_http_api_redis_sum(block, counters);

    ngx_http_api_redis_states_metrics(p, prefix, client);
    ngx_http_api_redis_results_metrics(p, prefix, counters);

    ngx_http_api_prometheus_histogram(p,
             ngx_http_api_redis_name(prefix, "redis_command_duration_seconds"),
             "Time from sending a command to Redis to its reply.");
    ngx_http_api_prometheus_buckets(p, ngx_redis_metrics_bounds,
                                    NGX_REDIS_METRICS_BOUNDS,
                                    &counters[NGX_REDIS_METRICS_LATENCY],
                                    counters[NGX_REDIS_METRICS_USEC]);

    ngx_http_api_prometheus_counter(p,
             ngx_http_api_redis_name(prefix, "redis_writes_total"),
             "Writes to Redis, of one or more commands each.");
    ngx_http_api_prometheus_number(p, counters[NGX_REDIS_METRICS_WRITES]);

    ngx_http_api_prometheus_counter(p,
             ngx_http_api_redis_name(prefix, "redis_connects_total"),
             "Connections to Redis that came up.");
    ngx_http_api_prometheus_number(p, counters[NGX_REDIS_METRICS_CONNECTS]);

    ngx_http_api_prometheus_counter(p,
             ngx_http_api_redis_name(prefix, "redis_outages_total"),
             "Times that a worker stopped asking Redis.");
    ngx_http_api_prometheus_number(p, counters[NGX_REDIS_METRICS_OUTAGES]);
}


static void
ngx_http_api_redis_states_metrics(ngx_http_api_prometheus_t *p,
    const char *prefix, ngx_redis_client_t *client)
{
    ngx_uint_t                 i;
    ngx_redis_breaker_state_e  state;

    ngx_http_api_prometheus_gauge(p,
             ngx_http_api_redis_name(prefix, "redis_up"),
             "Whether the worker that answers is connected to Redis.");
    ngx_http_api_prometheus_number(p, ngx_redis_client_state(client)
                                      == NGX_REDIS_UP);

    ngx_http_api_prometheus_gauge(p,
             ngx_http_api_redis_name(prefix, "redis_breaker"),
             "The state of the circuit breaker of the worker that answers.");

    state = ngx_redis_client_breaker(client);

    for (i = 0; i <= NGX_REDIS_BREAKER_TRIAL; i++) {
        ngx_http_api_prometheus_text(p, "state",
                                     ngx_http_api_redis_breakers[i]);
        ngx_http_api_prometheus_number(p, i == (ngx_uint_t) state);
    }
}


static void
ngx_http_api_redis_results_metrics(ngx_http_api_prometheus_t *p,
    const char *prefix, uint64_t *counters)
{
    ngx_uint_t  i;

    static const char  *results[] = {
        "rejected", "reply", "error", "timeout", "closed"
    };

    ngx_http_api_prometheus_counter(p,
             ngx_http_api_redis_name(prefix, "redis_commands_total"),
             "Commands for Redis, by what came of them.");

    for (i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        ngx_http_api_prometheus_text(p, "result", results[i]);
        ngx_http_api_prometheus_number(p,
                                 counters[NGX_REDIS_METRICS_REJECTED + i]);
    }
}


/* until the next family is begun: the writer keeps it so long */

static const char *
ngx_http_api_redis_name(const char *prefix, const char *name)
{
    static u_char  buf[NGX_HTTP_API_REDIS_NAME];

    (void) ngx_snprintf(buf, sizeof(buf), "%s%s%Z", prefix, name);

    return (const char *) buf;
}


ngx_uint_t
ngx_http_api_redis_degraded(ngx_redis_client_t *client)
{
    return ngx_redis_client_breaker(client) != NGX_REDIS_BREAKER_CLOSED;
}
