
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_date.h"
#include "ngx_http_rfc9110_list.h"
#include "ngx_http_rfc9111_freshness.h"


void
ngx_http_rfc9111_freshness_init(ngx_http_rfc9111_freshness_t *f)
{
    ngx_http_rfc9111_control_init(&f->cc);

    f->date = -1;
    f->expires = -1;
    f->last_modified = -1;
    f->age = -1;
    f->age_seen = 0;
    f->pragma = 0;
}


int64_t
ngx_http_rfc9111_lifetime(ngx_http_rfc9111_freshness_t *f, ngx_uint_t shared,
    time_t now)
{
    time_t  date;

    /* RFC 9111, 5.2.2.10: s-maxage is for shared caches and wins there */

    if (shared && f->cc.s_maxage != -1) {
        return f->cc.s_maxage;
    }

    /* RFC 9111, 5.3: max-age wins over Expires */

    if (f->cc.max_age != -1) {
        return f->cc.max_age;
    }

    if (f->expires != -1) {
        date = (f->date == -1) ? now : f->date;

        return (f->expires > date)
               ? ngx_min(f->expires - date, NGX_HTTP_RFC9111_DELTA_MAX) : 0;
    }

    return -1;
}


int64_t
ngx_http_rfc9111_heuristic(ngx_http_rfc9111_freshness_t *f, ngx_uint_t status,
    time_t now)
{
    time_t  date;

    if (f->last_modified == -1 || f->pragma) {
        return -1;
    }

    if (!f->cc.pub && !ngx_http_rfc9111_heuristic_status(status)) {
        return -1;
    }

    date = (f->date == -1) ? now : f->date;

    if (date <= f->last_modified) {
        return 0;
    }

    return ngx_min((date - f->last_modified) / 10,
                   NGX_HTTP_RFC9111_HEURISTIC_MAX);
}


/* RFC 9110, 15.1; without 206, which is not stored */

ngx_uint_t
ngx_http_rfc9111_heuristic_status(ngx_uint_t status)
{
    switch (status) {

    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return 1;

    default:
        return 0;
    }
}


ngx_uint_t
ngx_http_rfc9111_validated_status(ngx_uint_t status)
{
    return status >= 200 && status <= 299;
}


int64_t
ngx_http_rfc9111_initial_age(ngx_http_rfc9111_freshness_t *f, time_t requested,
    time_t now)
{
    int64_t  apparent, corrected;

    apparent = 0;

    if (f->date != -1 && now > f->date) {
        apparent = now - f->date;
    }

    corrected = (f->age == -1) ? 0 : f->age;

    if (now > requested) {
        corrected += now - requested;
    }

    return ngx_min(ngx_max(apparent, corrected), NGX_HTTP_RFC9111_DELTA_MAX);
}


ngx_http_rfc9111_reuse_e
ngx_http_rfc9111_reuse(ngx_http_rfc9111_control_t *request,
    ngx_http_rfc9111_control_t *response, ngx_uint_t shared, int64_t age,
    int64_t lifetime)
{
    /* RFC 9111, 5.2.1.4 and 5.2.1.1 */

    if (request->no_cache
        || (request->max_age != -1 && age > request->max_age))
    {
        return NGX_HTTP_RFC9111_REFUSED;
    }

    if (age < lifetime) {

        /* RFC 9111, 5.2.1.3 */

        return (lifetime - age < request->min_fresh)
               ? NGX_HTTP_RFC9111_REFUSED : NGX_HTTP_RFC9111_FRESH;
    }

    if (response == NULL
        || ngx_http_rfc9111_never_stale(response, shared)
        || request->min_fresh != -1)
    {
        return NGX_HTTP_RFC9111_STALE;
    }

    /* RFC 9111, 5.2.1.2; -1 is less than any staleness */

    return (age - lifetime <= request->max_stale)
           ? NGX_HTTP_RFC9111_STALE_ACCEPTED : NGX_HTTP_RFC9111_STALE;
}


ngx_uint_t
ngx_http_rfc9111_never_stale(ngx_http_rfc9111_control_t *cc, ngx_uint_t shared)
{
    return cc->must_revalidate
           || cc->no_cache
           || (shared && (cc->proxy_revalidate || cc->s_maxage != -1));
}


void
ngx_http_rfc9111_age(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line)
{
    u_char  *p, *last, *end;

    if (f->age_seen) {
        return;
    }

    f->age_seen = 1;

    p = line->data;
    last = p + line->len;

    while (last > p && (*p == ' ' || *p == '\t')) {
        p++;
    }

    end = p;

    while (end < last && *end != ',' && *end != ';') {
        end++;
    }

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    f->age = ngx_http_rfc9111_delta(p, end - p);
}


void
ngx_http_rfc9111_expires(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line)
{
    time_t  time;

    time = ngx_http_rfc9110_date(line);

    if (time == (time_t) NGX_ERROR) {
        time = 0;
    }

    f->expires = (f->expires == -1) ? time : ngx_min(f->expires, time);
}


void
ngx_http_rfc9111_last_modified(ngx_http_rfc9111_freshness_t *f,
    ngx_str_t *line)
{
    time_t  time;

    /* NGX_ERROR is -1; of several the latest, which grants the least */

    time = ngx_http_rfc9110_date(line);

    f->last_modified = ngx_max(f->last_modified, time);
}


ngx_uint_t
ngx_http_rfc9111_pragma(ngx_str_t *line)
{
    static ngx_str_t  no_cache = ngx_string("no-cache");

    return ngx_http_rfc9110_list_has(line, &no_cache);
}
