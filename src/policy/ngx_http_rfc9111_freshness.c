
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_freshness.h"


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


void
ngx_http_rfc9111_age(ngx_http_rfc9111_freshness_t *f, ngx_str_t *line)
{
    u_char  *p, *last, *comma;

    if (f->age != -1) {
        return;
    }

    p = line->data;
    last = p + line->len;

    while (last > p && (*p == ' ' || *p == '\t')) {
        p++;
    }

    comma = ngx_strlchr(p, last, ',');

    if (comma) {
        last = comma;
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    f->age = ngx_http_rfc9111_delta(p, last - p);
}


void
ngx_http_rfc9111_expires(ngx_http_rfc9111_freshness_t *f, time_t time)
{
    if (time == (time_t) NGX_ERROR) {
        time = 0;
    }

    f->expires = (f->expires == -1) ? time : ngx_min(f->expires, time);
}
