
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
