
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Prometheus' text format, version 0.0.4: families of metrics, each with its
 * help and type, and below them their samples, each with its labels.
 *
 *     ngx_http_api_prometheus_counter(p, "optcache_hits_total", "Hits.");
 *     ngx_http_api_prometheus_label(p, "zone", &zone->name);
 *     ngx_http_api_prometheus_text(p, "layer", "l1");
 *     ngx_http_api_prometheus_number(p, n);
 *
 * A writer remembers that it failed, for want of memory: only _send() tells.
 *
 * Names are as the format has them, and of the program; the values of labels
 * may be any bytes of the configuration, and never are a client's.
 */


#ifndef _NGX_HTTP_API_PROMETHEUS_H_INCLUDED_
#define _NGX_HTTP_API_PROMETHEUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* bytes of all labels of a sample, with their values escaped */
#define NGX_HTTP_API_PROMETHEUS_LABELS  1024


typedef struct ngx_http_api_prometheus_s  ngx_http_api_prometheus_t;


/* A writer; NULL when out of memory, which the functions below may be given. */

ngx_http_api_prometheus_t *ngx_http_api_prometheus_create(ngx_pool_t *pool);

/*
 * Begins a family, whose samples follow until the next one is begun.  The help
 * has no backslash and no line feed.
 */

void ngx_http_api_prometheus_counter(ngx_http_api_prometheus_t *p,
    const char *name, const char *help);
void ngx_http_api_prometheus_gauge(ngx_http_api_prometheus_t *p,
    const char *name, const char *help);
void ngx_http_api_prometheus_histogram(ngx_http_api_prometheus_t *p,
    const char *name, const char *help);

/*
 * Adds a label to the next sample; a value that does not fit any more is cut
 * off.
 */

void ngx_http_api_prometheus_label(ngx_http_api_prometheus_t *p,
    const char *name, ngx_str_t *value);
void ngx_http_api_prometheus_text(ngx_http_api_prometheus_t *p,
    const char *name, const char *value);

/*
 * A sample, which takes the labels: a number, or microseconds or milliseconds
 * as seconds.
 */

void ngx_http_api_prometheus_number(ngx_http_api_prometheus_t *p, uint64_t n);
void ngx_http_api_prometheus_usec(ngx_http_api_prometheus_t *p, uint64_t us);
void ngx_http_api_prometheus_msec(ngx_http_api_prometheus_t *p, uint64_t ms);

/*
 * All samples of one histogram of times: "counts" of those up to each of the
 * "n" bounds, in microseconds and ascending, and not of those below another
 * one; counts[n] is of all above.  "sum" is in microseconds, too.
 */

void ngx_http_api_prometheus_buckets(ngx_http_api_prometheus_t *p,
    const uint64_t *bounds, ngx_uint_t n, const uint64_t *counts,
    uint64_t sum);

/*
 * Answers with what was written.  Returns what a content handler returns; the
 * fields of all responses of an API are there already.
 */

ngx_int_t ngx_http_api_prometheus_send(ngx_http_request_t *r,
    ngx_http_api_prometheus_t *p);


#endif /* _NGX_HTTP_API_PROMETHEUS_H_INCLUDED_ */
